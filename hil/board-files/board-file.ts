import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseAddress } from "bootproof";
import { boardVariant, type PowerConfig } from "bootproof/boards";
import { UPGRADE_MODE_NAMES } from "bootproof/mcuboot";
import { CLAIM_IDS, IMPLIED_BY_EMULATED } from "../claims.js";
import {
  BEHAVIOURS,
  type BoardEntry,
  BoardFileError,
  type KeyFacts,
  type LayoutFacts,
  NO_KEYS,
  type Reach,
} from "./board-entry.js";
import { TWISTER_FIELDS } from "./hardware-map.js";
import { at, KINDS, readReach } from "./reach.js";
import { type EcuEntry, readEcu, readVehicleEntry, type VehicleEntry } from "./vehicle-facts.js";
import { type Fields, readFacts } from "./yaml-facts.js";

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

/** Without the fields that are undefined, so that they do not hide a default. */
function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
