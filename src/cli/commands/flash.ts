import type { Command } from "commander";
import { equal } from "../../bytes.js";
import { ImageError } from "../../mcuboot/header.js";
import { parseImage } from "../../mcuboot/image.js";
import { knownImages } from "../../session/known-images.js";
import { run } from "../../session/run.js";
import type { Session } from "../../session/session.js";
import type { Source } from "../../sources/source.js";
import { LogError } from "../../trust/log-error.js";
import type { BoardIdentity } from "../../trust/ratchet.js";
import { formatProof } from "../../trust/tlog-proof.js";
import type { Compression, FlashOptions, FlashOutcome, FlashResult } from "../../update/flash.js";
import { flashUpdate } from "../../update/flash-update.js";
import type {
  ImageEnding,
  ImageFile,
  ImagesEvent,
  ImagesOutcome,
  ImagesResult,
} from "../../update/images-events.js";
import {
  PREFLIGHT_CHECKS,
  type PreflightCheck,
  type PreflightCheckName,
} from "../../update/preflight-check.js";
import { mustNameEachBoard } from "../audit/attest-files.js";
import { type AttestedFile, attestFlash } from "../audit/attest-flash.js";
import { type AttestOptions, attestOptions, attestSigner } from "../audit/attest-signer.js";
import { describeImage, recordFlash, recordFlashResult } from "../audit/flash-events.js";
import { openAuditLog } from "../audit/open-log.js";
import { ratchetOf } from "../audit/ratchet-memory.js";
import { type EventSink, recorder } from "../audit/recorder.js";
import { compressing } from "../compress.js";
import {
  type BoardOptions,
  boardOptions,
  inContext,
  type OpenBoard,
  onBoard,
  readKeys,
  readKnown,
  wholeNumber,
} from "../context.js";
import { type DecryptionKeyOptions, decryptionKeyOptions, readDecryptionKey } from "../decryption-key.js";
import { hintForBoard } from "../emulated-hint.js";
import type { ExitStatus } from "../exit.js";
import { writeOutput } from "../files.js";
import { keyFiles } from "../key-files.js";
import { withPlaces } from "../labgrid/with-places.js";
import { type BoardsOptions, meansSeveral, severalBoardsOptions } from "../many-boards/choose-boards.js";
import { flashBoards } from "../many-boards/flash-boards.js";
import { flashEach } from "../many-boards/flash-each.js";
import { flashBoardsTogether } from "../many-boards/flash-together.js";
import { flashWorkflow } from "../many-boards/flash-workflow.js";
import { type Output, printable, prose, tone } from "../output.js";
import { judgeAfterwards, policyHook } from "../policy/policy-judge.js";
import { choosePolicy, type PolicyOptions, policyOptions } from "../policy/policy-options.js";
import { drawUpload } from "../progress.js";
import { beginRun, describeKey, keyFileOf, type RunFacts } from "../run-facts.js";
import { several } from "../several.js";
import type { ChosenSigner } from "../signing/choose.js";
import { SOURCE_HELP, type SourceOptions, sourceOptions } from "../source-options.js";
import { type TrailerOptions, trailerOptions } from "../trailer-options.js";
import { type TrialOptions, trialOf, updateOptions } from "../update-options.js";
import {
  describeSource,
  mustBeVerifiable,
  mustBeVouched,
  onePayload,
  openUpdate,
  variantsOf,
} from "../update-source.js";
import { UsageError } from "../usage-error.js";

export interface FlashCommandOptions
  extends Omit<BoardOptions, "device">,
    BoardsOptions,
    SourceOptions,
    DecryptionKeyOptions,
    TrailerOptions,
    PolicyOptions,
    AttestOptions,
    TrialOptions {
  known?: string[];
  image?: number;
  confirm: boolean;
  preflight: boolean;
  skip?: string[];
  settle?: boolean;
  dryRun?: boolean;
  recovery?: boolean;
  compress?: boolean;
  together?: boolean;
  each?: boolean;
  count?: number;
  isolate?: string[];
  logProof?: string;
}

function drawImageEnding({ image, name, version, state }: ImageEnding): string {
  return `  image ${image}  ${version}  ${state.padEnd(12)} ${printable(name)}`;
}

const STATUS: Readonly<Record<FlashOutcome | ImagesOutcome, ExitStatus>> = {
  confirmed: 0,
  "on-trial": 0,
  running: 0,
  "already-running": 0,
  "dry-run": 0,
  "refused-by-preflight": 3,
  "not-running": 4,
  taken: 29,
  unhealthy: 5,
  "not-confirmed": 7,
  "not-settled": 7,
  "partly-confirmed": 38,
};

/** An image that does not run, by the cause. */
export const NOT_RUNNING: Readonly<Record<NonNullable<FlashResult["cause"]>, ExitStatus>> = {
  reverted: 30,
  signature: 31,
  rollback: 32,
  other: 33,
  "not-told": 4,
};

