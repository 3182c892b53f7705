import type { Client } from "../client/client.js";
import { connect } from "../client/connect.js";
import type { Key } from "../crypto/keys.js";
import { BootproofError } from "../errors.js";
import { cryptBody, type DecryptionKey, unwrapContentKey } from "../mcuboot/encryption.js";
import { type Image, parseImage } from "../mcuboot/image.js";
import { verifyImage } from "../mcuboot/verify.js";
import { formatVersion } from "../mcuboot/version.js";
import type { BoardFacts, KnownImage } from "../session/board-facts.js";
import { AwayError } from "../session/reconnect.js";
import { retryUntilBack } from "../session/retry-until-back.js";
import type { Session } from "../session/session.js";
import { DeviceError } from "../smp/message.js";
import type { RatchetPort } from "../trust/ratchet.js";
import type { PolicyHook } from "../update/events.js";
import { checkFile } from "../update/file-checks.js";
import { type FlashEvent, type FlashResult, flash, type HealthCheck } from "../update/flash.js";
import { askRatchet, memoryOf, ratchetChecks } from "../update/memory.js";
import { payloadFor, type TrailerWish } from "../update/payload.js";
import { checkAgainstBoard } from "../update/preflight.js";
import { maySkip, type PreflightCheck, type PreflightCheckName } from "../update/preflight-check.js";
import { UploadError } from "../update/upload.js";
import { type AliveBoard, findLife } from "./alive.js";
import {
  type MethodResult,
  RECOVERY_METHODS,
  type RecoveryFacts,
  type RecoveryMethod,
  type RecoveryMethodName,
} from "./methods.js";
import type { RecoveryTarget } from "./target.js";
import { judgeWritten } from "./verify-written.js";

export interface RecoverOptions {
  signal?: AbortSignal | undefined;
  /** Public keys of which one must have signed the image. None: the preflight refuses unless `signature` is skipped. */
  keys: readonly Key[];
  known?: readonly KnownImage[] | undefined;
  /** Which image; default 0. Others only where the bootloader says that it has them. */
  imageNumber?: number | undefined;
  /** Checks of the preflight that may fail, or all of them but the structure. They are made and told all the same. */
  skip?: readonly PreflightCheckName[] | "all" | undefined;
  /**
   * Asked before anything is done to a board that shows signs of life: an application that answers, or a valid image in
   * the primary slot. Default: such a board is left alone.
   */
  althoughAlive?: ((alive: AliveBoard) => Promise<boolean>) | undefined;
  /** Recovery methods to leave out. */
  without?: readonly RecoveryMethodName[] | undefined;
  /** Asked before a recovery method that writes flash past MCUboot. Default: such recovery methods are not taken. */
  consent?: ((method: MethodSummary) => Promise<boolean>) | undefined;
  /** Private key of an encrypted image, to check its digest as well. */
  decryptionKey?: DecryptionKey | undefined;
  /** Send it decrypted through serial recovery too: most bootloaders decrypt only what they swap in. */
  decrypted?: boolean | undefined;
  /** What a policy says of the image; see `FlashOptions`. */
  policy?: PolicyHook | undefined;
  /** What this host remembers of the board: asked before anything is done, told before anything is written. */
  ratchet?: RatchetPort | undefined;
  /** Make this trailer for the primary slot, or none; see `FlashOptions`. */
  trailer?: TrailerWish["trailer"];
  /** What erased flash reads as, for a made trailer; see `FlashOptions`. Default: as the profile says. */
  erasedValue?: number | undefined;
  health?: readonly HealthCheck[] | undefined;
  /** How long a board may take to show itself after a restart. Default 15000. */
  withinMs?: number | undefined;
  /** Only tell which recovery methods there are. */
  dryRun?: boolean | undefined;
}

/** A recovery method in words, before it is taken. */
export interface MethodSummary {
  name: RecoveryMethodName;
  summary: string;
  destroys: string;
  /** Why it cannot be taken here. */
  unavailable?: string;
}

