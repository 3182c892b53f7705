import { type BoardFacts, type BootEvent, newBootEvents, runningSlot } from "bootproof";
import { parseSlot, type SlotGeometry } from "bootproof/mcuboot";
import type { Place } from "./flash-layout.js";
import type { LogLine } from "./log-buffer.js";

/** What one slot of a board holds, as the board says. */
export interface SlotSnapshot {
  readonly image: number;
  readonly slot: number;
  readonly version?: string;
  /** Image hash, hex. */
  readonly hash?: string;
  /** Those of active, confirmed, pending, permanent, bootable that are set. */
  readonly flags: readonly string[];
  readonly counter?: number;
}

/** A slot as its flash reads, drawn to scale. */
export interface SlotPicture {
  readonly image: number;
  readonly slot: number;
  readonly size: number;
  readonly regions: readonly { readonly kind: string; readonly offset: number; readonly length: number }[];
  /** The trailer in words. */
  readonly trailer: string;
  readonly version?: string;
}

/** What a board showed at one moment. Plain data: it goes into the report as it is. */
export interface Snapshot {
  /** When in the case this was, in words. */
  readonly label: string;
  readonly state: "application" | "recovery" | "silent" | "unknown";
  /** Of image 0. */
  readonly running?: { readonly version: string; readonly hash?: string; readonly confirmed?: boolean };
  readonly slots: readonly SlotSnapshot[];
  /** Stored security counter by image number, where the board reports it: by the trust group or a vendor's query. */
  readonly counters: Readonly<Record<number, number>>;
  /** How often it can still be raised, by image number, where the board tells. */
  readonly stepsLeft?: Readonly<Record<number, number>>;
  /** Of the bootloader, since power on. */
  readonly events: readonly BootEvent[];
  /** It reports what the bootloader did: that it reports nothing then means something. */
  readonly reportsEvents: boolean;
  readonly reportsTrust: boolean;
  /** Hashes of the keys that the board lists, hex. Absent when it has no such list, as behind MCUboot itself. */
  readonly trustedKeys?: readonly string[];
  readonly boots?: number;
  /** The upgrade mode, for people, and MCUmgr's number of it. */
  readonly mode?: string;
  readonly modeNumber?: number;
  /** What the bootloader says it unpacks of compressed images. Absent when it does not say. */
  readonly compression?: readonly string[];
  /** What the board calls its bootloader. */
  readonly bootloader?: string;
  readonly pictures?: readonly SlotPicture[];
}

export function silentSnapshot(label: string): Snapshot {
  return {
    label,
    state: "silent",
    slots: [],
    counters: {},
    events: [],
    reportsEvents: false,
    reportsTrust: false,
  };
}

const FLAGS = ["active", "confirmed", "pending", "permanent", "bootable"] as const;

export function snapshotOf(facts: BoardFacts, label: string): Snapshot {
  const running = runningSlot(facts)?.content;
  const counters = facts.images.flatMap(({ image, storedCounter }) =>
    storedCounter === undefined ? [] : [[image, storedCounter.value] as const],
  );
  const stepsLeft = facts.images.flatMap(({ image, counterStepsLeft }) =>
    counterStepsLeft === undefined ? [] : [[image, counterStepsLeft] as const],
  );
  return {
    label,
    state: facts.server,
    ...(running === undefined || facts.server === "recovery"
      ? {}
      : {
          running: {
            version: running.version,
            ...hashField(running.hash),
            ...confirmedField(running.confirmed),
          },
        }),
    slots: facts.images.flatMap(({ slots }) =>
      slots.map(({ image, slot, content }) => ({
        image,
        slot,
        ...(content && { version: content.version, ...hashField(content.hash) }),
        flags: content ? FLAGS.filter((flag) => content[flag]) : [],
        ...(content?.securityCounter && { counter: content.securityCounter.value }),
      })),
    ),
    counters: Object.fromEntries(counters),
    ...(stepsLeft.length > 0 && { stepsLeft: Object.fromEntries(stepsLeft) }),
    events: facts.events ?? [],
    reportsEvents: facts.events !== undefined,
    reportsTrust: facts.reportsTrust,
    ...(facts.trustedKeys && {
      trustedKeys: facts.trustedKeys.map(({ hash }) => Buffer.from(hash).toString("hex")),
    }),
    ...(facts.boot && { boots: facts.boot.boots }),
    ...(facts.bootloader?.name === undefined ? {} : { bootloader: facts.bootloader.name }),
    ...(facts.bootloader?.compression && { compression: facts.bootloader.compression }),
    ...(facts.bootloader?.modeName === undefined ? {} : { mode: facts.bootloader.modeName }),
    ...(facts.bootloader?.mode === undefined ? {} : { modeNumber: facts.bootloader.mode }),
  };
}

function confirmedField(confirmed: boolean | undefined): { confirmed?: boolean } {
  return confirmed === undefined ? {} : { confirmed };
}

function hashField(hash: Uint8Array | undefined): { hash?: string } {
  return hash === undefined ? {} : { hash: Buffer.from(hash).toString("hex") };
}

