import { parseImage } from "../mcuboot/image.js";
import { verifyImage } from "../mcuboot/verify.js";
import { formatVersion } from "../mcuboot/version.js";
import { AwayError } from "../session/reconnect.js";
import type { Session } from "../session/session.js";
import { DeviceError } from "../smp/message.js";
import { type FlashEvent, type FlashResult, flash } from "../update/flash.js";
import { UploadError } from "../update/upload.js";
import type { Consent } from "./consent.js";
import type { Ending, RecoverEvent, RecoverOptions, RecoverOutcome } from "./recover-events.js";

/** The ordinary update, through the bootloader. */
export async function* writeThroughRecovery(
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