const withImageOptions = (command: Command) =>
  trailerOptions(
    decryptionKeyOptions(sourceOptions(command)),
    "kind of trailer: test, confirmed or none (default: as the board's mode needs)",
  );

export function define(command: Command): void {
  flashOptions(command.argument("<update>", SOURCE_HELP)).action(runFlash);
}

/** The options of an update of boards, for every verb that makes one. */
export function flashOptions(command: Command): Command {
  const common = policyOptions(severalBoardsOptions(boardOptions(withImageOptions(command), several)));
  return attestOptions(updateOptions(common), "this update")
    .option(
      "--known <image>",
      "an image file that may be on the board, to name its security counter (repeatable)",
      several,
    )
    .option("--image <number>", "which image number (pair of slots)", wholeNumber("--image", { max: 255 }))
    .option(
      "--compress",
      "send it compressed, for a bootloader that decompresses it; --key must name the private key that signed it",
    )
    .option("--together", "confirm on all boards only if all of them passed; otherwise revert all of them")
    .option(
      "--isolate <board>",
      "with --together: continue without this board if it does not pass (repeatable)",
      several,
    )
    .option(
      "--each",
      "one board after the other: wait until one is plugged in, update it, wait until it is unplugged",
    )
    .option(
      "--count <number>",
      "with --each: stop after this many boards",
      wholeNumber("--count", { min: 1, max: 1e6 }),
    )
    .option("--no-confirm", "leave the image on trial: the next reset reverts it")
    .option("--dry-run", "stop after the preflight; nothing is sent")
    .option("--recovery", "if the board is in serial recovery, write its primary slot directly")
    .option("--log-proof <file>", "write the proof that this update is in the audit log (NAME.tlog-proof)");
}

/**
 * Updates the boards that are meant.
 *
 * @param file - the update, from wherever
 */
