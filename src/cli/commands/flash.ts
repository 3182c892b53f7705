import type { Command } from "commander";
import { ImageError } from "../../mcuboot/header.js";
import { parseImage } from "../../mcuboot/image.js";
import { knownImages } from "../../session/known-images.js";
import { run } from "../../session/run.js";
import type { Session } from "../../session/session.js";
import type { Source } from "../../sources/source.js";
import type { BoardIdentity } from "../../trust/ratchet.js";
import type { Compression, FlashResult } from "../../update/flash.js";
import { flashUpdate } from "../../update/flash-update.js";
import type { ImageEnding, ImageFile, ImagesResult } from "../../update/images-events.js";
import { mustNameEachBoard } from "../audit/attest-files.js";
import { attestFlash } from "../audit/attest-flash.js";
import { attestSigner } from "../audit/attest-signer.js";
import { describeImage, recordFlash, recordFlashResult } from "../audit/flash-events.js";
import { ratchetOf } from "../audit/ratchet-memory.js";
import { recorder } from "../audit/recorder.js";
import { compressing } from "../compress.js";
import { inContext, onBoard, readKeys, readKnown } from "../context.js";
import { readDecryptionKey } from "../decryption-key.js";
import { hintForBoard } from "../emulated-hint.js";
import { drawFlash } from "../flash/draw-flash.js";
import { attestEach, attestedFiles, attestJoint, recordImages, writeLogProof } from "../flash/evidence.js";
import {
  type FlashCommandOptions,
  flashOptions,
  isSignatureSkipped,
  workflowOptions,
} from "../flash/options.js";
import { statusOf } from "../flash/status.js";
import { keyFiles } from "../key-files.js";
import { withPlaces } from "../labgrid/with-places.js";
import { meansSeveral } from "../many-boards/choose-boards.js";
import { flashBoards } from "../many-boards/flash-boards.js";
import { flashEach } from "../many-boards/flash-each.js";
import { flashBoardsTogether } from "../many-boards/flash-together.js";
import { flashWorkflow } from "../many-boards/flash-workflow.js";
import { imagesWorkflow } from "../many-boards/images-workflow.js";
import type { OpenBoard } from "../open-board.js";
import { type Output, printable, prose, tone } from "../output.js";
import { judgeAfterwards, policyHook } from "../policy/policy-judge.js";
import { choosePolicy } from "../policy/policy-options.js";
import { beginRun, describeKey, type RunFacts } from "../run-facts.js";
import { SOURCE_HELP } from "../source-options.js";
import {
  describeSource,
  mustBeVerifiable,
  mustBeVouched,
  onePayload,
  openUpdate,
  variantsOf,
} from "../update-source.js";
import { UsageError } from "../usage-error.js";

function drawImageEnding({ image, name, version, state }: ImageEnding): string {
  return `  image ${image}  ${version}  ${state.padEnd(12)} ${printable(name)}`;
}

export function define(command: Command): void {
  flashOptions(command.argument("<update>", SOURCE_HELP)).action(runFlash);
}

/**
 * Updates the boards that are meant.
 *
 * @param file - the update, from wherever
 */
