import type { Command } from "commander";
import type { AliveBoard } from "../../recovery/alive.js";
import { RECOVERY_METHODS, type RecoveryMethodName } from "../../recovery/methods.js";
import { recover } from "../../recovery/recover.js";
import type {
  MethodSummary,
  RecoverEvent,
  RecoverOutcome,
  RecoverResult,
} from "../../recovery/recover-events.js";
import { knownImage } from "../../session/known-images.js";
import { run } from "../../session/run.js";
import { type Payload, type Source, SourceError } from "../../sources/source.js";
import { formatAddress } from "../../transport/address.js";
import { PREFLIGHT_CHECKS, type PreflightCheckName } from "../../update/preflight-check.js";
import { recordedRecovery } from "../audit/flash-events.js";
import { ratchetOf } from "../audit/ratchet-memory.js";
import { boardOptions } from "../board-options.js";
import { inContext, readKeys, readKnown, several, wholeNumber } from "../context.js";
import { type DecryptionKeyOptions, decryptionKeyOptions, readDecryptionKey } from "../decryption-key.js";
import { hintForBoard } from "../emulated-hint.js";
import type { ExitStatus } from "../exit.js";
import { drawFlash } from "../flash/draw-flash.js";
import { NOT_RUNNING, statusOfRefusal } from "../flash/status.js";
import { keyFiles } from "../key-files.js";
import { withPlaces } from "../labgrid/with-places.js";
import { type BoardsOptions, meansSeveral, severalBoardsOptions } from "../many-boards/choose-boards.js";
import { recoverBoards } from "../many-boards/recover-boards.js";
import { type Output, printable, prose, tone } from "../output.js";
import { policyHook } from "../policy/policy-judge.js";
import { choosePolicy, type PolicyOptions, policyOptions } from "../policy/policy-options.js";
import {
  askForYes,
  askPerson,
  canAsk,
  type RecoverySetup,
  recoverySetup,
  type TargetOptions,
} from "../recovery-target.js";
import { beginRun } from "../run-facts.js";
import { SOURCE_HELP, type SourceOptions, sourceOptions } from "../source-options.js";
import { type TrailerOptions, trailerOptions } from "../trailer-options.js";
import { mustBeVerifiable, mustBeVouched, onePayload, openUpdate } from "../update-source.js";
import { UsageError } from "../usage-error.js";

interface RecoverCommandOptions
  extends Omit<TargetOptions, "device">,
    BoardsOptions,
    SourceOptions,
    DecryptionKeyOptions,
    TrailerOptions,
    PolicyOptions {
  key?: string[];
  known?: string[];
  image?: number;
  skip?: string[];
  without?: string[];
  yes?: boolean;
  decrypted?: boolean;
  althoughAlive?: boolean;
  preflight: boolean;
  dryRun?: boolean;
  wait?: number;
}

const STATUS: Readonly<Record<RecoverOutcome, ExitStatus>> = {
  recovered: 0,
  written: 0,
  "dry-run": 0,
  "refused-by-preflight": 3,
  alive: 3,
  "not-running": 4,
  "cut-short": 9,
  "no-way-in": 36,
};

const METHOD_NAMES = RECOVERY_METHODS.map(({ name }) => name);

const withImageOptions = (command: Command) =>
  trailerOptions(
    decryptionKeyOptions(sourceOptions(command)),
    "kind of trailer: test, confirmed or none (default: as the board's mode needs)",
  );

