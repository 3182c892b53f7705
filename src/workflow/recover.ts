import type { Client } from "../client/client.js";
import { connect } from "../client/connect.js";
import { BootproofError } from "../errors.js";
import type { Key } from "../image/keys.js";
import { verifyImage } from "../image/verify.js";
import { formatVersion } from "../image/version.js";
import { DeviceError } from "../smp/message.js";
import { judgeWritten } from "./after-writing.js";
import type { KnownImage } from "./facts.js";
import { type FlashEvent, type FlashResult, flash, type HealthCheck } from "./flash.js";
import { checkFile, type GateCheck, type GateCheckName } from "./gate.js";
import { type Climbed, LADDER, type Rung, type RungName, type Standing } from "./ladder/rungs.js";
import type { Site } from "./ladder/site.js";
import { onceBack } from "./once-back.js";
import { AwayError } from "./reconnect.js";
import type { Session } from "./session.js";
import { UploadError } from "./upload.js";

export interface RecoverOptions {
  signal?: AbortSignal | undefined;
  /** Public keys of which one must have signed the image. There is no way around it: nothing checks before the next boot. */
  keys: readonly Key[];
  known?: readonly KnownImage[] | undefined;
  /** Which image; default 0. Others only where the bootloader says that it has them. */
  imageNumber?: number | undefined;
  /** Checks against the board that may fail. Those of the file may not. */
  skip?: readonly GateCheckName[] | undefined;
  /** Rungs to leave out. */
  without?: readonly RungName[] | undefined;
  /** Asked before a rung that writes flash past MCUboot. Default: such rungs are not taken. */
  consent?: ((rung: RungWords) => Promise<boolean>) | undefined;
  health?: readonly HealthCheck[] | undefined;
  /** How long a board may take to show itself after a restart. Default 15000. */
  withinMs?: number | undefined;
  /** Only tell which rungs there are. */
  dryRun?: boolean | undefined;
}

/** A rung in words, before it is taken. */
export interface RungWords {
  name: RungName;
  does: string;
  destroys: string;
  /** Why it cannot be taken here. */
  closed?: string;
}

export type RecoverEvent =
  /** The checks of the file, before anything is done to the board. */
  | { step: "file"; checks: GateCheck[] }
  | { step: "found"; says: string }
  /** A rung cannot be taken here, or was declined. */
  | { step: "passed-over"; rung: RungName; why: string }
  /** A rung is about to be taken. */
  | { step: "rung"; rung: RungWords }
  | { step: "failed"; rung: RungName; why: string }
  | { step: "in-recovery"; rung: RungName }
  | { step: "written"; rung: RungName; says: string }
  | { step: "writing"; done: number; total: number }
  /** The bootloader took a part and refused the rest; it is all sent anew. */
  | { step: "again"; why: string }
  | FlashEvent;

export type RecoverOutcome =
  /** The image runs, says the board. */
  | "recovered"
  /** The board went away before all was sent. */
  | "cut-short"
  /** It was written, and nothing answers that could say whether it runs. */
  | "written"
  | "dry-run"
  | "refused-by-gate"
  /** It was written, and the board does not run it. */
  | "not-running"
  /** No rung led anywhere. */
  | "no-way-in";

export interface RecoverResult {
  outcome: RecoverOutcome;
  says: string;
  hint?: string;
  /** The rung that worked. */
  rung?: RungName;
  /** Every rung that was considered. */
  tried: { rung: RungName; why: string }[];
  gate: GateCheck[];
  /** How the update through serial recovery went. */
  flash?: FlashResult;
}

const DEFAULT_WITHIN_MS = 15_000;

/**
 * Gets a board that no longer boots to run `file`: climbs the ladder from the least destructive rung up, says before each
 * what it will do and what that destroys, and stops at the first that works. In serial recovery the image goes straight
 * over the primary slot and nobody checks it before the next boot, so the file must be beyond doubt first, and the result
 * is judged by what runs afterwards.
 *
 * Refusals and rungs that fail are results, not errors. Abort throws the signal's reason.
 */
