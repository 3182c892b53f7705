import { equal } from "../bytes.js";
import { type BoardFacts, type BootEvent, runningSlot } from "./facts.js";

/** What the bootloader's own reasons mean. Words of the trust group, see firmware-fixtures/README.md. */
const REASONS: Readonly<Record<string, string>> = {
  header: "its header is damaged",
  size: "it does not fit the slot",
  tlv: "its TLV area is damaged",
  hash: "its hash does not match its content",
  "no-signature": "it carries no signature",
  "unknown-key": "it is signed with a key the board does not trust",
  signature: "its signature is wrong",
  "counter-low": "its security counter is below the stored one (anti-rollback)",
  "counter-missing": "it carries no security counter",
  "tlv-not-allowed": "it carries a TLV that is not allowed unprotected",
  flags: "it asks for something the bootloader cannot do (encryption, compression)",
  "not-bootable": "it is marked as not bootable",
  version: "its version is lower (downgrade prevention)",
  entry: "its entry point lies outside it",
};

/** Why the board does not run the image that was sent: what it says itself, else what its slots suggest. */
export function explainOldImage(
  before: BoardFacts,
  after: BoardFacts,
  hash: Uint8Array,
  imageNumber: number,
): { says: string; hint: string } {
  const now = state(after, imageNumber);
  const told = after.events && explainEvents(newEvents(before.events ?? [], after.events), imageNumber);
  if (told !== undefined)
    return { says: `${now} ${told}`, hint: "bootproof info shows the board's own list of events." };
  const guessed = suggest(after, hash, imageNumber, now);
  return guessed ?? (before.server === "recovery" ? rewritten(now) : refused(now));
}

function state(after: BoardFacts, imageNumber: number): string {
  if (after.server === "recovery")
    return "The board is in serial recovery: it found no image that it may start.";
  const running = runningSlot(after, imageNumber)?.content;
  return running
    ? `The board runs version ${running.version}, not the image that was sent.`
    : "The board does not say which image it runs.";
}

function explainEvents(events: readonly BootEvent[], imageNumber: number): string | undefined {
  const mine = events.filter((event) => event.image === imageNumber);
  const swapped = mine.some((event) => event.type === "swapped");
  const refused = mine.find((event) => event.type === "verify-failed" || event.type === "downgrade-refused");
  if (swapped && mine.some((event) => event.type === "reverted")) {
    return "The image was started and the bootloader reverted it: it was not confirmed before the next reset (a crash, a watchdog, or a second reset).";
  }
  if (refused !== undefined) {
    const why = REASONS[refused.reason ?? ""] ?? `it did not verify (${refused.reason ?? "no reason given"})`;
    return `The bootloader refused the image because ${why}.`;
  }
  if (mine.some((event) => event.type === "dependency")) {
    return "The bootloader holds the update back: it depends on another image that is not there.";
  }
  return undefined;
}

/** The list is a ring: what was there before may have moved out at the front. */
function newEvents(before: readonly BootEvent[], after: readonly BootEvent[]): readonly BootEvent[] {
  const same = (a: BootEvent | undefined, b: BootEvent | undefined) =>
    JSON.stringify(a) === JSON.stringify(b);
  for (let moved = 0; moved <= before.length; moved++) {
    const kept = before.slice(moved);
    if (kept.every((event, index) => same(event, after[index]))) return after.slice(kept.length);
  }
  return after;
}

function suggest(
  after: BoardFacts,
  hash: Uint8Array,
  imageNumber: number,
  now: string,
): { says: string; hint: string } | undefined {
  if (after.server === "recovery") {
    return {
      says: now,
      hint: "Flash a good image with --recovery; check key, hash and security counter of this one.",
    };
  }
  const slots = after.images.find((entry) => entry.image === imageNumber)?.slots ?? [];
  const sent = slots.find((slot) => slot.content?.hash && equal(slot.content.hash, hash))?.content;
  if (sent?.pending) {
    return {
      says: `${now} The new one still waits for the next boot: the board has not restarted, or holds the update back.`,
      hint: "Reset the board; if nothing changes, look at the bootloader's log.",
    };
  }
  if (sent !== undefined) {
    return {
      says: `${now} The new one is back in the other slot: it was started and reverted, or the bootloader picks by version.`,
      hint: "Look at the log of its first boot: it crashed, hung, or was reset before it was confirmed.",
    };
  }
  return undefined;
}

/** An update went into the secondary slot, where a bootloader erases what it refuses. */
function refused(now: string): { says: string; hint: string } {
  return {
    says: `${now} The new one is in no slot any more: the bootloader has most likely refused and erased it.`,
    hint: "The likeliest reasons: a key it does not trust, a security counter or version that is too low. Its log says which.",
  };
}

/** Recovery put it into the primary slot, where a bootloader refuses by staying in recovery: it erases nothing there. */
function rewritten(now: string): { says: string; hint: string } {
  return {
    says: `${now} Recovery wrote the new one over the primary slot, and at this start it is in no slot any more: something else was put there since.`,
    hint: "An update that waited in the secondary slot was swapped in, or something writes the slot at each start: a debugger, or an emulator whose command line loads an image (QEMU's -device loader).",
  };
}
