import { equal, toHex } from "../bytes.js";
import { RequestTimeout } from "../client/client.js";
import { identify } from "../client/connect.js";
import { BootproofError } from "../errors.js";
import type { Image } from "../image/image.js";
import type { Key } from "../image/keys.js";
import { verifyImage } from "../image/verify.js";
import { formatVersion } from "../image/version.js";
import { imageMark } from "../smp/groups/image.js";
import { osEcho, osReset } from "../smp/groups/os.js";
import { DeviceError } from "../smp/message.js";
import { TransportError } from "../transport/transport.js";
import { explainOldImage } from "./aftermath.js";
import { type BoardFacts, type KnownImage, readFacts, restartFingerprint, runningSlot } from "./facts.js";
import { checkAgainstBoard, checkFile, type GateCheck, type GateCheckName } from "./gate.js";
import { staysUp, untilRestarted, type WatchEvent } from "./reconnect.js";
import type { Session } from "./session.js";
import { type UploadEvent, upload } from "./upload.js";

/** Something that must be well before an image is confirmed. */
export interface HealthCheck {
  name: string;
  /** Resolves with a sentence; throws `HealthError` or any other error when the board is not well. */
  check(session: Session, signal: AbortSignal | undefined): Promise<string>;
}

export interface FlashOptions {
  signal?: AbortSignal | undefined;
  /** Public keys of which one must have signed the image. None: the gate refuses unless `signature` is skipped. */
  keys?: readonly Key[] | undefined;
  /** Image files at hand, to know what the board holds. */
  known?: readonly KnownImage[] | undefined;
  /** Which pair of slots; default 0. */
  imageNumber?: number | undefined;
  /** Checks of the gate that may fail, or all of them. They are made and told all the same. */
  skip?: readonly GateCheckName[] | "all" | undefined;
  /** Write the primary slot when the board is in serial recovery. */
  throughRecovery?: boolean | undefined;
  /** Stop after the gate. */
  dryRun?: boolean | undefined;
  /** Confirm when the image runs and is well. Default true. */
  confirm?: boolean | undefined;
  /** How long the new image must keep answering without a restart before it may be confirmed. Default 1000. */
  soakMs?: number | undefined;
  /** After that and an echo, in this order. */
  health?: readonly HealthCheck[] | undefined;
  /** How long the board may stay away after a reset. Default 60000. */
  withinMs?: number | undefined;
}

export type FlashEvent =
  | { step: "board"; facts: BoardFacts }
  | { step: "gate"; checks: GateCheck[] }
  | { step: "plan"; says: string[] }
  | UploadEvent
  | { step: "uploaded"; bytes: number; elapsedMs: number }
  /** `impossible`: the board decides by version which image runs, so there is nothing to mark. */
  | { step: "marked"; as: "test" | "impossible" }
  | { step: "reset" }
  | WatchEvent
  /** By itself, while it was watched. */
  | { step: "restarted" }
  | { step: "judged"; runsNewImage: boolean; says: string }
  | { step: "health"; name: string; ok: boolean; says: string }
  | { step: "confirmed" };

export type FlashOutcome =
  /** The new image runs and stays. */
  | "confirmed"
  /** It runs and will be reverted at the next reset, as asked. */
  | "on-trial"
  /** It runs; this board knows neither trial nor confirmation. */
  | "running"
  /** It was running already; nothing was sent. */
  | "already-running"
  | "dry-run"
  | "refused-by-gate"
  /** The board runs another image than the one that was sent: it refused or reverted it. */
  | "not-running"
  /** It ran but was not well; `reverted` says whether the old image is back. */
  | "unhealthy"
  /** It runs and refuses to be confirmed. */
  | "not-confirmed";

export interface FlashResult {
  outcome: FlashOutcome;
  /** The verdict in one sentence. */
  says: string;
  /** What to do now, when something is left to do. */
  hint?: string;
  imageHash?: Uint8Array;
  version?: string;
  gate: GateCheck[];
  before: BoardFacts;
  after?: BoardFacts;
  uploadedBytes?: number;
  uploadMs?: number;
  /** With `unhealthy`: the old image runs again. */
  reverted?: boolean;
}