export type RecoverEvent =
  /** The checks of the file, before anything is done to the board. */
  | { step: "file"; checks: PreflightCheck[] }
  | { step: "found"; message: string }
  /** The board shows signs of life; `althoughAlive` is asked next. */
  | { step: "alive"; message: string }
  /** A recovery method cannot be taken here, or was declined. */
  | { step: "passed-over"; method: RecoveryMethodName; why: string }
  /** A recovery method is about to be taken. */
  | { step: "method"; method: MethodSummary }
  | { step: "failed"; method: RecoveryMethodName; why: string }
  | { step: "in-recovery"; method: RecoveryMethodName }
  | { step: "written"; method: RecoveryMethodName; message: string }
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
  | "refused-by-preflight"
  /** The board shows signs of life, and nobody agreed to write over what works: nothing was done to it. */
  | "alive"
  /** It was written, and the board does not run it. */
  | "not-running"
  /** No recovery method led anywhere. */
  | "no-way-in";

export interface RecoverResult {
  outcome: RecoverOutcome;
  message: string;
  hint?: string;
  /** The recovery method that worked. */
  method?: RecoveryMethodName;
  /** With `refused-by-preflight`: the first check that did. */
  refusedBy?: PreflightCheckName;
  /** Every recovery method that was considered. */
  tried: { method: RecoveryMethodName; why: string }[];
  preflight: PreflightCheck[];
  /** How the update through serial recovery went. */
  flash?: FlashResult;
}

const DEFAULT_WITHIN_MS = 15_000;

/**
 * Gets a board that no longer boots to run `file`: climbs the list of recovery methods from the least destructive recovery method up, says before each
 * what it will do and what that destroys, and stops at the first that works. In serial recovery the image goes straight
 * over the primary slot and nobody checks it before the next boot. So the preflight is that of `flash`, a board that shows
 * signs of life is only written with consent, and the result is judged by what runs afterwards.
 *
 * Refusals and recovery methods that fail are results, not errors. Abort throws the signal's reason.
 *
 * @param target - how the board can be reached
 * @param file - a signed image
 * @param options - `keys` that the board trusts; which methods; consent; times in milliseconds
 * @returns the outcome in words, the method that worked, and every method that was considered
 * @throws what reading of devices throws; abort throws the signal's reason
 */
export async function* recover(
  target: RecoveryTarget,
  file: Uint8Array,
  options: RecoverOptions,
): AsyncGenerator<RecoverEvent, RecoverResult, void> {
  const { checks, image, bytes, plain } = await checkTheFile(file, target, options);
  yield { step: "file", checks };
  const result = { preflight: checks, tried: [] as RecoverResult["tried"] };
  const refused = firstRefusal(checks, options);
  if (refused || image === undefined) return { ...result, ...refusalOf(refused) };

  if (options.decrypted && plain === undefined)
    return {
      ...result,
      outcome: "refused-by-preflight",
      message: "The image is encrypted, and cannot be sent decrypted without its key.",
      hint: "Add --decrypt-key FILE with the private half of the key that it is encrypted for.",
    };
  const sent = options.decrypted ? plain! : bytes;
  const recoveryFacts = await gatherFacts(target, { file: sent, plain }, options);
  try {
    yield { step: "found", message: foundWords(recoveryFacts) };
    const life = recoveryFacts.client && (await findLife(recoveryFacts.client, options));
    if (life && recoveryFacts.client?.server.mode !== "recovery") {
      const boardChecks = life.facts === undefined ? [] : checkThroughRecovery(image, life.facts, options);
      yield { step: "preflight", checks: boardChecks };
      result.preflight = [...checks, ...boardChecks];
      const why = firstRefusal(boardChecks, options);
      if (why) return { ...result, ...refusalOf(why) };
    }
    const consent: Consent = { agreed: options.dryRun === true, facts: life?.facts };
    if (life && !(yield* agree(life, consent, options))) return { ...result, ...leftAlone(life, target) };
    for (const method of RECOVERY_METHODS) {
      const words = wordsOf(method, recoveryFacts);
      const passed = options.dryRun ? "This is a dry run." : await whyNot(words, method, options);
      if (passed !== undefined) {
        result.tried.push({ method: method.name, why: words.unavailable ?? passed });
        yield options.dryRun && words.unavailable === undefined
          ? { step: "method", method: words }
          : { step: "passed-over", method: method.name, why: words.unavailable ?? passed };
        continue;
      }
      yield { step: "method", method: words };
      // From here on the image may be in the primary slot, whatever ends this process.
      const memory = memoryOf(image, options.imageNumber ?? 0, options.ratchet);
      if (method.needsConsent) await memory.intend();
      const climbed = yield* attemptMethod(method, recoveryFacts, options);
      if (climbed.kind !== "failed") {
        const sent = { ...recoveryFacts, file: options.decrypted ? plain! : file };
        const ending = yield* finish(method, climbed, sent, consent, options);
        if (climbed.kind === "written" && ending.outcome === "recovered") await memory.confirmed();
        return { ...result, ...ending };
      }
      result.tried.push({ method: method.name, why: climbed.why });
      yield { step: "failed", method: method.name, why: climbed.why };
    }
  } finally {
    await recoveryFacts.client?.close();
  }
  return options.dryRun
    ? { ...result, outcome: "dry-run", message: "Nothing was done to the board." }
    : {
        ...result,
        outcome: "no-way-in",
        message: `No recovery method worked for ${target.name}.`,
        hint: "Each recovery method above shows what it needs: a power switch, a profile with the wiring, a debug tool.",
      };
}

