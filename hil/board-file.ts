import { existsSync, readFileSync } from "node:fs";
import { dirname, isAbsolute, resolve } from "node:path";
import { BootproofError, parseAddress } from "bootproof";
import {
  BOARD_FIELDS,
  BoardDescriptionError,
  boardVariant,
  type PowerConfig,
  PowerError,
  readBoardDescription,
} from "bootproof/boards";
import { UPGRADE_MODE_NAMES, type UpgradeMode } from "bootproof/mcuboot";
import { CLAIM_IDS, type ClaimId, IMPLIED_BY_EMULATED } from "./claims.js";
import { TWISTER_FIELDS } from "./hardware-map.js";
import { type EcuEntry, readEcu, readVehicleEntry, type VehicleEntry } from "./vehicle-facts.js";
import { type Fields, readFacts } from "./yaml-facts.js";

/** What a board file says of one board: facts, never steps. */
export interface BoardEntry {
  readonly name: string;
  readonly reach: Reach;
  /** Words by which several boards are chosen at once: `nrf52840dk`, `bench`. */
  readonly tags?: readonly string[] | undefined;
  /** What Zephyr's twister knows of it, for its hardware map. */
  readonly twister?: Readonly<Record<string, string>> | undefined;
  /** The board's own image: what runs before and after, and what the bad images are made from. */
  readonly image?: string | undefined;
  /** Another good image of the same board, for boards whose images cannot be signed here. */
  readonly update?: string | undefined;
  /** What kind of thing it is, and which one: for the report. */
  readonly product?: string | undefined;
  readonly unit?: string | undefined;
  /** The bootloader build that is on it: the report names it by digest. */
  readonly bootloader?: string | undefined;
  /** What runs now, linked for the second slot: direct-XIP starts images in the slot that they are written to. */
  readonly otherSlot?: string | undefined;
  /** Images of this board that misbehave in a known way. */
  readonly images: Readonly<Partial<Record<Behaviour, string>>>;
  readonly keys: KeyFacts;
  readonly layout?: LayoutFacts | undefined;
  readonly mode?: UpgradeMode | undefined;
  /** What the board's maker promises. Absent: everything is asked, and judged as it shows. */
  readonly claims?: readonly ClaimId[] | undefined;
  /** How long the board may take from reset to its first answer. */
  readonly startsWithinMs: number;
  /** Which ECU of a vehicle it is. */
  readonly ecu?: EcuEntry | undefined;
}

export const BEHAVIOURS = [
  "no-confirm",
  "hang",
  "crash",
  "self-confirm",
  "fail-health",
  "raise-counter",
] as const;
export type Behaviour = (typeof BEHAVIOURS)[number];

export type Reach =
  /** An emulated board of ours. */
  | { readonly kind: "wasm" | "qemu"; readonly variant: string; readonly flash?: string }
  /** Firmware of the user's in an emulator of the user's: a line that starts it, `{port}` in it is the TCP port of its UART. */
  | {
      readonly kind: "machine";
      readonly launch: string;
      readonly folder: string;
      /** Its flash outlives its process. Absent: that is found out. */
      readonly keepsFlash?: boolean;
    }
  /** A board on the desk, or anything that offers its UART under an address. */
  | {
      readonly kind: "attached";
      readonly address: string;
      readonly log?: string;
      /** Command lines, a relay with a web interface, or the hub port it hangs on. */
      readonly power?: PowerFacts;
      /** A command line for the shell: a probe's reset. */
      readonly reset?: string;
    }
  /** A place of a lab that labgrid runs: its serial port and its power switch are asked for by the place's name. */
  | { readonly kind: "labgrid"; readonly place: string; readonly coordinator?: string };

export interface PowerFacts {
  readonly config: PowerConfig;
  /** How long the board lives on after power was taken away. */
  readonly settleMs: number;
}

export interface KeyFacts {
  /** Private key whose images the board accepts; `none`: the board asks for no signature at all. */
  readonly signing?: string;
  /** Further private keys it accepts, for rotation. */
  readonly accepted: readonly string[];
  /** Private keys it must refuse: old ones, or ones that are not in use yet. */
  readonly refused: readonly string[];
  /** Public key that updates are encrypted for, and the bits of their content keys. */
  readonly encryption?: { readonly file: string; readonly bits: 128 | 256 };
}