/** A board that restarts this often by itself is judged as it stands: it will not calm down. */
const MOST_RESTARTS = 5;

/** A health check found the board unwell. */
export class HealthError extends BootproofError {
  declare readonly code: "unhealthy";

  constructor(message: string) {
    super("unhealthy", message);
  }
}

/**
 * The whole story of an update: gate, upload, mark for a test boot, reset, wait, judge by the hash that runs, health
 * check, confirm, read back. What the last reply was decides nothing; what the board runs afterwards does.
 *
 * Throws what talking to the board throws; refusals and reverts are results, not errors.
 */
export async function* flash(
  session: Session,
  file: Uint8Array,
  options: FlashOptions = {},
): AsyncGenerator<FlashEvent, FlashResult, void> {
  const { signal, imageNumber = 0 } = options;
  const before = await readFacts(session, options);
  yield { step: "board", facts: before };

  const { checks, image } = await gate(file, before, options);
  yield { step: "gate", checks };
  const refused = checks.filter((check) => check.result === "fail" && !isSkipped(check.name, options));
  const result = { gate: checks, before, ...named(image) };
  if (refused.length > 0 || image?.imageHash === undefined) return refusal(result, refused);

  const hash = image.imageHash.value;
  const running = runningSlot(before, imageNumber)?.content;
  if (running?.active && running.confirmed && running.hash && equal(running.hash, hash)) {
    return {
      ...result,
      outcome: "already-running",
      says: `Version ${running.version} with this very hash runs already and is confirmed.`,
    };
  }
  yield { step: "plan", says: plan(before, image, options) };
  if (options.dryRun) return { ...result, outcome: "dry-run", says: "The gate is open; nothing was sent." };

  const sent = yield* upload(session, file, {
    signal,
    ...(options.imageNumber === undefined ? {} : { image: imageNumber }),
  });
  yield { step: "uploaded", bytes: sent.sentBytes, elapsedMs: sent.elapsedMs };
  const uploaded = { ...result, uploadedBytes: sent.sentBytes, uploadMs: sent.elapsedMs };

  const trial = before.server !== "recovery" && (yield* mark(session, hash, signal));
  yield* restart(session, options);
  const after = yield* observe(session, options);
  const verdict = judge(before, after, hash, imageNumber);
  yield { step: "judged", runsNewImage: verdict.runs, says: verdict.says };
  if (!verdict.runs)
    return { ...uploaded, after, outcome: "not-running", says: verdict.says, hint: verdict.hint };

  const unwell = yield* checkHealth(session, options);
  if (unwell !== undefined)
    return { ...uploaded, ...(yield* giveUp(session, unwell, { trial, hash, imageNumber }, options)) };
  return { ...uploaded, ...(yield* keep(session, after, { trial, hash, imageNumber }, options)) };
}

async function gate(
  file: Uint8Array,
  facts: BoardFacts,
  options: FlashOptions,
): Promise<{ checks: GateCheck[]; image: Image | undefined }> {
  const verdict = await verifyImage(file, {
    ...(options.keys?.length ? { keys: options.keys } : {}),
    toBoot: true,
  });
  const { image } = verdict;
  const checks = checkFile(verdict);
  if (image !== undefined) {
    const { imageNumber = 0, throughRecovery = false } = options;
    checks.push(...checkAgainstBoard({ image, facts, imageNumber, throughRecovery }));
  }
  return { checks, image };
}

function isSkipped(name: GateCheckName, { skip }: FlashOptions): boolean {
  // Without a structure there is no hash to mark and none to judge by.
  return name !== "structure" && (skip === "all" || (skip?.includes(name) ?? false));
}

function refusal(result: Omit<FlashResult, "outcome" | "says">, refused: readonly GateCheck[]): FlashResult {
  const [first] = refused;
  const says = first?.says ?? "The image carries no hash by which the board could be asked for it.";
  return {
    ...result,
    outcome: "refused-by-gate",
    says,
    ...(first?.hint === undefined ? {} : { hint: first.hint }),
  };
}

function named(image: Image | undefined): { imageHash?: Uint8Array; version?: string } {
  if (image === undefined) return {};
  return {
    version: formatVersion(image.version),
    ...(image.imageHash && { imageHash: image.imageHash.value }),
  };
}

