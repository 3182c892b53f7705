import { toHex } from "../bytes.js";
import type { ResponseOf } from "../smp/command.js";
import type { imageList, imageSlotInfo } from "../smp/groups/image.js";
import type { trustCounters } from "../smp/groups/trust.js";
import type { FactSource, ImageFacts, SlotContent, Sourced } from "./facts.js";
import type { KnownImage } from "./known-images.js";
import { counterBeside } from "./vendor-counters.js";

type StateEntry = ResponseOf<typeof imageList>["images"][number];
type SizeEntry = ResponseOf<typeof imageSlotInfo>["images"][number];
type CounterEntry = ResponseOf<typeof trustCounters>["images"][number];

/** What the board told beside its image list. */
interface Reported {
  sizes: readonly SizeEntry[];
  counters: readonly CounterEntry[];
  /** Stored counters by image number, from a vendor's query. */
  queried: ReadonlyMap<number, number>;
}

export function arrange(
  state: readonly StateEntry[],
  reported: Reported,
  known: readonly KnownImage[],
): ImageFacts[] {
  const numbers = new Set([
    ...state.map((entry) => entry.image ?? 0),
    ...reported.sizes.map((entry) => entry.image),
    ...reported.counters.map((entry) => entry.image),
    ...reported.queried.keys(),
  ]);
  return [...numbers].sort((a, b) => a - b).map((image) => imageFacts(image, state, reported, known));
}

function imageFacts(
  image: number,
  state: readonly StateEntry[],
  reported: Reported,
  known: readonly KnownImage[],
): ImageFacts {
  const statesFlags = state.some((entry) => FLAGS.some((flag) => entry[flag] !== undefined));
  const sizes = reported.sizes.find((entry) => entry.image === image);
  const counters = reported.counters.find((entry) => entry.image === image);
  return defined({
    image,
    storedCounter: firstReported<number>([
      ["device", counters?.counter],
      ["bootloader-info", reported.queried.get(image)],
    ]),
    counterStepsLeft: counters?.["steps-left"],
    maxImageSize: sizes?.max_image_size ?? counters?.["max-size"],
    slots: slotNumbers(image, state, sizes).map((slot) => {
      const entry = state.find((candidate) => (candidate.image ?? 0) === image && candidate.slot === slot);
      const size = sizes?.slots.find((candidate) => candidate.slot === slot);
      const counter = counters?.slots.find((candidate) => candidate.slot === slot)?.counter;
      return defined({
        image,
        slot,
        size: size?.size,
        maxImageSize: sizes?.max_image_size ?? counters?.["max-size"],
        content: entry && contentOf(entry, { counter, size, statesFlags }, known),
      });
    }),
  }) as ImageFacts;
}

/** The first figure that is there, with its source. */
function firstReported<T>(
  figures: readonly (readonly [FactSource, T | undefined])[],
): Sourced<T> | undefined {
  const reported = figures.find(([, value]) => value !== undefined);
  return reported && { value: reported[1]!, source: reported[0] };
}

function slotNumbers(image: number, state: readonly StateEntry[], sizes: SizeEntry | undefined): number[] {
  const held = state.filter((entry) => (entry.image ?? 0) === image).map((entry) => entry.slot);
  return [...new Set([...held, ...(sizes?.slots ?? []).map((entry) => entry.slot)])].sort((a, b) => a - b);
}

const FLAGS = ["active", "confirmed", "pending", "permanent", "bootable"] as const;

function contentOf(
  entry: StateEntry,
  reported: {
    counter: number | undefined;
    size: SizeEntry["slots"][number] | undefined;
    /** The list states flags: one that is left out is false. */
    statesFlags: boolean;
  },
  known: readonly KnownImage[],
): SlotContent {
  const hash = entry.hash && toHex(entry.hash);
  const file = known.find((candidate) => candidate.hash === hash);
  return defined({
    version: entry.version,
    hash: entry.hash,
    ...(reported.statesFlags && Object.fromEntries(FLAGS.map((flag) => [flag, entry[flag] === true]))),
    securityCounter: firstReported<number>([
      ["device", reported.counter],
      ["image-list", counterBeside(entry)],
      ["slot-info", reported.size && counterBeside(reported.size)],
      ["known-file", file?.securityCounter],
    ]),
    signedBy: firstReported<string>([["known-file", file?.keyHash]]),
    imageSize: firstReported<number>([["known-file", file?.size]]),
    vectors: firstReported<NonNullable<KnownImage["vectors"]>>([["known-file", file?.vectors]]),
  }) as SlotContent;
}

/** Without the fields that are undefined: absent is absent. */
export function defined<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