/** Sizes in bytes. */
export interface LayoutFacts {
  readonly slotSize: number;
  readonly sector: number;
  readonly writeUnit: number;
  readonly maxSectors: number;
}

/** A board that was asked for is not in the board file. */
export class BoardFileError extends BootproofError {
  declare readonly code: "board-file-missing" | "not-in-board-file";
}

/** Reads a board file. Throws `FactsError` naming line and field, {@link BoardFileError} when there is no such file. */
export function readBoardFile(file: string): BoardEntry[] {
  return parseBoardFile(file, textOf(file));
}

function textOf(file: string): string {
  if (existsSync(file)) return readFileSync(file, "utf8");
  throw new BoardFileError("board-file-missing", `There is no board file ${file}.`, {
    hint: "`bootproof help prove` shows one; without a board file, name a board with -d.",
  });
}

/** The entries of a board file's text; paths in it are relative to the file. */
export function parseBoardFile(file: string, text: string): BoardEntry[] {
  return parseBoardFileFile(file, text).boards;
}

function parseBoardFileFile(file: string, text: string): { boards: BoardEntry[]; vehicle?: VehicleEntry } {
  const contents = readFacts(
    file,
    text,
    "Twister's hardware map is a list: bootproof prove --import-hardware-map makes a board file of one.",
  );
  const folder = dirname(resolve(file));
  const boards = (contents.objects("boards") ?? []).map((fields) => readEntry(fields, folder));
  const vehicle = readVehicleEntry(contents, boards, (path) => at(folder, path)!);
  contents.finish();
  if (boards.length === 0) throw contents.fault("it lists no boards.");
  for (const [index, { name }] of boards.entries())
    if (boards.findIndex((other) => other.name === name) !== index)
      throw contents.fault(`two boards are called "${name}".`);
  return { boards, ...(vehicle && { vehicle }) };
}

/**
 * The vehicle that the boards of a board file form; undefined when the file names none.
 *
 * @param file - path of the board file
 * @returns its ECUs and repositories
 * @throws as {@link readBoardFile}
 */
export function readVehicle(file: string): VehicleEntry | undefined {
  return parseBoardFileFile(file, textOf(file)).vehicle;
}

/** The entry for an address alone, as `-d` gives it. */
export function entryOf(address: string): BoardEntry {
  const parsed = parseAddress(address);
  if (parsed.kind === "wasm" || parsed.kind === "qemu") {
    const { kind, variant, flash } = parsed;
    return emulatedEntry(address, { kind, variant, ...(flash === undefined ? {} : { flash }) });
  }
  return {
    name: address,
    reach: { kind: "attached", address },
    images: {},
    keys: NO_KEYS,
    startsWithinMs: 60_000,
  };
}

/** A board of a board file as other verbs reach it. */
export interface BoardAddress {
  readonly name: string;
  readonly tags: readonly string[];
  /** Absent for boards that only the proof suite can start or borrow; `why` then says so. */
  readonly address?: string;
  readonly why?: string;
  /** The switch of its power, where the file names one. */
  readonly power?: PowerConfig;
  /** What it is to Uptane, where the file says so. */
  readonly ecu?: EcuEntry;
}

/**
 * The boards of a board file by their addresses.
 *
 * @param file - path of the board file
 * @returns name, tags and address of each board, in the file's order; `why` where only `prove` reaches it
 * @throws as {@link readBoardFile}
 */
export function boardAddresses(file: string): BoardAddress[] {
  return readBoardFile(file).map(({ name, reach, ecu, tags = [] }) => ({
    name,
    tags,
    ...addressOf(reach),
    ...(ecu && { ecu }),
  }));
}

function addressOf(reach: Reach): Pick<BoardAddress, "address" | "why" | "power"> {
  switch (reach.kind) {
    case "wasm":
    case "qemu": {
      const flash = reach.flash === undefined ? "" : `?flash=${reach.flash}`;
      return { address: `${reach.kind}:${reach.variant}${flash}` };
    }
    case "attached":
      return { address: reach.address, ...(reach.power && { power: reach.power.config }) };
    default:
      return { why: `a board of the kind "${reach.kind}" can only be reached by prove` };
  }
}