/** What will happen, in words, before it happens. */
function plan(facts: BoardFacts, image: Image, options: FlashOptions): string[] {
  const { imageNumber = 0, confirm = true } = options;
  const running = runningSlot(facts, imageNumber)?.content;
  const next = formatVersion(image.version);
  const short = (hash: Uint8Array | undefined) =>
    hash === undefined ? "" : ` (${toHex(hash).slice(0, 12)})`;
  const change = `${facts.name}: ${running ? `${running.version}${short(running.hash)}` : "no image"} -> ${next}${short(image.imageHash?.value)}`;
  if (facts.server === "recovery") {
    return [change, `Write ${image.size} bytes straight over the primary slot, reset, see whether it runs.`];
  }
  const end = confirm ? "confirm it if it is well" : "leave it on trial";
  return [
    change,
    `Send ${image.size} bytes to the free slot, mark them for a test boot, reset, see whether it runs, ${end}.`,
  ];
}

/** Marks for a test boot and reads back that it took. False: this board has no such thing. */
async function* mark(
  session: Session,
  hash: Uint8Array,
  signal: AbortSignal | undefined,
): AsyncGenerator<FlashEvent, boolean, void> {
  try {
    const { images } = await session.client.send(imageMark, { hash, confirm: false }, { signal });
    const took = images.some((entry) => entry.hash && equal(entry.hash, hash) && entry.pending);
    if (!took) throw new MarkError();
    yield { step: "marked", as: "test" };
    return true;
  } catch (error) {
    if (!(error instanceof DeviceError && error.rcName === "ENOTSUP")) throw error;
    yield { step: "marked", as: "impossible" };
    return false;
  }
}

/** The device took the request for a test boot and does not show it. */
export class MarkError extends BootproofError {
  declare readonly code: "mark-lost";

  constructor() {
    super(
      "mark-lost",
      "The board accepted the request for a test boot, but its image list does not show it.",
      {
        hint: "Its slot may hold a damaged trailer: erase it with bootproof image erase and flash again.",
      },
    );
  }
}

export interface RestartPlan {
  signal?: AbortSignal | undefined;
  withinMs?: number | undefined;
  /** MCUmgr's boot mode for the reset; see `BOOT_MODES`. */
  bootMode?: number | undefined;
}

/**
 * Resets the board, waits until it is back and finds out who answers. Returns false when nothing shows that it restarted.
 * A lost answer to the reset is no failure: boards often restart before they have sent it.
 */
export async function* restart(
  session: Session,
  options: RestartPlan = {},
): AsyncGenerator<{ step: "reset" } | WatchEvent, boolean, void> {
  const { signal, withinMs, bootMode } = options;
  const fingerprint = (how: AbortSignal | undefined) => restartFingerprint(session, how);
  const before = await fingerprint(signal);
  try {
    await session.client.send(osReset, bootMode === undefined ? {} : { boot_mode: bootMode }, { signal });
  } catch (error) {
    if (!(error instanceof RequestTimeout || error instanceof TransportError)) throw error;
  }
  yield { step: "reset" };
  const restarted = yield* untilRestarted(session, { signal, withinMs, fingerprint, before });
  await identify(session.client, { signal });
  return restarted;
}