export function runFlash(file: string, options: FlashCommandOptions): Promise<void> {
  return inContext(options, async (context) => {
    const { out, config, signal } = context;
    const factsOf = beginRun();
    const source = await openUpdate(file, options, context);
    mustBeVouched(source);
    // A file that is no image needs no board to be found out.
    for (const { name, bytes } of source.payloads) mustBeImage(name, bytes);
    const keys = await readKeys(keyFiles(options.key, context), out);
    const decryptionKey = await readDecryptionKey(options);
    if (options.attest !== undefined && options.together)
      throw new UsageError(
        "--attest cannot be used with --together: no board's outcome is known before that of all.",
        "The audit log records the result of each board.",
      );
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
    if (options.together || options.each || meansSeveral(options)) {
      const { bytes: image, image: number } = onePayload(source, options.image);
      const imageNumber = options.image ?? number;
      const settles = options.settle ?? false;
      const release = source.release;
      const madeFor = source.binding.boards;
      const variants = variantsOf(source, number);
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
          attest: attesting && attestEach(options.attest!, attesting, { file, source, wanted: imageNumber }),
        },
      );
      try {
        if (options.each) return await flashEach(options, context, update, statusOf);
        return await withPlaces(options, context, (own) =>
          options.together
            ? flashBoardsTogether({ ...own, image: imageNumber }, context, parseImage(image), update)
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

/** The files that went to the board: of a larger update those of the result, of variants the one that was taken. */
function attestedFiles(
  file: string,
  { payloads }: Source,
  result: FlashResult | ImagesResult,
  wanted: number | undefined,
): AttestedFile[] {
  const taken =
    "images" in result
      ? payloads.filter(({ name, image = 0 }) =>
          result.images.some((one) => one.image === image && one.name === name),
        )
      : payloads.length === 1
        ? payloads
        : payloads.filter(({ bytes }) => {
            const { imageHash } = parseImage(bytes);
            return imageHash && result.imageHash && equal(imageHash.value, result.imageHash);
          });
  return taken.map(({ name, bytes, image = wanted }) => ({
    name: payloads.length === 1 ? file : name,
    bytes,
    image: describeImage(parseImage(bytes), image),
    number: image ?? 0,
  }));
}

/** Writes a statement for each board of several. */
function attestEach(
  pattern: string,
  attesting: ChosenSigner,
  { file, source, wanted }: { file: string; source: Source; wanted: number | undefined },
) {
  return (identity: BoardIdentity, result: FlashResult, audit: EventSink | undefined) => {
    const files = attestedFiles(file, source, result, wanted);
    return attestFlash(pattern, attesting, { files, identity, result, audit });
  };
}

/** Proves the last event of the update, which says what came of it. */
async function writeLogProof(file: string): Promise<void> {
  const place = (await recorder()?.find("install")) ?? (await recorder()?.find("policy.decision"));
  if (place === undefined)
    throw new LogError("no-log", "This update is not in the audit log, so there is nothing to prove.", {
      hint: "Omit --no-log, and see the warning above.",
    });
  writeOutput(file, formatProof(await openAuditLog().prove(place)));
}

/** What an update of several images came to, an event for each. */
function recordImages(
  { images, message, outcome }: ImagesResult,
  abouts: ReadonlyMap<number, ReturnType<typeof describeImage>>,
): void {
  if (outcome === "dry-run" || outcome === "refused-by-preflight") return;
  for (const { image: number, state } of images) {
    const image = abouts.get(number);
    const result = state === "confirmed" || state === "on-trial" ? "ok" : "failed";
    recorder()?.record({
      type: "install",
      ...(image && { image }),
      result,
      detail: { outcome: state, message: message },
    });
  }
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

function isSignatureSkipped(skip: FlashOptions["skip"]): boolean {
  return skip === "all" || (skip?.includes("signature") ?? false);
}

/** What of the command line is about the update itself. */
export function workflowOptions(options: FlashCommandOptions): FlashOptions {
  return {
    imageNumber: options.image,
    skip: options.preflight ? checkNames(options.skip ?? []) : "all",
    throughRecovery: options.recovery,
    dryRun: options.dryRun,
    confirm: options.confirm,
    settle: options.settle,
    trailer: options.trailer,
    erasedValue: options.erased,
    ...trialOf(options),
  };
}

function checkNames(texts: readonly string[]): PreflightCheckName[] {
  return texts
    .flatMap((text) => text.split(","))
    .map((name) => {
      const known = PREFLIGHT_CHECKS.find((check) => check === name);
      if (known === undefined)
        throw new UsageError(
          `The preflight has no check "${name}".`,
          `Its checks: ${PREFLIGHT_CHECKS.join(", ")}.`,
        );
      return known;
    });
}

const MARKS: Readonly<Record<PreflightCheck["result"], string>> = {
  pass: tone("good", "pass"),
  fail: tone("bad", "FAIL"),
  warn: tone("warn", "note"),
  unknown: tone("dim", " -  "),
};

/** Which of the key files decided. */
function keyWords({ signedBy }: Extract<ImagesEvent, { step: "preflight" }>): string {
  const file = signedBy && keyFileOf(signedBy);
  return file === undefined ? "" : ` Its file: ${printable(file)}.`;
}

/** Prints each event on stderr as it happens. */
export function drawFlash(out: Output): (event: ImagesEvent) => void {
  const drawSending = drawUpload(out);
  return (event) => {
    switch (event.step) {
      case "board":
        return out.note(`Board ${event.facts.name}: ${event.facts.server} answers.`);
      case "image":
        return out.note(tone("strong", `image ${event.image}: ${printable(event.name)}`));
      case "preflight":
        for (const check of event.checks) {
          const file = check.name === "signature" ? keyWords(event) : "";
          out.note(`  ${MARKS[check.result]}  ${check.name.padEnd(17)} ${printable(check.message)}${file}`);
        }
        return;
      case "plan":
        for (const line of event.messages) out.note(printable(line));
        return;
      case "uploaded":
        return out.note(`Sent ${event.bytes} bytes in ${(event.elapsedMs / 1000).toFixed(1)} s.`);
      case "sent-again":
        return out.note(
          `The slot contained this file already, but it cannot be marked (${printable(event.why)}): erasing it and sending again.`,
        );
      case "marked":
        return out.note(
          event.as === "test"
            ? "Marked for the next boot; the board shows it as pending."
            : "This board has no test boot: nothing is marked.",
        );
      case "reset":
        return out.note("Reset. Waiting for the board...");
      case "away":
        return;
      case "back":
        return out.note(`The board is back after ${(event.afterMs / 1000).toFixed(1)} s.`);
      case "restarted":
        return out.note("The board restarted by itself.");
      case "judged":
        // When it does not run, the result says so and why.
        return event.runsNewImage ? out.note(printable(event.message)) : undefined;
      case "health":
        return out.note(
          `  ${event.ok ? MARKS.pass : MARKS.fail}  health: ${printable(event.name)}: ${printable(event.message)}`,
        );
      case "link-lost":
        return "at" in event
          ? drawSending(event)
          : out.note(`The link was lost: ${printable(event.why)} Waiting for the board...`);
      case "confirmed":
        return out.note("Confirmed and read back.");
      case "settled":
        return out.note(`Security counter ${event.stored} is stored and read back.`);
      default:
        return drawSending(event);
    }
  };
}

/** Anti-rollback by this host's memory, and what a policy refuses, are told apart from what the board would refuse. */
export function statusOfRefusal(name: PreflightCheckName | undefined): ExitStatus | undefined {
  if (name === "ratchet" || name === "policy/ratchet") return 46;
  return name?.startsWith("policy/") ? 48 : undefined;
}

export function statusOf(flashed: FlashResult | ImagesResult): ExitStatus {
  const cause = "cause" in flashed ? flashed.cause : undefined;
  return (
    statusOfRefusal(flashed.refusedBy) ?? (cause === undefined ? STATUS[flashed.outcome] : NOT_RUNNING[cause])
  );
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