export function define(command: Command): void {
  policyOptions(
    severalBoardsOptions(boardOptions(withImageOptions(command.argument("<image>", SOURCE_HELP)), several)),
  )
    .option(
      "--key <file>",
      "a public key that must have signed the image (repeatable; default: the config file's)",
      several,
    )
    .option("--known <image>", "an image file that may be on the board (repeatable)", several)
    .option(
      "--image <number>",
      "which image number, as in the bootloader",
      wholeNumber("--image", { max: 255 }),
    )
    .option("--profile <name>", "the board's profile; bootproof devices --profiles lists them")
    .option(
      "--skip <check>",
      `ignore this check of the preflight if it fails (repeatable): ${PREFLIGHT_CHECKS.join(", ")}`,
      several,
    )
    .option("--no-preflight", "ignore every failed check; nothing else checks the image before the next boot")
    .option(
      "--without <recovery method>",
      `do not use this recovery method (repeatable): ${METHOD_NAMES.join(", ")}`,
      several,
    )
    .option(
      "--decrypted",
      "send an encrypted image decrypted, to a bootloader whose serial recovery does not decrypt; needs its key",
    )
    .option("-y, --yes", "consent to recovery methods that bypass MCUboot to write flash")
    .option(
      "--although-alive",
      "with --yes: overwrite a board although its application answers or its primary slot contains a valid image",
    )
    .option("--dry-run", "check the image and list the recovery methods; the board is left alone")
    .option(
      "--wait <ms>",
      "how long the board may take to appear after each recovery method (default 15000)",
      wholeNumber("--wait", { min: 500, max: 3_600_000 }),
    )
    .addHelpText(
      "after",
      "\nThe recovery methods are tried in this order, least destructive first. Each announces what it will do.",
    )
    .action((file: string, options: RecoverCommandOptions) =>
      inContext(options, async (context) => {
        const { out, config, signal } = context;
        const factsOf = beginRun();
        const source = await openUpdate(file, options, context);
        mustBeVouched(source);
        const { name, bytes: image, image: number } = oneToRecover(source, options.image);
        const keys = await readKeys(keyFiles(options.key, context), out);
        const known = [
          ...[knownImage(name, image)].filter((one) => one !== undefined),
          ...(await readKnown([...(options.known ?? []), ...config.known], out)),
        ];
        const decryptionKey = await readDecryptionKey(options);
        const skip = options.preflight
          ? (names(options.skip, PREFLIGHT_CHECKS, "check of the preflight") as PreflightCheckName[])
          : "all";
        mustBeVerifiable(source, keys.length > 0 && skip !== "all" && !skip.includes("signature"));
        const chosen = await choosePolicy(options, config);
        const policy = policyHook(chosen, "recover", {
          file: image,
          imageNumber: options.image,
          skip,
          madeFor: source.binding.boards,
        });
        const workflow = ({ target, identity, audit }: RecoverySetup, how: AbortSignal, isAlone: boolean) =>
          recordedRecovery(
            audit,
            image,
            recover(target, image, {
              signal: how,
              keys,
              decryptionKey,
              decrypted: options.decrypted,
              known,
              imageNumber: options.image ?? number,
              skip,
              althoughAlive: (alive) => althoughAlive(alive, options, how, isAlone),
              without: names(options.without, METHOD_NAMES, "method") as RecoveryMethodName[],
              consent: (method) => consent(method, options.yes ?? false, how, isAlone),
              trailer: options.trailer,
              erasedValue: options.erased,
              policy,
              ratchet: ratchetOf(identity),
              withinMs: options.wait,
              dryRun: options.dryRun,
            }),
          );
        const { device: [device] = [], ...common } = options;
        const targetOptions: TargetOptions = { ...common, keys, mayFail: skip };
        if (meansSeveral(options))
          return withPlaces(options, context, (placed) =>
            recoverBoards(
              placed,
              context,
              (board, own) => recoverySetup({ ...targetOptions, asksNobody: true }, own, board),
              (setup, own) => workflow(setup, own.signal, false),
              statusOf,
            ),
          );
        const bench = await recoverySetup({ ...targetOptions, device }, context);
        try {
          const draw = drawRecover(out);
          const result = await run(workflow(bench, signal, true), (event) => {
            out.event(event);
            draw(event);
          });
          const status = statusOf(result);
          const verdict = tone(status === 0 ? "good" : "bad", result.outcome);
          const about = { address: formatAddress(bench.address), id: bench.identity.id };
          const next = hintForBoard(about.address, result.hint);
          const hint = next === undefined ? "" : `\n  try: ${printable(next)}`;
          const facts = factsOf(about, bench.followed?.device);
          const hinted = next === undefined ? result : { ...result, hint: next };
          out.result({ ...hinted, ...facts }, prose(`${verdict}: ${printable(result.message)}${hint}`));
          process.exitCode = status;
        } finally {
          await bench.close();
        }
      }),
    );
}