const KINDS = ["wasm", "qemu", "machine", "attached", "labgrid"] as const;

function readEntry(fields: Fields, folder: string): BoardEntry {
  const name = fields.required("name");
  if (!/^[\w.:-]{1,64}$/.test(name))
    throw fields.faultOf("name", "a name has letters, digits, dots, colons, dashes; 64 at most.");
  const kind = fields.oneOf("kind", KINDS);
  if (kind === undefined) throw fields.fault(`board "${name}": field "kind" is missing.`);
  const path = (text: string | undefined) => at(folder, text);
  const reach = readReach(kind, fields, folder);
  const common = {
    tags: fields.texts("tags"),
    twister: readTwister(fields.object("twister")),
    image: path(fields.text("image")),
    update: path(fields.text("update")),
    product: fields.text("product"),
    unit: fields.text("unit"),
    bootloader: path(fields.text("bootloader")),
    otherSlot: path(fields.text("other-slot")),
    images: readImages(fields.object("images"), folder),
    mode: fields.oneOf("mode", UPGRADE_MODE_NAMES),
    layout: readLayout(fields.object("layout")),
    claims: fields.someOf("claims", CLAIM_IDS),
    startsWithinMs: fields.number("starts-within-ms", { min: 100, max: 600_000 }),
    ecu: readEcu(fields.object("ecu")),
  };
  const keys = readKeys(fields.object("keys"), folder);
  fields.finish();
  if (reach.kind === "wasm" || reach.kind === "qemu") {
    return { ...emulatedEntry(name, reach), ...defined(common), ...(keys && { keys }) };
  }
  const plain = { name, reach, images: {}, keys: keys ?? NO_KEYS, startsWithinMs: 60_000 };
  return { ...plain, ...defined(common) };
}

const NO_KEYS: KeyFacts = { accepted: [], refused: [] };

function readReach(kind: (typeof KINDS)[number], fields: Fields, folder: string): Reach {
  switch (kind) {
    case "wasm":
    case "qemu": {
      const variant = fields.text("variant") ?? "good";
      const flash = at(folder, fields.text("flash"));
      return { kind, variant, ...(flash === undefined ? {} : { flash }) };
    }
    case "machine": {
      const launch = fields.required("launch");
      if (!launch.includes("{port}"))
        throw fields.faultOf("launch", "it must contain {port}, the TCP port of the UART.");
      const keepsFlash = fields.flag("keeps-flash");
      return {
        kind,
        launch,
        folder: at(folder, fields.text("folder")) ?? folder,
        ...(keepsFlash === undefined ? {} : { keepsFlash }),
      };
    }
    case "attached":
      return readAttached(fields);
    case "labgrid": {
      const place = fields.required("place");
      const coordinator = fields.text("coordinator");
      mustBePlain(fields, "place", place);
      if (coordinator !== undefined) mustBePlain(fields, "coordinator", coordinator);
      return { kind, place, ...(coordinator === undefined ? {} : { coordinator }) };
    }
  }
}

/** As the config file describes boards. */
function readAttached(fields: Fields): Extract<Reach, { kind: "attached" }> {
  const { device: address, power: config, settleMs = SETTLE_MS, log, reset } = describe(fields);
  mustBePipe(fields, fields.has("device") ? "device" : "address", address);
  if (log !== undefined) mustBePipe(fields, "log", log);
  return {
    kind: "attached",
    address,
    ...(log === undefined ? {} : { log }),
    ...(reset === undefined ? {} : { reset }),
    ...(config === undefined ? {} : { power: { config, settleMs } }),
  };
}

/** How long a board lives on without power when the file does not say. */
export const SETTLE_MS = 500;

function describe(fields: Fields) {
  if (!fields.has("device")) fields.required("address");
  try {
    return readBoardDescription(fields.plain(BOARD_FIELDS), fields.path);
  } catch (cause) {
    if (cause instanceof PowerError) throw fields.faultAt("power", cause.message, cause.hint);
    if (!(cause instanceof BoardDescriptionError)) throw cause;
    throw fields.faultAt(cause.field, cause.message, cause.hint);
  }
}