export async function* recover(
  site: Site,
  file: Uint8Array,
  options: RecoverOptions,
): AsyncGenerator<RecoverEvent, RecoverResult, void> {
  const checks = await checkTheFile(file, options.keys);
  yield { step: "file", checks: checks.checks };
  const refused = checks.checks.find(({ result }) => result === "fail");
  const result = { gate: checks.checks, tried: [] as RecoverResult["tried"] };
  if (refused) {
    const { says, hint = "Nothing was done to the board." } = refused;
    return { ...result, outcome: "refused-by-gate", says, hint };
  }

  const standing = await look(site, file, options);
  try {
    yield { step: "found", says: foundWords(standing) };
    for (const rung of LADDER) {
      const words = wordsOf(rung, standing);
      const passed = options.dryRun ? "Only looking." : await whyNot(words, rung, options);
      if (passed !== undefined) {
        result.tried.push({ rung: rung.name, why: words.closed ?? passed });
        yield options.dryRun && words.closed === undefined
          ? { step: "rung", rung: words }
          : { step: "passed-over", rung: rung.name, why: words.closed ?? passed };
        continue;
      }
      yield { step: "rung", rung: words };
      const climbed = yield* climb(rung, standing, options);
      if (climbed.kind !== "failed")
        return { ...result, ...(yield* finish(rung, climbed, standing, options)) };
      result.tried.push({ rung: rung.name, why: climbed.why });
      yield { step: "failed", rung: rung.name, why: climbed.why };
    }
  } finally {
    await standing.client?.close();
  }
  return options.dryRun
    ? { ...result, outcome: "dry-run", says: "The image is beyond doubt; nothing was done to the board." }
    : {
        ...result,
        outcome: "no-way-in",
        says: `No way into ${site.name} was found.`,
        hint: "Each rung above says what it would have needed: a power switch, a profile with the wiring, a debug tool.",
      };
}

/** The file alone: what recovery would write unchecked must be whole, and signed by a key that was named. */
async function checkTheFile(file: Uint8Array, keys: readonly Key[]): Promise<{ checks: GateCheck[] }> {
  const verdict = await verifyImage(file, { ...(keys.length ? { keys } : {}), toBoot: true });
  const checks = checkFile(verdict).map((check): GateCheck => {
    if (check.name !== "signature" || keys.length > 0) return check;
    const hint =
      "Give the public key with --key FILE. Recovery takes no unchecked image: the board does not check it.";
    return { ...check, result: "fail", hint };
  });
  return { checks };
}

async function look(
  site: Site,
  file: Uint8Array,
  { signal, withinMs = DEFAULT_WITHIN_MS }: RecoverOptions,
): Promise<Standing> {
  const meet = async () => connect(await site.dial(signal), { probes: 3, ...site.connect, signal });
  try {
    const client = await onceBack(meet, { signal, withinMs });
    return { site, file, client, silence: "" };
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof BootproofError)) throw error;
    return { site, file, client: undefined, silence: error.message };
  }
}

function foundWords({ client, site, silence }: Standing): string {
  if (client === undefined) return `${site.name}: nobody answers. ${silence}`;
  const { mode } = client.server;
  const who: Readonly<Record<Client["server"]["mode"], string>> = {
    application: "its application answers",
    recovery: "its bootloader's serial recovery answers",
    unknown: "somebody answers, application or bootloader",
  };
  return `${site.name}: ${who[mode]}.`;
}

function wordsOf(rung: Rung, standing: Standing): RungWords {
  const closed = rung.closed(standing);
  return {
    name: rung.name,
    does: rung.does(standing),
    destroys: rung.destroys(standing),
    ...(closed === undefined ? {} : { closed }),
  };
}

async function whyNot(words: RungWords, rung: Rung, options: RecoverOptions): Promise<string | undefined> {
  if (words.closed !== undefined) return words.closed;
  if (options.without?.includes(rung.name)) return "It was left out on request.";
  if (!rung.needsConsent) return undefined;
  const agreed = (await options.consent?.(words)) ?? false;
  return agreed ? undefined : `Nobody agreed to it. It would: ${words.does} Lost by that: ${words.destroys}`;
}

async function* climb(
  rung: Rung,
  standing: Standing,
  { signal, withinMs = DEFAULT_WITHIN_MS }: RecoverOptions,
): AsyncGenerator<RecoverEvent, Climbed, void> {
  const progress: RecoverEvent[] = [];
  const onProgress = (done: number, total: number) => void progress.push({ step: "writing", done, total });
  try {
    return await rung.climb(standing, { signal, withinMs, onProgress });
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof BootproofError)) throw error;
    return { kind: "failed", why: error.message };
  } finally {
    yield* progress.slice(-1);
  }
}

type Ending = Omit<RecoverResult, "tried" | "gate">;