/** Draws a slot from its bytes. */
export function pictureOf(
  bytes: Uint8Array,
  where: { image: number; slot: number },
  geometry: SlotGeometry,
  mode: Parameters<typeof parseSlot>[1],
): SlotPicture {
  const {
    image: content,
    trailer,
    map,
  } = parseSlot(bytes, { ...mode, geometry, sectorSize: geometry.sectorSize });
  const { magic, imageOk, copyDone, swapInfo } = trailer;
  const request = swapInfo ? `, swap info ${swapInfo.type}` : "";
  const version = content && Object.values(content.version).slice(0, 3).join(".");
  return {
    ...where,
    size: bytes.length,
    regions: map.map(({ kind, offset, length }) => ({ kind, offset, length })),
    trailer: `magic ${magic}, image_ok ${imageOk}, copy_done ${copyDone}${request}`,
    ...(version === undefined ? {} : { version }),
  };
}

/** What became of an image that was offered. */
export type OfferOutcome =
  /** It ran, or was put in the place of what runs. */
  | "started"
  /** The bootloader looked at it and turned it down. */
  | "refused"
  /** The SMP server would not even take or mark it. */
  | "refused-by-server"
  /** It stays where it is and what ran before still runs, because the bootloader decided so. */
  | "passed-over"
  /** Nothing runs any more. */
  | "stopped"
  /** The old image runs, and nothing shows why. */
  | "unclear";

export interface Reaction {
  readonly outcome: OfferOutcome;
  /** What shows it, in one sentence. */
  readonly shows: string;
  readonly snapshot: Snapshot;
}

/** Lines of bootloaders that say what they did with the secondary slot: MCUboot's and our own. */
const TOLD: readonly { readonly outcome: OfferOutcome; readonly line: RegExp }[] = [
  { outcome: "refused", line: /Image in the secondary slot is not valid/ },
  {
    outcome: "refused",
    line: /(secondary|slot 1).*(not valid|erased due to downgrade prevention|wrong upload address)/i,
  },
  { outcome: "refused", line: /insufficient (version|security counter)/i },
  { outcome: "refused", line: /Removing image \d+ slot \d from flash/ },
  { outcome: "refused", line: /boot: image \d+ slot 1: (verify-failed|downgrade-refused|dependency)/ },
  { outcome: "started", line: /boot: image \d+ slot 0: (swapped|reverted)/ },
  { outcome: "started", line: /Starting swap using/ },
];

const REFUSALS: readonly string[] = ["verify-failed", "downgrade-refused", "dependency"];
const MOVES: readonly string[] = ["swapped", "reverted"];

export interface Offer {
  readonly before: Snapshot;
  /** The last look before the boot: in between another image may have been brought in. */
  readonly lately?: Snapshot | undefined;
  readonly after: Snapshot;
  /** Image hash of what was offered, when it carries one. */
  readonly hash: string | undefined;
  /** Where it was put. */
  readonly place: Place;
  /** It took the place of what ran before: refused, nothing runs. */
  readonly isOnlySlot: boolean;
  /** Boot events and log lines since it was offered. */
  readonly events: readonly BootEvent[];
  readonly lines: readonly LogLine[];
  /** The board decides by version between two slots that both may run. */
  readonly picksByVersion: boolean;
  /** The log told of it when the control was swapped in, so its silence means something. */
  readonly logMentionsSwaps: boolean;
  /** The board has a log of its own, besides what is heard on the SMP line. */
  readonly hasLog: boolean;
}

/**
 * Which fate an offered image had. "Which version runs" alone never decides: a refusal is believed when the bootloader
 * says so, or when the slot it was in lists no image afterwards.
 */
export function offerOutcome(offer: Offer): { outcome: OfferOutcome; shows: string } {
  const { before, after, hash, lines } = offer;
  const { image } = offer.place;
  const runs = after.slots.find((slot) => slot.image === image && slot.slot === 0);
  const isBack = (after.running?.hash ?? "") === (before.running?.hash ?? "none");
  if (after.state === "application" && hash !== undefined && after.running?.hash === hash)
    return { outcome: "started", shows: `version ${after.running.version} with its hash runs` };
  if (image > 0 && hash !== undefined && runs?.hash === hash)
    return { outcome: "started", shows: `image ${image} with its hash is in the primary slot` };
  const newcomer = image === 0 ? newcomerOf([before, offer.lately ?? before], after) : undefined;
  // Some bad images have no hash that could be read of them, or another one to the board.
  if (newcomer !== undefined)
    return { outcome: "started", shows: `${newcomer}, which was not on the board before` };
  const reported = outcomeByEvents(offer) ?? outcomeByLog(offer);
  if (reported?.outcome === "started") return reported;
  if (after.state === "recovery" && offer.isOnlySlot)
    return {
      outcome: "refused",
      shows:
        reported?.shows ??
        "the bootloader starts nothing and waits in serial recovery, as a board with one slot should",
    };
  if (after.state === "recovery")
    return { outcome: "stopped", shows: "the board is in serial recovery: it no longer starts an image" };
  if (after.state === "silent" && lines.some(({ text }) => text.trim() !== ""))
    return {
      outcome: "unclear",
      shows: "it no longer answers, although its log shows that it started an image",
    };
  if (after.state !== "application")
    return {
      outcome: "stopped",
      shows: offer.hasLog
        ? "the board is silent, and so is its log: it no longer starts an image"
        : "the board is silent and, as far as can be known without a log, starts no image",
    };
  if (reported) return reported;
  const held = after.slots.find((slot) => slot.image === image && slot.slot === offer.place.slot);
  const isGone = held?.hash === undefined;
  if (isBack && isGone)
    return {
      outcome: "refused",
      shows:
        "the previous image still runs, and the board lists no image in the slot that this one was written to",
    };
  if (isBack && after.reportsEvents)
    return {
      outcome: "passed-over",
      shows: "the previous image still runs, and the bootloader, which reports swaps, reports none",
    };
  if (isBack && offer.logMentionsSwaps)
    return {
      outcome: "passed-over",
      shows: "the previous image still runs, and the log, which mentions swaps, mentions none",
    };
  if (isBack && offer.picksByVersion)
    return {
      outcome: "passed-over",
      shows: "the previous image still runs although this one's version is higher",
    };
  return {
    outcome: "unclear",
    shows: isBack
      ? "the previous image still runs, for an unknown reason"
      : `${describe(after)}, and what ran before was another image`,
  };
}