/** Recovery brings one image back to life; what belongs to it is brought on by an update. Throws `SourceError`. */
function oneToRecover(source: Source, imageNumber: number | undefined): Payload {
  const numbers = [...new Set(source.payloads.map(({ image = 0 }) => image))];
  if (imageNumber !== undefined || numbers.length === 1) return onePayload(source, imageNumber);
  throw new SourceError(
    "bad-source",
    `${source.name} holds the images ${numbers.join(", ")}; recovery writes one image at a time, over what is there.`,
    { hint: "Recover what starts first with --image 0, then flash the whole update." },
  );
}

/** What recover ends with for a board. */
export function statusOf({ outcome, refusedBy, flash }: RecoverResult): ExitStatus {
  const byMemoryOrPolicy = statusOfRefusal(refusedBy);
  if (byMemoryOrPolicy !== undefined) return byMemoryOrPolicy;
  return outcome === "not-running" && flash?.cause ? NOT_RUNNING[flash.cause] : STATUS[outcome];
}

function names(texts: readonly string[] = [], known: readonly string[], what: string): string[] {
  return texts
    .flatMap((text) => text.split(","))
    .map((name) => {
      if (known.includes(name)) return name;
      throw new UsageError(`There is no ${what} "${name}".`, `There are: ${known.join(", ")}.`);
    });
}

async function consent(
  { summary, destroys }: MethodSummary,
  yes: boolean,
  signal: AbortSignal,
  mayAsk: boolean,
): Promise<boolean> {
  if (yes) return true;
  if (!mayAsk || !canAsk()) return false;
  return askPerson(`This writes flash and bypasses MCUboot. ${summary}\nWhat is lost: ${destroys}`, signal);
}

/** Enter is too easily pressed where a working board is at stake: the word has to be typed. */
async function althoughAlive(
  { message }: AliveBoard,
  { yes, althoughAlive: agreed }: RecoverCommandOptions,
  signal: AbortSignal,
  mayAsk: boolean,
): Promise<boolean> {
  if (yes && agreed) return true;
  if (!mayAsk || !canAsk()) return false;
  const question = `This board is alive. ${printable(message)} An update with bootproof flash can be reverted; recovery overwrites what works.`;
  return askForYes(question, signal);
}

const METHOD_WIDTH = Math.max(...RECOVERY_METHODS.map(({ name }) => name.length));

/** One line of the list of recovery methods; what is said of them begins in one column. */
function methodLine(name: string, text: string): string {
  return `${tone("strong", name.padEnd(METHOD_WIDTH))}  ${text}`;
}

/** Tells on stderr what happens. */
function drawRecover(out: Output): (event: RecoverEvent) => void {
  const drawRest = drawFlash(out);
  return (event) => {
    switch (event.step) {
      case "file": {
        const failed = event.checks.filter(({ result }) => result === "fail");
        const noted = event.checks.filter(({ name, result }) => name === "trailer" && result === "warn");
        for (const { name, message } of noted)
          out.note(`${tone("warn", "note")}  ${name}: ${printable(message)}`);
        if (failed.length === 0)
          return out.note("The image is complete, and one of the given keys signed it.");
        for (const { name, message } of failed)
          out.note(`${tone("bad", "fail")}  ${name}: ${printable(message)}`);
        return;
      }
      case "found":
        return out.note(printable(event.message));
      case "alive":
        return out.note(`${tone("warn", "alive")}  ${printable(event.message)}`);
      case "passed-over":
        return out.note(tone("dim", methodLine(event.method, `Not available: ${printable(event.why)}`)));
      case "method":
        out.note(methodLine(event.method.name, printable(event.method.summary)));
        return out.note(methodLine("", `What is lost: ${printable(event.method.destroys)}`));
      case "failed":
        return out.note(methodLine("", `${tone("warn", "It failed:")} ${printable(event.why)}`));
      case "in-recovery":
        return out.note("The bootloader's serial recovery answers.");
      case "written":
        return out.note(printable(event.message));
      case "again":
        return out.note(`Starting again from the beginning: ${printable(event.why)}`);
      case "writing":
        return out.progress("writing", event.done, event.total);
      default:
        return drawRest(event);
    }
  };
}
