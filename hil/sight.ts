import { type BoardFacts, type BootEvent, parseSlot, runningSlot, type SlotGeometry } from "bootproof";
import type { LogLine } from "./log-book.js";

/** What one slot of a board holds, as the board says. */
export interface SlotSight {
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
export interface Sight {
  /** When in the case this was, in words. */
  readonly label: string;
  readonly state: "application" | "recovery" | "silent" | "unknown";
  /** Of image 0. */
  readonly running?: { readonly version: string; readonly hash?: string; readonly confirmed: boolean };
  readonly slots: readonly SlotSight[];
  /** Stored security counter by image number, where the board reports it: by the trust group or a vendor's query. */
  readonly counters: Readonly<Record<number, number>>;
  /** Of the bootloader, since power on. */
  readonly events: readonly BootEvent[];
  readonly reportsTrust: boolean;
  readonly boots?: number;
  /** MCUmgr's name of the upgrade mode. */
  readonly mode?: string;
  readonly pictures?: readonly SlotPicture[];
}

export function silentSight(label: string): Sight {
  return { label, state: "silent", slots: [], counters: {}, events: [], reportsTrust: false };
}

const FLAGS = ["active", "confirmed", "pending", "permanent", "bootable"] as const;

export function sightOf(facts: BoardFacts, label: string): Sight {
  const running = runningSlot(facts)?.content;
  const counters = facts.images.flatMap(({ image, storedCounter }) =>
    storedCounter === undefined ? [] : [[image, storedCounter.value] as const],
  );
  return {
    label,
    state: facts.server,
    ...(running === undefined || facts.server === "recovery"
      ? {}
      : { running: { version: running.version, ...hashField(running.hash), confirmed: running.confirmed } }),
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
    events: facts.events ?? [],
    reportsTrust: facts.reportsTrust,
    ...(facts.boot && { boots: facts.boot.boots }),
    ...(facts.bootloader?.modeName === undefined ? {} : { mode: facts.bootloader.modeName }),
  };
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
export type Fate =
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
  readonly fate: Fate;
  /** What shows it, in one sentence. */
  readonly shows: string;
  readonly sight: Sight;
}

/** Lines of bootloaders that say what they did with the secondary slot: MCUboot's and our own. */
const TOLD: readonly { readonly fate: Fate; readonly line: RegExp }[] = [
  { fate: "refused", line: /Image in the secondary slot is not valid/ },
  {
    fate: "refused",
    line: /(secondary|slot 1).*(not valid|erased due to downgrade prevention|wrong upload address)/i,
  },
  { fate: "refused", line: /insufficient (version|security counter)/i },
  { fate: "refused", line: /Removing image \d+ slot 1 from flash/ },
  { fate: "refused", line: /boot: image \d+ slot 1: (verify-failed|downgrade-refused|dependency)/ },
  { fate: "started", line: /boot: image \d+ slot 0: (swapped|reverted)/ },
  { fate: "started", line: /Starting swap using/ },
];

const REFUSALS: readonly string[] = ["verify-failed", "downgrade-refused", "dependency"];
const MOVES: readonly string[] = ["swapped", "reverted"];

export interface Offer {
  readonly before: Sight;
  readonly after: Sight;
  /** Image hash of what was offered, when it carries one. */
  readonly hash: string | undefined;
  /** Image number. */
  readonly image: number;
  /** Boot events and log lines since it was offered. */
  readonly events: readonly BootEvent[];
  readonly lines: readonly LogLine[];
  /** The board decides by version between two slots that both may run. */
  readonly picksByVersion: boolean;
  /** The log told of it when the control was swapped in, so its silence means something. */
  readonly logTellsSwaps: boolean;
}

/**
 * Which fate an offered image had. "Which version runs" alone never decides: a refusal is believed when the bootloader
 * says so, or when the slot it was in reads empty afterwards.
 */
export function fateOf(offer: Offer): { fate: Fate; shows: string } {
  const { before, after, hash, image, lines } = offer;
  const runs = after.slots.find((slot) => slot.image === image && slot.slot === 0);
  const isBack = (after.running?.hash ?? "") === (before.running?.hash ?? "none");
  if (after.state === "application" && hash !== undefined && after.running?.hash === hash)
    return { fate: "started", shows: `version ${after.running.version} with its hash runs` };
  if (image > 0 && hash !== undefined && runs?.hash === hash)
    return { fate: "started", shows: `image ${image} with its hash is in the primary slot` };
  const told = saidByEvents(offer) ?? saidByLog(offer);
  if (told?.fate === "started") return told;
  if (after.state === "recovery")
    return { fate: "stopped", shows: "the board is in serial recovery: it starts nothing any more" };
  if (after.state === "silent" && lines.some(({ text }) => text.trim() !== ""))
    return {
      fate: "unclear",
      shows: "nobody answers any more, though its log shows that it started something",
    };
  if (after.state !== "application")
    return { fate: "stopped", shows: "the board is silent, its log too: it starts nothing any more" };
  if (told) return told;
  const held = after.slots.find((slot) => slot.image === image && slot.slot === 1);
  const isEmpty = held?.hash === undefined;
  if (isBack && isEmpty)
    return {
      fate: "refused",
      shows: "the image that ran before still runs, and the slot it was in reads empty",
    };
  if (isBack && after.reportsTrust)
    return {
      fate: "passed-over",
      shows: "what ran before still runs, and the bootloader, which reports swaps, reports none",
    };
  if (isBack && offer.logTellsSwaps)
    return {
      fate: "passed-over",
      shows: "what ran before still runs, and the log, which tells of swaps, tells of none",
    };
  if (isBack && offer.picksByVersion)
    return {
      fate: "passed-over",
      shows: "the image that ran before still runs although this one's version is higher",
    };
  return { fate: "unclear", shows: "the image that ran before still runs, and nothing says why" };
}

function saidByEvents({ events, image }: Offer): { fate: Fate; shows: string } | undefined {
  const moved = events.find((event) => event.image === image && MOVES.includes(event.type));
  if (moved) return { fate: "started", shows: `the bootloader reports "${wordsOf(moved)}"` };
  const refused = events.find((event) => REFUSALS.includes(event.type));
  return refused && { fate: "refused", shows: `the bootloader reports "${wordsOf(refused)}"` };
}

function saidByLog({ lines }: Offer): { fate: Fate; shows: string } | undefined {
  for (const { fate, line } of TOLD) {
    const found = lines.find(({ text }) => line.test(text));
    if (found) return { fate, shows: `its log says "${found.text.trim()}"` };
  }
  return undefined;
}

/** Boot events that came since an earlier look. The board keeps the newest few, and forgets them with its power. */
export function newEvents(before: Sight, after: Sight): readonly BootEvent[] {
  if ((after.boots ?? 0) <= (before.boots ?? 0)) return after.events;
  const same = (first: readonly BootEvent[], second: readonly BootEvent[]) =>
    first.every((event, index) => JSON.stringify(event) === JSON.stringify(second[index]));
  for (let dropped = 0; dropped < before.events.length; dropped++) {
    const kept = before.events.slice(dropped);
    if (kept.length <= after.events.length && same(kept, after.events))
      return after.events.slice(kept.length);
  }
  return after.events;
}

/** Whether a log told that an image was swapped in. */
export function tellsOfSwap(lines: readonly LogLine[]): boolean {
  return TOLD.some(({ fate, line }) => fate === "started" && lines.some(({ text }) => line.test(text)));
}

export function wordsOf({ type, image, slot, reason, value }: BootEvent): string {
  const why = reason === undefined ? "" : `, reason ${reason}`;
  const number = value === undefined ? "" : `, value ${value}`;
  return `image ${image} slot ${slot}: ${type}${why}${number}`;
}

/** What a person would say of a board that looks like this. */
export function describe(sight: Sight): string {
  const counter = sight.counters[0];
  const stored = counter === undefined ? "" : `, stored security counter ${counter}`;
  if (sight.state === "silent") return "the board is silent";
  if (sight.state === "recovery") return `the board is in serial recovery${stored}`;
  if (!sight.running) return `the board answers and lists no image${stored}`;
  const { version, hash = "", confirmed } = sight.running;
  return `version ${version} (${hash.slice(0, 12)}) runs${confirmed ? "" : " unconfirmed"}${stored}`;
}
