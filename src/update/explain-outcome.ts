import { equal } from "../bytes.js";
import { runningSlot } from "../session/board-facts.js";
import { newBootEvents } from "../session/boot-events.js";
import type { BoardFacts, BootEvent } from "../session/facts.js";
import type { SentImage } from "./elsewhere.js";
import { isLoader, passedOver, picksByVersion, swaps } from "./mode-checks.js";

/**
 * Why the board runs another image than the one that was sent: the image ran and was reverted; its signature, key or digest
 * was refused; it was refused as too old (counter or version); it was refused or is held back for another reason; or the
 * board does not tell.
 */
export type NotRunningCause = "reverted" | "signature" | "rollback" | "other" | "not-told";

/** The old image runs: why, in words and in a word for programs. */
export interface Explained {
  message: string;
  hint: string;
  cause: NotRunningCause;
}

/** What the bootloader's own reasons mean. Words of the trust group, see firmware-fixtures/README.md. */
const REASONS: Readonly<Record<string, string>> = {
  header: "its header is damaged",
  size: "it does not fit the slot",
  tlv: "its TLV area is damaged",
  hash: "its hash does not match its content",
  "no-signature": "it carries no signature",
  "unknown-key": "it is signed with a key that the board does not trust",
  signature: "its signature is wrong",
  "counter-low": "its security counter is below the stored one (anti-rollback)",
  "counter-missing": "it carries no security counter",
  "counter-exhausted":
    "its security counter is higher than the stored one can become: the board has no steps left for it",
  "tlv-not-allowed": "it carries an unprotected TLV of a type that is not allowed",
  flags: "it needs something that the bootloader does not support (encryption, compression)",
  "not-bootable": "it is marked as not bootable",
  version: "its version is lower (downgrade prevention)",
  entry: "its entry point lies outside it",
  "decryption-key": "it is not encrypted for the board's key",
  "load-address": "its load address does not fit this board",
  "not-confirmed": "it was started before and never confirmed",
  decompression:
    "its compressed body is damaged, or compressed in a way that the bootloader does not support",
};

/** Which of those reasons say that the image is not authentic, and which that it is too old. Any other is `other`. */
const CAUSES: Readonly<Record<string, NotRunningCause>> = {
  hash: "signature",
  "no-signature": "signature",
  "unknown-key": "signature",
  signature: "signature",
  "decryption-key": "signature",
  "counter-low": "rollback",
  "counter-missing": "rollback",
  version: "rollback",
};

/** Why the board does not run the image that was sent: what it says itself, else what its slots suggest. */
export function explainOldImage(before: BoardFacts, after: BoardFacts, sent: SentImage): Explained {
  const { imageNumber } = sent;
  const now = state(after, imageNumber);
  const explained =
    after.events && explainEvents(newBootEvents(before.events ?? [], after.events), imageNumber);
  if (explained !== undefined)
    return {
      message: `${now} ${explained.message}`,
      hint: "bootproof info shows the board's own list of events.",
      cause: explained.cause,
    };
  const guessed = suggest(after, sent, now);
  return guessed ?? (before.server === "recovery" ? rewritten(now) : refused(now));
}

function state(after: BoardFacts, imageNumber: number): string {
  if (after.server === "recovery")
    return "The board is in serial recovery: it found no image that it may start.";
  const running = runningSlot(after, imageNumber)?.content;
  return running
    ? `The board runs version ${running.version}, not the image that was sent.`
    : "The board does not report which image it runs.";
}

function explainEvents(
  events: readonly BootEvent[],
  imageNumber: number,
): Omit<Explained, "hint"> | undefined {
  const mine = events.filter((event) => event.image === imageNumber);
  const swapped = mine.some((event) => event.type === "swapped");
  const refused = mine.find((event) => event.type === "verify-failed" || event.type === "downgrade-refused");
  if (swapped && mine.some((event) => event.type === "reverted")) {
    return {
      message:
        "The image was started and the bootloader reverted it: it was not confirmed before the next reset (a crash, a watchdog, or a second reset).",
      cause: "reverted",
    };
  }
  if (refused !== undefined) {
    const why = REASONS[refused.reason ?? ""] ?? `it did not verify (${refused.reason ?? "no reason given"})`;
    const isDowngrade = refused.type === "downgrade-refused";
    const cause = isDowngrade ? "rollback" : (CAUSES[refused.reason ?? ""] ?? "other");
    return { message: `The bootloader refused the image because ${why}.`, cause };
  }
  if (mine.some((event) => event.type === "dependency")) {
    return {
      message: "The bootloader holds the update back: it depends on another image that is missing.",
      cause: "other",
    };
  }
  return undefined;
}

function suggest(
  after: BoardFacts,
  { hash, sentHash = hash, imageNumber, image }: SentImage,
  now: string,
): Explained | undefined {
  if (after.server === "recovery") {
    return {
      message: now,
      cause: "not-told",
      hint: "Flash a good image with --recovery; check key, hash and security counter of this one.",
    };
  }
  const slots = after.images.find((entry) => entry.image === imageNumber)?.slots ?? [];
  const sent = slots.find((slot) => slot.content?.hash && equal(slot.content.hash, sentHash))?.content;
  if (sent?.pending) {
    return {
      message: `${now} The new one still waits for the next boot: the board has not restarted, or holds the update back.`,
      hint: "Reset the board; if nothing changes, look at the bootloader's log.",
      cause: "other",
    };
  }
  if (sent !== undefined && isLoader(after, imageNumber)) {
    return {
      message: `The image is in slot 0, and the firmware loader still answers: the application was not started, or not started yet.`,
      hint: "Release the loader's pin or boot mode and reset the board; if the loader comes again, the bootloader does not start the image.",
      cause: "not-told",
    };
  }
  if (sent !== undefined && picksByVersion(after)) {
    const ignored = image && passedOver({ image, facts: after, imageNumber });
    return {
      cause: ignored ? "rollback" : "not-told",
      message: `${now} The new one is in the other slot. ${ignored?.message ?? "This bootloader starts the higher version that it can validate and load."}`,
      hint:
        ignored?.hint ??
        "Look at the bootloader's log: it erases what fails, and skips what is linked or loaded elsewhere.",
    };
  }
  if (sent !== undefined) {
    const doubt = swaps(after) ? "" : ", or the bootloader picks by version";
    return {
      message: `${now} The new one is back in the other slot: it was started and reverted${doubt}.`,
      cause: swaps(after) ? "reverted" : "not-told",
      hint: "Look at the log of its first boot: it crashed, hung, or was reset before it was confirmed.",
    };
  }
  return undefined;
}

/** An update went into the secondary slot, where a bootloader erases what it refuses. */
function refused(now: string): Explained {
  return {
    cause: "not-told",
    message: `${now} The new one is no longer in any slot: the bootloader has most likely refused and erased it.`,
    hint: "The likeliest reasons: a key it does not trust, a security counter or version that is too low. MCUboot's log names counters and versions; for a wrong key or signature it says only that the image is not valid.",
  };
}

/** Recovery put it into the primary slot, where a bootloader refuses by staying in recovery: it erases nothing there. */
function rewritten(now: string): Explained {
  return {
    cause: "other",
    message: `${now} Recovery wrote the new one over the primary slot, and at this start it is no longer in any slot: something has replaced it.`,
    hint: "An update that waited in the secondary slot was swapped in, or something writes the slot at each start: a debugger, or an emulator whose command line loads an image (QEMU's -device loader).",
  };
}
