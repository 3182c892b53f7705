import { toHex } from "../bytes.js";
import type { SendOptions } from "../client/client.js";
import { upgradeModesOfNumber } from "../mcuboot/upgrade-modes.js";
import type { Command, ResponseOf } from "../smp/command.js";
import { imageList, imageSlotInfo } from "../smp/groups/image.js";
import { osBootloaderInfo, osInfo } from "../smp/groups/os.js";
import { trustBoot, trustCounters, trustEvents, trustKeys } from "../smp/groups/trust.js";
import { DeviceError } from "../smp/message.js";
import { ShapeError } from "../smp/schema.js";
import type { KnownImage } from "./known-images.js";
import type { Session } from "./session.js";
import { counterBeside, queryCounters } from "./vendor-counters.js";

export type { KnownImage } from "./known-images.js";

/** Where a figure was read. */
export type FactSource =
  /** The board's trust group said so. */
  | "device"
  /** The board's answer to a vendor's bootloader-info query. */
  | "bootloader-info"
  /** A vendor's key beside the slot, in the board's image list. */
  | "image-list"
  /** A vendor's key beside the slot, in the board's slot information. */
  | "slot-info"
  /** An image file here, or a list of known images, with the hash that the board reports. */
  | "known-file";

/** A figure and where it was read. What nobody reports is absent. */
export interface Sourced<T> {
  value: T;
  source: FactSource;
}

export interface SlotFacts {
  /** Image number. */
  image: number;
  /** 0 primary, 1 secondary. */
  slot: number;
  /** Bytes, when the board tells. */
  size?: number;
  /** Largest image that the bootloader takes, bytes, when the board tells. */
  maxImageSize?: number;
  /**
   * The image that the board lists for it; absent when it lists none. That does not say that the slot is empty: serial
   * recovery lists only what it accepts, and applications only what has a readable header.
   */
  content?: SlotContent;
}

export interface SlotContent {
  /** As the board writes it: `1.2.3`, or `1.2.3.4` with a build number. */
  version: string;
  /** The image hash, not the file's. */
  hash?: Uint8Array;
  /** The flags are absent when the board reports none at all, as serial recovery without the image-state option. */
  active?: boolean;
  confirmed?: boolean;
  pending?: boolean;
  permanent?: boolean;
  bootable?: boolean;
  /** TLV 0x50 of this image. */
  securityCounter?: Sourced<number>;
  /** Hash of the key that signed it, hex. */
  signedBy?: Sourced<string>;
  /** Bytes, header to last TLV. */
  imageSize?: Sourced<number>;
  /** Where it starts, on a Cortex-M: initial stack pointer and reset vector. */
  vectors?: Sourced<NonNullable<KnownImage["vectors"]>>;
}

export interface ImageFacts {
  image: number;
  /** The security counter that the board has stored: images with a lower one are refused. */
  storedCounter?: Sourced<number>;
  /** Steps that it can still take, where the board tells: on many chips they are few. */
  counterStepsLeft?: number;
  /** Largest image that the bootloader takes, bytes, when the board tells. */
  maxImageSize?: number;
  slots: SlotFacts[];
}

export interface BootEvent {
  type: string;
  image: number;
  slot: number;
  reason?: string;
  value?: number;
}

/** What a board says of itself. Everything optional is absent when the board does not report it. */
export interface BoardFacts {
  /** The pipe it was reached by. */
  name: string;
  /** Who answers. */
  server: "application" | "recovery" | "unknown";
  bufSize: number;
  bufCount?: number;
  bufSizeFrom: "server" | "assumed";
  /** OS info, all of it. */
  info?: string;
  bootloader?: {
    name?: string;
    /** MCUmgr's number of the upgrade mode, its name beside it. */
    mode?: number;
    modeName?: string;
    /** What the application was built for, its name beside it, where the bootloader itself reports another mode. */
    applicationMode?: number;
    applicationModeName?: string;
    /**
     * Older images are refused, by version or by counter: the board does not say which. Absent when the board does not
     * report it: Zephyr sends it only when true, and before 3.7 never.
     */
    noDowngrade?: boolean;
    /**
     * What it unpacks of compressed images, by the words of the trust group: `lzma2`, `arm-thumb`. Absent when it does not
     * say; of MCUboot itself nobody says it.
     */
    compression?: readonly string[];
    /** `bootloader`: it said so itself (trust group); `application`: its build settings. */
    modeFrom?: "bootloader" | "application";
    /** What it told the trust group of itself: its version as `2.3.0`, the signatures it asks for, its own way in. */
    version?: string;
    signature?: string;
    recovery?: string;
    /** The slot of image 0 that it started. */
    runningSlot?: number;
  };
  images: ImageFacts[];
  /** The server has no image group: `images` is empty because nobody tells. */
  noImageGroup?: true;
  trustedKeys?: { type: string; hash: Uint8Array }[];
  boot?: { cause: string; boots: number };
  events?: BootEvent[];
  /** False when the board has no trust group: counters, keys and events are then not reported. */
  reportsTrust: boolean;
}

export interface FactsOptions {
  signal?: AbortSignal | undefined;
  /** Image files whose hash may turn up in a slot. */
  known?: readonly KnownImage[] | undefined;
}

/** The name of an upgrade mode as a board numbers it; -1 is MCUboot's own number for unknown. */
function nameOfMode(number: number): string {
  if (number === -1) return "unknown";
  return upgradeModesOfNumber(number)[0]?.title ?? `mode ${number}`;
}