export function runFlash(file: string, options: FlashCommandOptions): Promise<void> {
  return inContext(options, async (context) => {
    const { out, config, signal } = context;
    mustFit(options);
    const factsOf = beginRun();
    const source = await openUpdate(file, options, context);
    mustBeVouched(source);
    // A file that is no image needs no board to be found out.
    for (const { name, bytes } of source.payloads) mustBeImage(name, bytes);
    const keys = await readKeys(keyFiles(options.key, context), out);
    const decryptionKey = await readDecryptionKey(options);
    if (options.attest !== undefined && (options.each || meansSeveral(options)))
      mustNameEachBoard(options.attest);
    const attesting = await attestSigner(options, signal);
    const how = {
      ...workflowOptions(options),
      binding: { boards: source.binding.boards, build: source.build },
      keys,
      decryptionKey,
      signal,
      ...compressing(options, keys),
    };
    if (options.compress && source.payloads.length > 1)
      throw new UsageError(
        "--compress is for updates of one image: bootloaders decompress images only on boards with one image.",
      );
    mustBeVerifiable(source, keys.length > 0 && !isSignatureSkipped(how.skip));
    const known = [
      ...source.payloads.flatMap(({ name, bytes }) => knownImages(name, bytes)),
      ...(await readKnown([...(options.known ?? []), ...config.known], out)),
    ];
    const chosen = await choosePolicy(options, config);
    const isSeveral = options.together || options.each || meansSeveral(options);
    const numbers = new Set(source.payloads.map(({ image = 0 }) => image));
    if (isSeveral && !options.together && options.image === undefined && numbers.size > 1) {
      const update = imagesWorkflow(
        source,
        { ...how, known },
        {
          chosen,
          settles: options.settle ?? false,
          attest: attesting && attestEach(options.attest!, attesting, { file, source, wanted: undefined }),
        },
      );
      try {
        if (options.each) return await flashEach(options, context, update, statusOf);
        return await withPlaces(options, context, (own) => flashBoards(own, context, update, statusOf));
      } finally {
        attesting?.close();
      }
    }
    if (isSeveral) {
      const { bytes: image, image: number } = onePayload(source, options.image);
      const imageNumber = options.image ?? number;
      const settles = options.settle ?? false;
      const release = source.release;
      const madeFor = source.binding.boards;
      const variants = variantsOf(source, number);
      const attested = { file, source, wanted: imageNumber };
      if (options.together && variants.length > 1)
        throw new UsageError(
          "--together gives all boards the same image; this update has a build for each slot.",
          "Omit --together: each board then gets the build for its free slot.",
        );
      const update = flashWorkflow(
        { image, imageNumber, variants, release, madeFor },
        { ...how, known },
        {
          chosen,
          settles,
          // Of a joint update nothing is known before all boards have ended.
          attest: options.together
            ? undefined
            : attesting && attestEach(options.attest!, attesting, attested),
        },
      );
      try {
        if (options.each) return await flashEach(options, context, update, statusOf);
        return await withPlaces(options, context, (own) =>
          options.together
            ? flashBoardsTogether(
                { ...own, image: imageNumber },
                context,
                parseImage(image),
                update,
                attesting && attestJoint(options.attest!, attesting, attested),
              )
            : flashBoards(own, context, update, statusOf),
        );
      } finally {
        attesting?.close();
      }
    }
    const abouts = new Map(
      source.payloads.map(({ bytes, image = options.image }) => [
        image ?? 0,
        describeImage(parseImage(bytes), image),
      ]),
    );
    const workflow = async (session: Session, identity: BoardIdentity, board: OpenBoard) => {
      const policyFor = ({ bytes, image }: ImageFile) =>
        policyHook(chosen, "flash", {
          file: bytes,
          identity,
          audit: recorder(),
          imageNumber: image,
          skip: how.skip,
          madeFor: source.binding.boards,
          confirmation: {
            healthChecks: how.health?.length ?? 0,
            soakMs: how.soakMs ?? 1000,
            settles: options.settle ?? false,
          },
        });
      const remembering = {
        ...how,
        known,
        ratchet: ratchetOf(identity, undefined, source.release),
        policyFor,
      };
      const draw = drawFlash(out);
      const skipped = how.skip ?? [];
      const [[, first] = [0, undefined]] = abouts;
      let record = recordFlash(recorder(), skipped, first);
      const result = await run(flashUpdate(session, source.payloads, remembering), (event) => {
        if (event.step === "image") record = recordFlash(recorder(), skipped, abouts.get(event.image));
        else record(event);
        out.event(event);
        draw(event);
      });
      if ("images" in result) recordImages(result, abouts);
      else recordFlashResult(recorder(), result, first?.counter);
      if (attesting)
        await attestFlash(options.attest!, attesting, {
          files: attestedFiles(file, source, result, options.image),
          identity,
          result,
        });
      if (options.logProof !== undefined) await writeLogProof(options.logProof);
      const late = "images" in result ? undefined : judgeAfterwards(chosen, result);
      const refusal = late && { refusedBy: `policy/${late.rule}` as const, hint: late.message };
      finish(source, { ...result, ...refusal }, factsOf(board.about, board.device), out);
    };
    const device = options.device?.[0];
    try {
      await onBoard({ ...options, device }, context, workflow, { withinMs: options.wait });
    } finally {
      attesting?.close();
    }
  });
}

/** Throws `UsageError` for options that would be ignored beside the others. */
function mustFit({ together, each, isolate, count }: FlashCommandOptions): void {
  if (together && each)
    throw new UsageError(
      "--together and --each cannot be combined: --each has one board at a time.",
      "Name all boards with -d and use --together, or omit it.",
    );
  if (isolate !== undefined && !together)
    throw new UsageError("--isolate names boards of --together.", "Add --together, or omit --isolate.");
  if (count !== undefined && !each)
    throw new UsageError("--count counts boards of --each.", "Add --each, or omit --count.");
}

/** Throws `ImageError` with the file's name. */
function mustBeImage(name: string, bytes: Uint8Array): void {
  try {
    parseImage(bytes);
  } catch (error) {
    if (error instanceof ImageError) error.message = `${name}: ${error.message}`;
    throw error;
  }
}

/** Bytes and seconds against sending the image as it is. */
function drawSaved({ sentBytes, plainBytes, savedBytes, savedMs }: Compression): string {
  const part = ((100 * savedBytes) / plainBytes).toFixed(0);
  const time = savedMs === undefined ? "" : `, about ${(savedMs / 1000).toFixed(1)} s`;
  return `  saved: ${savedBytes} of ${plainBytes} bytes (${part} %)${time}, by sending ${sentBytes} compressed.`;
}

function finish(source: Source, flashed: FlashResult | ImagesResult, facts: RunFacts, out: Output): void {
  const status = statusOf(flashed);
  const next = hintForBoard(facts.board.address, flashed.hint);
  const result = {
    ...flashed,
    ...(next === undefined ? {} : { hint: next }),
    ...("signedBy" in flashed && flashed.signedBy && { signedBy: describeKey(flashed.signedBy) }),
    ...facts,
    // What came over a network or out of a container is named beside the verdict.
    ...(source.kind === "file" && !source.transport ? {} : { source: describeSource(source) }),
  };
  const verdict = status === 0 ? tone("good", flashed.outcome) : tone("bad", flashed.outcome);
  const images = "images" in flashed ? flashed.images.map(drawImageEnding) : [];
  const hint = next ? [`  try: ${next}`] : [];
  const saved = "compression" in flashed && flashed.compression ? [drawSaved(flashed.compression)] : [];
  const lines = [...images, `${verdict}: ${printable(flashed.message)}`, ...saved, ...hint];
  out.result(result, prose(lines.join("\n")));
  process.exitCode = status;
}
