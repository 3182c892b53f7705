import { equal, toHex } from "../bytes.js";
import { identify } from "../client/connect.js";
import { BootproofError } from "../errors.js";
import type { Image } from "../image/image.js";
import type { Key } from "../image/keys.js";
import { verifyImage } from "../image/verify.js";
import { formatVersion } from "../image/version.js";
import { imageList, imageMark } from "../smp/groups/image.js";
import { osEcho, osReset } from "../smp/groups/os.js";
import { DeviceError } from "../smp/message.js";
import { explainOldImage } from "./aftermath.js";
import {
  type BoardFacts,
  type KnownImage,
  readFacts,
  restartFingerprint,
  runningSlot,
  type SlotContent,
  slotsOf,
} from "./facts.js";
import {
  checkAgainstBoard,
  checkFile,
  type GateCheck,
  type GateCheckName,
  mayRevert,
  targetSlot,
} from "./gate.js";
import { isAway, staysUp, untilAnswering, untilRestarted, type WatchEvent } from "./reconnect.js";
import type { Session } from "./session.js";
import { eraseSlot, type UploadEvent, upload } from "./upload.js";

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
  /** The slot held the file from an earlier try but could not be marked: it is erased and filled anew. */
  | { step: "sent-again"; why: string }
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
  const { imageNumber = 0 } = options;
  const before = await readFacts(session, options);
  yield { step: "board", facts: before };

  const { checks, image } = await gate(file, before, options);
  yield { step: "gate", checks };
  const refused = checks.filter((check) => check.result === "fail" && !isSkipped(check.name, options));
  const result = { gate: checks, before, ...named(image) };
  if (refused.length > 0 || image?.imageHash === undefined) return refusal(result, refused);

  const hash = image.imageHash.value;
  const target = { hash, imageNumber };
  const stage = stageOf(before, target);
  if (stage === "confirmed") {
    const says = `Version ${result.version} with this very hash runs already and is confirmed.`;
    return { ...result, outcome: "already-running", says };
  }
  yield { step: "plan", says: plan(before, image, stage, options) };
  if (options.dryRun) return { ...result, outcome: "dry-run", says: "The gate is open; nothing was sent." };

  const { trial, ...sent } =
    stage === "absent"
      ? yield* sendAndMark(session, file, before, target, options)
      : { trial: mayRevert(before) };
  const told = { ...result, ...sent };
  if (stage !== "on-trial") yield* restartIntoIt(session, target, options);
  const after = yield* observe(session, options);
  const verdict = judge(before, after, target);
  yield { step: "judged", runsNewImage: verdict.runs, says: verdict.says };
  if (!verdict.runs)
    return { ...told, after, outcome: "not-running", says: verdict.says, hint: verdict.hint };

  const candidate = { ...target, trial };
  const unwell = yield* checkHealth(session, options);
  if (unwell !== undefined) return { ...told, ...(yield* giveUp(session, unwell, candidate, options)) };
  return { ...told, ...(yield* keep(session, after, candidate, options)) };
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

/** Which image is meant, and for which pair of slots. */
interface Target {
  hash: Uint8Array;
  imageNumber: number;
}

/**
 * How far this very image has come on the board. An update that was cut short (a host that crashed, a power cut) is
 * taken up where it stands: what is marked is not sent again, what runs on trial is not restarted.
 */
type Stage = "absent" | "marked" | "on-trial" | "confirmed";

function stageOf(facts: BoardFacts, target: Target): Stage {
  if (facts.server === "recovery") return "absent";
  const running = runningSlot(facts, target.imageNumber)?.content;
  if (running?.active && isTarget(running, target)) return running.confirmed ? "confirmed" : "on-trial";
  return slotsOf(facts, target.imageNumber).some(
    ({ content }) => content?.pending && isTarget(content, target),
  )
    ? "marked"
    : "absent";
}

const isTarget = (content: SlotContent | undefined, { hash }: Target): boolean =>
  content?.hash !== undefined && equal(content.hash, hash);