/**
 * Asks a board everything that this project wants to know of it. Questions it does not know are left open: what it does not
 * report is absent, never 0 or false.
 *
 * @param session - the board
 * @param options - `known` images, whose hash may turn up in a slot; `signal` aborts with its own reason
 * @returns one answer to each question that the board knows
 * @throws what talking to the board throws: TransportError, RequestTimeout, DeviceError
 *
 * @example
 * ```ts
 * import { connect, readFacts, runningSlot, Session, startBoard } from "bootproof";
 * const board = await startBoard({ machine: "wasm", variant: "good" });
 * const session = await Session.open(async (signal) => connect(await board.connect(), { signal }));
 * const facts = await readFacts(session);
 * if (facts.bootloader?.mode !== 3 || !runningSlot(facts)?.content?.confirmed) throw new Error("not a fresh board");
 * await session.close();
 * await board.close();
 * ```
 */
export async function readFacts(
  { client }: Pick<Session, "client">,
  options: FactsOptions = {},
): Promise<BoardFacts> {
  const { signal, known = [] } = options;
  const ask = <Req, Res>(command: Command<Req, Res>, request: Req) =>
    askMaybe((how) => client.send(command, request, how), signal);

  const state = await client.send(imageList, {}, { signal }).catch(withoutImages);
  const info = await ask(osInfo, { format: "a" });
  const named = await ask(osBootloaderInfo, {});
  const moded = await ask(osBootloaderInfo, { query: "mode" });
  const sizes = await ask(imageSlotInfo, {});
  const boot = await ask(trustBoot, {});
  const counters = boot && (await ask(trustCounters, {}));
  const queried = counters || !named ? new Map() : await queryCounters(client, { signal });
  const keys = boot && (await ask(trustKeys, {}));
  const events = boot && (await ask(trustEvents, {}));

  const mode = boot?.mode ?? moded?.mode;
  const builtFor = boot === undefined || moded?.mode === boot.mode ? undefined : moded?.mode;
  const { server } = client;
  return defined({
    name: client.name,
    server: server.mode,
    bufSize: server.bufSize,
    bufCount: server.bufCount,
    bufSizeFrom: server.bufSizeFrom,
    info: info?.output,
    bootloader:
      mode === undefined && named?.bootloader === undefined
        ? undefined
        : defined({
            name: named?.bootloader,
            mode,
            modeName: mode === undefined ? undefined : nameOfMode(mode),
            applicationMode: builtFor,
            applicationModeName: builtFor === undefined ? undefined : nameOfMode(builtFor),
            noDowngrade: moded?.["no-downgrade"],
            compression: boot?.compression,
            modeFrom:
              mode === undefined ? undefined : boot ? ("bootloader" as const) : ("application" as const),
            version: boot?.version,
            signature: boot?.signature,
            recovery: boot?.recovery,
            runningSlot: boot?.slot,
          }),
    images: arrange(
      state.images,
      { sizes: sizes?.images ?? [], counters: counters?.images ?? [], queried },
      known,
    ),
    noImageGroup: "noImageGroup" in state ? true : undefined,
    trustedKeys: keys?.keys,
    boot: bootFacts(boot),
    events: events?.events.map((event) => defined({ ...event })) as BootEvent[] | undefined,
    reportsTrust: boot !== undefined,
  }) as BoardFacts;
}

/** Something a restart changes: the boot counter where there is one, and the flags and hashes of the images. */
export async function restartFingerprint(session: Session, signal: AbortSignal | undefined): Promise<string> {
  const { client } = session;
  const boot = await askMaybe((how) => client.send(trustBoot, {}, how), signal);
  const state = await client.send(imageList, {}, { signal, timeoutMs: 1000 }).catch(withoutImages);
  const images = state.images.map(({ hash, ...flags }) => ({ ...flags, hash: hash && toHex(hash) }));
  return JSON.stringify([client.server.mode, boot?.boots, images]);
}

/** The slots of image 0 or of the number given. */
export function slotsOf(facts: BoardFacts, image = 0): readonly SlotFacts[] {
  return facts.images.find((candidate) => candidate.image === image)?.slots ?? [];
}

/**
 * The slot that runs, of image 0 or of the number given.
 *
 * @param facts - by {@link readFacts}
 * @param image - image number
 * @returns undefined when none is listed
 */
export function runningSlot(facts: BoardFacts, image = 0): SlotFacts | undefined {
  const slots = slotsOf(facts, image);
  const started = (image === 0 ? facts.bootloader?.runningSlot : undefined) ?? 0;
  // Serial recovery calls nothing active: there the primary slot is what would run, unless the bootloader names another.
  return (
    slots.find((slot) => slot.content?.active) ?? slots.find((slot) => slot.slot === started && slot.content)
  );
}

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

function arrange(
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

/** Servers that read what the bootloader left know its mode, but not always what came before. */
function bootFacts(boot: ResponseOf<typeof trustBoot> | undefined): BoardFacts["boot"] {
  if (boot?.cause === undefined || boot.boots === undefined) return undefined;
  return { cause: boot.cause, boots: boot.boots };
}

/** The answer, or undefined when the device does not know the question (any refusal) or answers with nonsense. */
async function askMaybe<Res>(
  ask: (how: SendOptions) => Promise<Res>,
  signal: AbortSignal | undefined,
): Promise<Res | undefined> {
  try {
    return await ask({ signal });
  } catch (error) {
    if (error instanceof DeviceError || error instanceof ShapeError) return undefined;
    throw error;
  }
}

/** Servers without the image group still have a name and buffers. */
function withoutImages(error: unknown): { images: []; noImageGroup: true } {
  if (error instanceof DeviceError && error.rcName === "ENOTSUP") return { images: [], noImageGroup: true };
  throw error;
}

/** Without the fields that are undefined: absent is absent. */
function defined<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