/** What runs now, in words, when it is no image that was on the board before. */
function newcomerOf(looks: readonly Snapshot[], after: Snapshot): string | undefined {
  const hash = after.running?.hash;
  const didTell = looks.every(({ running }) => running?.hash !== undefined);
  if (after.state !== "application" || hash === undefined || !didTell) return undefined;
  const known = looks.flatMap(({ running, slots }) => [running?.hash, ...slots.map((slot) => slot.hash)]);
  return known.includes(hash) ? undefined : `version ${after.running?.version} (${hash.slice(0, 12)}) runs`;
}

function outcomeByEvents(offer: Offer): { outcome: OfferOutcome; shows: string } | undefined {
  const { events, place } = offer;
  const runsThere = (event: BootEvent) =>
    event.type === "started" && event.slot === place.slot && isPlaceOfItsOwn(offer);
  const moved = events.find(
    (event) => event.image === place.image && (MOVES.includes(event.type) || runsThere(event)),
  );
  if (moved) return { outcome: "started", shows: `the bootloader reports "${wordsOf(moved)}"` };
  const refused = events.find((event) => REFUSALS.includes(event.type));
  return refused && { outcome: "refused", shows: `the bootloader reports "${wordsOf(refused)}"` };
}

/** What starts from there can only be what was put there: it was not where the old image ran. */
function isPlaceOfItsOwn({ before, place, isOnlySlot, picksByVersion }: Offer): boolean {
  const ran = before.slots.find(({ image, flags }) => image === place.image && flags.includes("active"));
  return isOnlySlot || (picksByVersion && ran !== undefined && ran.slot !== place.slot);
}

function outcomeByLog({ lines }: Offer): { outcome: OfferOutcome; shows: string } | undefined {
  for (const { outcome, line } of TOLD) {
    const found = lines.find(({ text }) => line.test(text));
    if (found) return { outcome, shows: `its log says "${found.text.trim()}"` };
  }
  return undefined;
}

/** Boot events that came since an earlier look. The board keeps the newest few, and forgets them with its power. */
export function newEvents(before: Snapshot, after: Snapshot): readonly BootEvent[] {
  const [was, now] = [before.boots, after.boots];
  // Without a count of boots only what was not there before is surely new.
  if (was !== undefined && now !== undefined && now <= was) return after.events;
  return newBootEvents(before.events, after.events);
}

/** Whether a log told that an image was swapped in. */
export function mentionsSwap(lines: readonly LogLine[]): boolean {
  return TOLD.some(({ outcome, line }) => outcome === "started" && lines.some(({ text }) => line.test(text)));
}

export function wordsOf({ type, image, slot, reason, value }: BootEvent): string {
  const why = reason === undefined ? "" : `, reason ${reason}`;
  const number = value === undefined ? "" : `, value ${value}`;
  return `image ${image} slot ${slot}: ${type}${why}${number}`;
}

/** What a person would say of a board that looks like this. */
export function describe(snapshot: Snapshot): string {
  const counter = snapshot.counters[0];
  const stored = counter === undefined ? "" : `, stored security counter ${counter}${leftWords(snapshot)}`;
  if (snapshot.state === "silent") return "the board is silent";
  if (snapshot.state === "recovery") return `the board is in serial recovery${stored}`;
  if (!snapshot.running) return `the board answers and lists no image${stored}`;
  const { version, hash = "no hash", confirmed } = snapshot.running;
  const state = confirmed === false ? " unconfirmed" : "";
  return `version ${version} (${hash.slice(0, 12)}) runs${state}${stored}`;
}

/** " (60 steps left)", where the board tells. */
export function leftWords({ stepsLeft }: Snapshot): string {
  const left = stepsLeft?.[0];
  return left === undefined ? "" : ` (${left} ${left === 1 ? "step" : "steps"} left)`;
}