/**
 * The file alone, judged as `flash` judges it. `bytes`: what methods that write flash past MCUboot put into the slot;
 * `plain`: the same not encrypted, undefined when nothing here decrypts it.
 */
async function checkTheFile(
  file: Uint8Array,
  target: RecoveryTarget,
  {
    keys,
    trailer,
    erasedValue = target.profile?.erasedValue,
    decryptionKey,
    policy,
    ratchet,
    imageNumber = 0,
  }: RecoverOptions,
): Promise<{
  checks: PreflightCheck[];
  image: Image | undefined;
  bytes: Uint8Array;
  plain: Uint8Array | undefined;
}> {
  const verdict = await verifyImage(file, {
    ...(keys.length ? { keys } : {}),
    ...(decryptionKey && { decryptionKey }),
    toBoot: true,
  });
  const checks = checkFile(verdict);
  const { image } = verdict;
  if (image === undefined) return { checks, image, bytes: file, plain: file };
  const { bytes, check } = payloadFor(file, image, undefined, {
    trailer,
    erasedValue,
    slotSize: target.profile?.slots?.[0]?.size,
  });
  const { signedBy } = verdict;
  const remembers = await askRatchet(image, imageNumber, ratchet);
  const judged = policy?.({ ...(signedBy && { signedBy }), ...(remembers && { ratchet: remembers }) }) ?? [];
  const plain = await decrypted(bytes, image, decryptionKey, checks);
  const all = [...checks, { name: "trailer" as const, ...check }, ...ratchetChecks(remembers), ...judged];
  return { checks: all, image, bytes, plain };
}

const isOpen = ({ name, result }: { name: string; result: string }) =>
  name === "decryption" && result === "pass";

/** The bytes as MCUboot itself leaves them in the primary slot: the flag stays, the body is in clear. */
async function decrypted(
  bytes: Uint8Array,
  image: Image,
  key: DecryptionKey | undefined,
  checks: readonly PreflightCheck[],
): Promise<Uint8Array | undefined> {
  if (!image.encrypted) return bytes;
  // Flagged as encrypted, with a body in clear: imgtool's --clear.
  const inClear = (await verifyImage(bytes, {})).checks.some(isOpen);
  if (inClear) return bytes;
  if (key === undefined || !checks.some(isOpen)) return undefined;
  const plain = bytes.slice();
  plain.set(await cryptBody(await unwrapContentKey(image, key), image.body), image.header.headerSize);
  return plain;
}

/** What an application tells, applied to an image that serial recovery will write. */
function checkThroughRecovery(
  image: Image,
  facts: BoardFacts,
  { imageNumber = 0 }: RecoverOptions,
): PreflightCheck[] {
  const asRecovery: BoardFacts = { ...facts, server: "recovery" };
  return checkAgainstBoard({ image, facts: asRecovery, imageNumber, throughRecovery: true });
}