/** True when the board says that it runs this image. The bootloader lists what lies in the primary slot unstarted. */
function runs(facts: BoardFacts, target: Target): boolean {
  return facts.server !== "recovery" && isTarget(runningSlot(facts, target.imageNumber)?.content, target);
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
function plan(facts: BoardFacts, image: Image, stage: Stage, options: FlashOptions): string[] {
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
  const begin: Readonly<Record<Exclude<Stage, "confirmed">, string>> = {
    absent: `Send ${image.size} bytes to the free slot, mark them for ${mayRevert(facts) ? "a test" : "the next"} boot, reset, see whether it runs`,
    marked: "The board holds this image, marked for the next boot: reset, see whether it runs",
    "on-trial": "The board runs this image already, on trial: see whether it keeps running",
  };
  return [change, `${begin[stage as Exclude<Stage, "confirmed">]}, ${end}.`];
}

interface Sent {
  uploadedBytes: number;
  uploadMs: number;
  /** It is marked, and a reset will revert it unless it is confirmed. */
  trial: boolean;
}

async function* sendAndMark(
  session: Session,
  file: Uint8Array,
  before: BoardFacts,
  { hash, imageNumber }: Target,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, Sent, void> {
  const { signal } = options;
  const send = async function* () {
    const sent = yield* upload(session, file, { signal, image: options.imageNumber });
    yield { step: "uploaded" as const, bytes: sent.sentBytes, elapsedMs: sent.elapsedMs };
    return sent;
  };
  const first = yield* send();
  const told = { uploadedBytes: first.sentBytes, uploadMs: first.elapsedMs };
  if (before.server === "recovery") return { ...told, trial: false };
  try {
    return { ...told, trial: (yield* mark(session, hash, signal)) && mayRevert(before) };
  } catch (error) {
    // Power that failed during an earlier mark leaves the whole file and a damaged trailer: the board keeps both.
    const keptOld = first.resumedAt === file.length;
    if (!keptOld || !(error instanceof DeviceError || error instanceof MarkError)) throw error;
    yield { step: "sent-again", why: error.message };
  }
  await eraseSlot(session, { image: imageNumber, slot: targetSlot(before, imageNumber)?.slot ?? 1, signal });
  const again = yield* send();
  return {
    uploadedBytes: again.sentBytes,
    uploadMs: told.uploadMs + again.elapsedMs,
    trial: (yield* mark(session, hash, signal)) && mayRevert(before),
  };
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
    if (!isAway(error)) throw error;
  }
  yield { step: "reset" };
  const restarted = yield* untilRestarted(session, { signal, withinMs, fingerprint, before });
  await identify(session.client, { signal });
  return restarted;
}

/**
 * Restarts a board that holds a marked image. When nothing shows that it did and the mark still stands, the request was
 * lost on the way, and only then it may be repeated: a second restart would revert an image on trial.
 */
async function* restartIntoIt(
  session: Session,
  target: Target,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, void, void> {
  if (yield* restart(session, options)) return;
  const { images } = await session.client.send(imageList, {}, { signal: options.signal });
  const stillMarked = images.some(({ hash, pending }) => pending && hash && equal(hash, target.hash));
  if (stillMarked) yield* restart(session, options);
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
  return yield* readFactsOnceBack(session, options);
}

/** The facts; a board that goes away meanwhile, as one whose watchdog bites, is waited for and asked again. */
async function* readFactsOnceBack(
  session: Session,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, BoardFacts, void> {
  const { signal, withinMs } = options;
  for (let tries = 1; ; tries++) {
    try {
      return await readFacts(session, options);
    } catch (error) {
      if (!isAway(error) || tries === MOST_RESTARTS) throw error;
    }
    yield* untilAnswering(session, { signal, withinMs });
    await identify(session.client, { signal });
  }
}

function judge(
  before: BoardFacts,
  after: BoardFacts,
  target: Target,
): { runs: true; says: string } | { runs: false; says: string; hint: string } {
  const { hash, imageNumber } = target;
  if (!runs(after, target)) return { runs: false, ...explainOldImage(before, after, hash, imageNumber) };
  const version = runningSlot(after, imageNumber)?.content?.version;
  return { runs: true, says: `The board runs version ${version} with the hash that was sent.` };
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
      // Ctrl-C says nothing about the board; a check that fails in whatever way has not found it well.
      options.signal?.throwIfAborted();
      const says = error instanceof Error ? error.message : String(error);
      yield { step: "health", name: health.name, ok: false, says };
      return `Health check "${health.name}" failed: ${says}${/[.!?]$/.test(says) ? "" : "."}`;
    }
  }
  return undefined;
}

interface Candidate extends Target {
  /** The image is on trial: a reset reverts it. */
  trial: boolean;
}

type Ending = Pick<FlashResult, "outcome" | "says" | "hint" | "after" | "reverted">;

/** The image is not well: lets the board revert it, where it can. */
async function* giveUp(
  session: Session,
  why: string,
  candidate: Candidate,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, Ending, void> {
  const { signal, withinMs } = options;
  if (!candidate.trial) {
    const says = `${why} This board has no trial boot, so the image stays.`;
    const hint = "Flash a working image, or use serial recovery.";
    return { outcome: "unhealthy", reverted: false, says, hint };
  }
  yield* untilAnswering(session, { signal, withinMs });
  if (runs(await readFacts(session, options), candidate)) yield* restart(session, options);
  const after = yield* readFactsOnceBack(session, options);
  const reverted = after.server !== "recovery" && !runs(after, candidate);
  const version = runningSlot(after, candidate.imageNumber)?.content?.version;
  const says = reverted
    ? `${why} The board was reset and went back to version ${version}.`
    : `${why} The board was reset but did not go back to the old image.`;
  return { outcome: "unhealthy", reverted, says, after };
}

/** The image is well: confirms it unless told otherwise, and reads back that it took. */
async function* keep(
  session: Session,
  after: BoardFacts,
  candidate: Candidate,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, Ending, void> {
  const { trial, imageNumber } = candidate;
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
  const refusal = yield* confirmRunning(session, candidate, options);
  if (refusal?.rcName === "ENOTSUP" && !trial)
    return { outcome: "running", says: `Version ${version} runs; this board has no confirmation.`, after };
  const outcome = "not-confirmed";
  if (refusal !== undefined) {
    const says = `Version ${version} runs but does not let itself be confirmed: ${refusal.message}`;
    return {
      outcome,
      says,
      hint: "The next reset reverts it: flash an image that lets itself be confirmed.",
      after,
    };
  }
  const end = yield* readFactsOnceBack(session, options);
  if (!runs(end, candidate)) {
    const says = `Version ${version} was lost while it was being confirmed. ${explainOldImage(after, end, candidate.hash, imageNumber).says}`;
    return { outcome, says, hint: "Flash it again.", after: end };
  }
  if (!runningSlot(end, imageNumber)?.content?.confirmed) {
    const says = `The board accepted the confirmation of version ${version}, but does not show it.`;
    return { outcome, says, hint: "See bootproof image list; the next reset may revert it.", after: end };
  }
  yield { step: "confirmed" };
  return { outcome: "confirmed", says: `Version ${version} runs and is confirmed.`, after: end };
}

/** Asks the running image to stay. Returns the board's refusal, when it refuses; a lost answer is left to the reading back. */
async function* confirmRunning(
  session: Session,
  { hash, imageNumber }: Target,
  { signal, withinMs }: FlashOptions,
): AsyncGenerator<FlashEvent, DeviceError | undefined, void> {
  // Without a hash the running image is meant; further image numbers are only told apart by theirs.
  const request = imageNumber === 0 ? { confirm: true } : { hash, confirm: true };
  try {
    await session.client.send(imageMark, request, { signal });
  } catch (error) {
    if (error instanceof DeviceError) return error;
    if (!isAway(error)) throw error;
    yield* untilAnswering(session, { signal, withinMs });
  }
  return undefined;
}