/** Both become words of command lines. */
function mustBePlain(fields: Fields, field: string, text: string): void {
  if (!/^[\w.+:[\]][\w.+:[\]-]{0,199}$/.test(text))
    throw fields.faultOf(field, `"${text}" has characters that no ${field} of labgrid has.`);
}

function mustBePipe(fields: Fields, field: string, text: string): void {
  try {
    const { kind } = parseAddress(text);
    if (kind !== "wasm" && kind !== "qemu") return;
  } catch (cause) {
    throw fields.faultOf(field, cause instanceof Error ? cause.message : String(cause));
  }
  throw fields.faultOf(
    field,
    `"${text}" is an emulated board.`,
    "Give it the kind wasm or qemu, and a variant.",
  );
}

function readTwister(fields: Fields | undefined): BoardEntry["twister"] {
  if (!fields) return undefined;
  const known = TWISTER_FIELDS.flatMap((field) => {
    const value = fields.text(field);
    return value === undefined ? [] : [[field, value] as const];
  });
  fields.finish();
  return Object.fromEntries(known);
}

function readImages(fields: Fields | undefined, folder: string): BoardEntry["images"] {
  if (!fields) return {};
  const images = Object.fromEntries(
    BEHAVIOURS.flatMap((behaviour) => {
      const file = at(folder, fields.text(behaviour));
      return file === undefined ? [] : [[behaviour, file]];
    }),
  );
  fields.finish();
  return images;
}

function readKeys(fields: Fields | undefined, folder: string): KeyFacts | undefined {
  if (!fields) return undefined;
  const signing = fields.text("signing");
  const paths = (name: string) => (fields.texts(name) ?? []).map((text) => at(folder, text)!);
  const encryption = at(folder, fields.text("encryption"));
  const bits = fields.number("encryption-bits", { min: 128, max: 256 }) ?? 128;
  if (bits !== 128 && bits !== 256)
    throw fields.faultOf("encryption-bits", `content keys have 128 or 256 bits, not ${bits}.`);
  const keys: KeyFacts = {
    ...(encryption === undefined ? {} : { encryption: { file: encryption, bits } }),
    ...(signing === undefined ? {} : { signing: signing === "none" ? signing : at(folder, signing)! }),
    accepted: paths("accepted"),
    refused: paths("refused"),
  };
  fields.finish();
  return keys;
}

function readLayout(fields: Fields | undefined): LayoutFacts | undefined {
  if (!fields) return undefined;
  const need = (name: string, limits: { min: number; max: number }) => {
    const value = fields.number(name, limits);
    if (value === undefined) throw fields.fault(`field "layout.${name}" is missing.`);
    return value;
  };
  const layout = {
    slotSize: need("slot-size", { min: 1024, max: 0x1000_0000 }),
    sector: need("sector", { min: 16, max: 0x100_0000 }),
    writeUnit: fields.number("write-unit", { min: 1, max: 32 }) ?? 4,
    maxSectors: fields.number("max-sectors", { min: 1, max: 65535 }) ?? 128,
  };
  fields.finish();
  return layout;
}

/** An emulated board needs no facts: its manifest row has them. */
function emulatedEntry(name: string, reach: Extract<Reach, { kind: "wasm" | "qemu" }>): BoardEntry {
  const row = boardVariant(reach.variant);
  const implied = IMPLIED_BY_EMULATED.slice();
  if (row.images > 1) implied.push("dependencies");
  const claims = [
    ...row.claims,
    ...implied,
    ...(row.claims.includes("rollback") ? ["host-confirms" as const] : []),
  ].filter((claim, index, all) => all.indexOf(claim) === index);
  return {
    name,
    reach,
    images: {},
    keys: NO_KEYS,
    mode: row.mode,
    claims,
    startsWithinMs: 20_000,
  };
}

function at(folder: string, path: string | undefined): string | undefined {
  return path === undefined || isAbsolute(path) ? path : resolve(folder, path);
}

/** Without the fields that are undefined, so that they do not hide a default. */
function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