function firstRefusal(
  checks: readonly PreflightCheck[],
  { skip }: RecoverOptions,
): PreflightCheck | undefined {
  return checks.find(({ name, result }) => result === "fail" && !maySkip(name, skip));
}

function refusalOf(refused: PreflightCheck | undefined): Ending {
  const { message = "The file contains no image.", hint = "Nothing was done to the board." } = refused ?? {};
  return { outcome: "refused-by-preflight", message, hint, ...(refused && { refusedBy: refused.name }) };
}

/** Whether somebody agreed to write over what works, and what is known of the board. */
interface Consent {
  agreed: boolean;
  facts?: BoardFacts | undefined;
}

async function* agree(
  life: AliveBoard,
  consent: Consent,
  options: RecoverOptions,
): AsyncGenerator<RecoverEvent, boolean, void> {
  yield { step: "alive", message: life.message };
  consent.agreed ||= (await options.althoughAlive?.(life)) ?? false;
  return consent.agreed;
}

function leftAlone({ message }: AliveBoard, { name }: RecoveryTarget): Ending {
  return {
    outcome: "alive",
    message: `${name} needs no recovery. ${message} Nothing was written.`,
    hint: "Update it with bootproof flash. To overwrite its primary slot anyway, add --yes --although-alive.",
  };
}

async function gatherFacts(
  target: RecoveryTarget,
  content: Pick<RecoveryFacts, "file" | "plain">,
  { signal, withinMs = DEFAULT_WITHIN_MS }: RecoverOptions,
): Promise<RecoveryFacts> {
  const meet = async () => connect(await target.dial(signal), { probes: 3, ...target.connect, signal });
  try {
    const client = await retryUntilBack(meet, { signal, withinMs });
    return { target, ...content, client, silence: "" };
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof BootproofError)) throw error;
    return { target, ...content, client: undefined, silence: error.message };
  }
}

function foundWords({ client, target, silence }: RecoveryFacts): string {
  if (client === undefined) return `${target.name}: no answer. ${silence}`;
  const { mode } = client.server;
  const who: Readonly<Record<Client["server"]["mode"], string>> = {
    application: "its application answers",
    recovery: "its bootloader's serial recovery answers",
    unknown: "a server answers, application or bootloader",
  };
  return `${target.name}: ${who[mode]}.`;
}

function wordsOf(method: RecoveryMethod, recoveryFacts: RecoveryFacts): MethodSummary {
  const unavailable = method.unavailable(recoveryFacts);
  return {
    name: method.name,
    summary: method.summary(recoveryFacts),
    destroys: method.destroys(recoveryFacts),
    ...(unavailable === undefined ? {} : { unavailable }),
  };
}

async function whyNot(
  words: MethodSummary,
  method: RecoveryMethod,
  options: RecoverOptions,
): Promise<string | undefined> {
  if (words.unavailable !== undefined) return words.unavailable;
  if (options.without?.includes(method.name)) return "It was excluded on request.";
  if (!method.needsConsent) return undefined;
  const agreed = (await options.consent?.(words)) ?? false;
  return agreed
    ? undefined
    : `It needs consent (--yes). It would do this: ${words.summary} What is lost: ${words.destroys}`;
}

async function* attemptMethod(
  method: RecoveryMethod,
  recoveryFacts: RecoveryFacts,
  { signal, withinMs = DEFAULT_WITHIN_MS }: RecoverOptions,
): AsyncGenerator<RecoverEvent, MethodResult, void> {
  const progress: RecoverEvent[] = [];
  const onProgress = (done: number, total: number) => void progress.push({ step: "writing", done, total });
  try {
    return await method.attempt(recoveryFacts, { signal, withinMs, onProgress });
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof BootproofError)) throw error;
    return { kind: "failed", why: error.message };
  } finally {
    yield* progress.slice(-1);
  }
}

type Ending = Omit<RecoverResult, "tried" | "preflight">;