async function* finish(
  rung: Rung,
  climbed: Exclude<Climbed, { kind: "failed" }>,
  { site, file }: Standing,
  options: RecoverOptions,
): AsyncGenerator<RecoverEvent, Ending, void> {
  if (climbed.kind === "written") {
    yield { step: "written", rung: rung.name, says: climbed.says };
    const { signal, withinMs = DEFAULT_WITHIN_MS } = options;
    const told = yield* judgeWritten(site, file, { signal, withinMs });
    if (told.outcome !== "written") return { rung: rung.name, ...told };
    const hint =
      "Nobody answers on this port since, who could tell whether it runs: look at its log, or ask with bootproof info.";
    return { outcome: "written", rung: rung.name, says: climbed.says, hint };
  }
  yield { step: "in-recovery", rung: rung.name };
  try {
    return { rung: rung.name, ...(yield* writeThroughRecovery(climbed.session, file, options)) };
  } finally {
    await climbed.session.close();
  }
}

/** The ordinary update, through the bootloader, with the file's checks beyond appeal. */
async function* writeThroughRecovery(
  session: Session,
  file: Uint8Array,
  options: RecoverOptions,
): AsyncGenerator<RecoverEvent, Ending, void> {
  const { signal, keys, known, imageNumber, health } = options;
  const skip = options.skip?.filter((name) => !FILE_CHECKS.includes(name));
  const how = { signal, keys, known, imageNumber, health, skip, throughRecovery: true };
  for (let tries = 1; ; tries++) {
    const seen = new Set<RecoverEvent["step"]>();
    try {
      const told = yield* noting(flash(session, file, how), seen);
      return {
        ...ENDINGS[told.outcome],
        says: told.says,
        ...(told.hint && { hint: told.hint }),
        flash: told,
      };
    } catch (error) {
      if (error instanceof AwayError) return seen.has("reset") ? silentNow(file) : cutShort(error, seen);
      if (!isWorthAnother(error) || tries === MOST_TRIES) throw error;
      yield { step: "again", why: error.message };
    }
  }
}

/** Passes everything on, and notes which steps came. */
async function* noting(
  story: AsyncGenerator<FlashEvent, FlashResult, void>,
  seen: Set<RecoverEvent["step"]>,
): AsyncGenerator<FlashEvent, FlashResult, void> {
  for (;;) {
    const next = await story.next();
    if (next.done) return next.value;
    seen.add(next.value.step);
    yield next.value;
  }
}

/** The primary slot is erased with the first part that comes: what is there then is no image. */
function cutShort(error: AwayError, seen: ReadonlySet<RecoverEvent["step"]>): Ending {
  const left = seen.has("sent")
    ? "The image was not sent whole, so nothing can start: the board stays in serial recovery."
    : "Nothing was sent yet.";
  return {
    outcome: "cut-short",
    says: `${error.message} ${left}`,
    hint: "Put the cable back, and give the same command again.",
  };
}

const MOST_TRIES = 3;

/**
 * Raw framing has no checksum: a byte lost on the way makes a chunk that the bootloader refuses. The primary slot is erased
 * by then, so giving up would leave less than was there; beginning anew costs a minute.
 */
function isWorthAnother(error: unknown): error is DeviceError | UploadError {
  return error instanceof DeviceError || error instanceof UploadError;
}

/** The bootloader started something that does not speak SMP here, which good applications may not either. */
async function silentNow(file: Uint8Array): Promise<Ending> {
  const version = formatVersion((await verifyImage(file, {})).image!.version);
  return {
    outcome: "written",
    says: `Version ${version} was written and the board restarted; since then nobody answers, not even the bootloader.`,
    hint: "If the application has an SMP server on this port, look at its log; if it has none, this is what success looks like.",
  };
}

/** Checks of the file alone: nobody may skip them here. */
const FILE_CHECKS: readonly GateCheckName[] = [
  "structure",
  "flags",
  "bootable",
  "tlv-types",
  "hash",
  "signature",
];

const ENDINGS: Readonly<Record<FlashResult["outcome"], { outcome: RecoverOutcome }>> = {
  confirmed: { outcome: "recovered" },
  "on-trial": { outcome: "recovered" },
  running: { outcome: "recovered" },
  "already-running": { outcome: "recovered" },
  "dry-run": { outcome: "dry-run" },
  "refused-by-gate": { outcome: "refused-by-gate" },
  "not-running": { outcome: "not-running" },
  unhealthy: { outcome: "not-running" },
  "not-confirmed": { outcome: "recovered" },
};