/** What the board runs once it has run without a restart for a while. */
async function* observe(
  session: Session,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, BoardFacts, void> {
  const { signal, withinMs, soakMs: forMs = 1000 } = options;
  const fingerprint = (how: AbortSignal | undefined) => restartFingerprint(session, how);
  for (let watches = 0; watches < MOST_RESTARTS; watches++) {
    if (session.client.server.mode === "recovery") break;
    if (yield* staysUp(session, { signal, withinMs, forMs, fingerprint })) break;
    yield { step: "restarted" };
    await identify(session.client, { signal });
  }
  return readFacts(session, options);
}

function judge(
  before: BoardFacts,
  after: BoardFacts,
  hash: Uint8Array,
  imageNumber: number,
): { runs: true; says: string } | { runs: false; says: string; hint: string } {
  const running = runningSlot(after, imageNumber)?.content;
  // The bootloader lists what lies in the primary slot without having started it.
  const runs = after.server !== "recovery" && running?.hash !== undefined && equal(running.hash, hash);
  if (runs) return { runs, says: `The board runs version ${running.version} with the hash that was sent.` };
  return { runs: false, ...explainOldImage(before, after, hash, imageNumber) };
}

const ECHO: HealthCheck = {
  name: "echo",
  async check(session, signal) {
    const text = "bootproof";
    const { r } = await session.client.send(osEcho, { d: text }, { signal });
    if (r !== text) throw new HealthError(`The board repeats "${r}" instead of "${text}".`);
    return "The board repeats what it is sent.";
  },
};

/** Why the board is not well; undefined when it is. */
async function* checkHealth(
  session: Session,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, string | undefined, void> {
  for (const health of [ECHO, ...(options.health ?? [])]) {
    try {
      const says = await health.check(session, options.signal);
      yield { step: "health", name: health.name, ok: true, says };
    } catch (error) {
      // A fault of ours or Ctrl-C says nothing about the board.
      if (!(error instanceof BootproofError)) throw error;
      yield { step: "health", name: health.name, ok: false, says: error.message };
      return `Health check "${health.name}" failed: ${error.message}`;
    }
  }
  return undefined;
}

interface Candidate {
  /** The image is on trial: a reset reverts it. */
  trial: boolean;
  hash: Uint8Array;
  imageNumber: number;
}

/** The image is not well: lets the board revert it, where it can. */
async function* giveUp(
  session: Session,
  why: string,
  { trial, hash, imageNumber }: Candidate,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, Pick<FlashResult, "outcome" | "says" | "hint" | "after" | "reverted">, void> {
  const unwell = { outcome: "unhealthy" as const, reverted: false };
  if (!trial) {
    const says = `${why} This board has no trial boot, so the image stays.`;
    return { ...unwell, says, hint: "Flash a working image, or use serial recovery." };
  }
  yield* restart(session, options);
  const after = await readFacts(session, options);
  const running = runningSlot(after, imageNumber)?.content;
  const reverted = after.server !== "recovery" && running?.hash !== undefined && !equal(running.hash, hash);
  const says = reverted
    ? `${why} The board was reset and went back to version ${running?.version}.`
    : `${why} The board was reset but did not go back to the old image.`;
  return { ...unwell, reverted, says, after };
}

/** The image is well: confirms it unless told otherwise, and reads back that it took. */
async function* keep(
  session: Session,
  after: BoardFacts,
  { trial, hash, imageNumber }: Candidate,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, Pick<FlashResult, "outcome" | "says" | "hint" | "after">, void> {
  const running = runningSlot(after, imageNumber)?.content;
  const version = running?.version ?? "";
  if (running?.confirmed) {
    const says = trial
      ? `Version ${version} runs and has confirmed itself, before any health check.`
      : `Version ${version} runs.`;
    return { outcome: trial ? "confirmed" : "running", says, after };
  }
  if (options.confirm === false) {
    return {
      outcome: "on-trial",
      says: `Version ${version} runs on trial: the next reset reverts it unless it is confirmed.`,
      hint: "Keep it with bootproof image confirm.",
      after,
    };
  }
  try {
    // Without a hash the running image is meant; further image numbers are only told apart by theirs.
    await session.client.send(imageMark, imageNumber === 0 ? { confirm: true } : { hash, confirm: true }, {
      signal: options.signal,
    });
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    if (error.rcName === "ENOTSUP" && !trial)
      return { outcome: "running", says: `Version ${version} runs; this board has no confirmation.`, after };
    return {
      outcome: "not-confirmed",
      says: `Version ${version} runs but does not let itself be confirmed: ${error.message}`,
      hint: "The next reset reverts it.",
      after,
    };
  }
  const confirmed = await readFacts(session, options);
  if (!runningSlot(confirmed, imageNumber)?.content?.confirmed) {
    return {
      outcome: "not-confirmed",
      says: `The board accepted the confirmation of version ${version}, but does not show it.`,
      hint: "The next reset may revert it.",
      after: confirmed,
    };
  }
  yield { step: "confirmed" };
  return { outcome: "confirmed", says: `Version ${version} runs and is confirmed.`, after: confirmed };
}