async function* finish(
  method: RecoveryMethod,
  climbed: Exclude<MethodResult, { kind: "failed" }>,
  { target, file }: RecoveryFacts,
  consent: Consent,
  options: RecoverOptions,
): AsyncGenerator<RecoverEvent, Ending, void> {
  if (climbed.kind === "written") {
    yield { step: "written", method: method.name, message: climbed.message };
    const { signal, withinMs = DEFAULT_WITHIN_MS } = options;
    const verdict = yield* judgeWritten(target, file, { signal, withinMs });
    if (verdict.outcome !== "written") return { method: method.name, ...verdict };
    const hint =
      "Nothing has answered on this port since, so it is not known whether it runs: look at its log, or run bootproof info.";
    return { outcome: "written", method: method.name, message: climbed.message, hint };
  }
  yield { step: "in-recovery", method: method.name };
  try {
    const life = consent.agreed ? undefined : await findLife(climbed.session.client, options);
    if (life && !(yield* agree(life, consent, options)))
      return { method: method.name, ...leftAlone(life, target) };
    return { method: method.name, ...(yield* writeThroughRecovery(climbed.session, file, consent, options)) };
  } finally {
    await climbed.session.close();
  }
}

/** The ordinary update, through the bootloader. */
async function* writeThroughRecovery(
  session: Session,
  file: Uint8Array,
  { facts }: Consent,
  options: RecoverOptions,
): AsyncGenerator<RecoverEvent, Ending, void> {
  const { signal, keys, decryptionKey, known, imageNumber, health, skip, trailer, erasedValue, ratchet } =
    options;
  const knownMode = facts?.bootloader?.mode;
  const how = {
    signal,
    keys,
    decryptionKey,
    known,
    imageNumber,
    health,
    skip,
    trailer,
    erasedValue,
    ratchet,
    knownMode,
    throughRecovery: true,
  };
  for (let tries = 1; ; tries++) {
    const seen = new Set<RecoverEvent["step"]>();
    try {
      const result = yield* noting(flash(session, file, how), seen);
      const ending = ENDINGS[result.outcome];
      const { encrypted } = parseImage(file);
      const hint =
        ending.outcome === "not-running" && encrypted && !options.decrypted ? STILL_ENCRYPTED : result.hint;
      return { ...ending, message: result.message, ...(hint && { hint }), flash: result };
    } catch (error) {
      if (error instanceof AwayError) return seen.has("reset") ? silentNow(file) : cutShort(error, seen);
      if (!isWorthAnother(error) || tries === MOST_TRIES) throw error;
      yield { step: "again", why: error.message };
    }
  }
}

const STILL_ENCRYPTED =
  "The image is encrypted, and this bootloader may decrypt only what it swaps in: send it decrypted with --decrypted and --decrypt-key FILE.";

/** Passes everything on, and notes which steps came. */
async function* noting(
  workflow: AsyncGenerator<FlashEvent, FlashResult, void>,
  seen: Set<RecoverEvent["step"]>,
): AsyncGenerator<FlashEvent, FlashResult, void> {
  for (;;) {
    const next = await workflow.next();
    if (next.done) return next.value;
    seen.add(next.value.step);
    yield next.value;
  }
}

/** The primary slot is erased with the first part that comes: what is there then is no image. */
function cutShort(error: AwayError, seen: ReadonlySet<RecoverEvent["step"]>): Ending {
  const left = seen.has("sent")
    ? "The image was not sent completely, so nothing can start: the board stays in serial recovery."
    : "Nothing was sent yet.";
  return {
    outcome: "cut-short",
    message: `${error.message} ${left}`,
    hint: "Reconnect the cable and repeat the same command.",
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
    message: `Version ${version} was written and the board restarted; since then nothing answers, not even the bootloader.`,
    hint: "If the application has an SMP server on this port, look at its log; if it has none, this is what success looks like.",
  };
}

const ENDINGS: Readonly<Record<FlashResult["outcome"], { outcome: RecoverOutcome }>> = {
  confirmed: { outcome: "recovered" },
  "on-trial": { outcome: "recovered" },
  running: { outcome: "recovered" },
  "already-running": { outcome: "recovered" },
  "dry-run": { outcome: "dry-run" },
  "refused-by-preflight": { outcome: "refused-by-preflight" },
  taken: { outcome: "not-running" },
  "not-running": { outcome: "not-running" },
  unhealthy: { outcome: "not-running" },
  "not-confirmed": { outcome: "recovered" },
  "not-settled": { outcome: "recovered" },
};
