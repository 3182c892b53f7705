import { existsSync, readFileSync } from "node:fs";
import { dirname, isAbsolute, resolve } from "node:path";
import { type BootMode, BootproofError, boardVariant, type PowerConfig, parseAddress } from "bootproof";
import { CLAIM_IDS, type ClaimId, IMPLIED_BY_EMULATED } from "./claims.js";
import { type Fields, readFacts } from "./yaml-facts.js";

/** What a bench file says of one board: facts, never steps. */
export interface BoardEntry {
  readonly name: string;
  readonly reach: Reach;
  /** The board's own image: what runs before and after, and what the bad images are made from. */
  readonly image?: string | undefined;
  /** Another good image of the same board, for boards whose images cannot be signed here. */
  readonly update?: string | undefined;
  /** Images of this board that misbehave in a known way. */
  readonly images: Readonly<Partial<Record<Behaviour, string>>>;
  readonly keys: KeyFacts;
  readonly layout?: LayoutFacts | undefined;
  readonly mode?: BootMode | undefined;
  /** What the board's maker promises. Absent: everything is asked, and judged as it shows. */
  readonly claims?: readonly ClaimId[] | undefined;
  /** How long the board may take from reset to its first answer. */
  readonly startsWithinMs: number;
}

export const BEHAVIOURS = ["no-confirm", "hang", "crash", "self-confirm", "fail-health"] as const;
export type Behaviour = (typeof BEHAVIOURS)[number];

export type Reach =
  /** An emulated board of ours. */
  | { readonly kind: "wasm" | "qemu"; readonly variant: string; readonly flash?: string }
  /** Firmware of the user's in an emulator of the user's: a line that starts it, `{port}` in it is the TCP port of its UART. */
  | { readonly kind: "machine"; readonly launch: string; readonly folder: string }
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
}

/** Sizes in bytes. */
export interface LayoutFacts {
  readonly slotSize: number;
  readonly sector: number;
  readonly writeUnit: number;
  readonly maxSectors: number;
}

export const MODES: readonly BootMode[] = [
  "swap-move",
  "swap-offset",
  "swap-scratch",
  "overwrite-only",
  "direct-xip",
  "ram-load",
  "single-slot",
  "firmware-loader",
];

/** A board that was asked for is not in the bench. */
export class BenchError extends BootproofError {
  declare readonly code: "bench-missing" | "unknown-board";
}

/** Reads a bench file. Throws `FactsError` naming line and field, {@link BenchError} when there is no such file. */
export function readBench(file: string): BoardEntry[] {
  if (!existsSync(file)) {
    throw new BenchError("bench-missing", `There is no bench file ${file}.`, {
      hint: "The README shows one; without a bench file name a board with -d.",
    });
  }
  return parseBench(file, readFileSync(file, "utf8"));
}

/** The entries of a bench file's text; paths in it are relative to the file. */
export function parseBench(file: string, text: string): BoardEntry[] {
  const bench = readFacts(file, text);
  const folder = dirname(resolve(file));
  const boards = (bench.objects("boards") ?? []).map((fields) => readEntry(fields, folder));
  bench.finish();
  if (boards.length === 0) throw bench.fault("it names no boards.");
  for (const [index, { name }] of boards.entries())
    if (boards.findIndex((other) => other.name === name) !== index)
      throw bench.fault(`two boards are called "${name}".`);
  return boards;
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
    image: path(fields.text("image")),
    update: path(fields.text("update")),
    images: readImages(fields.object("images"), folder),
    mode: fields.oneOf("mode", MODES),
    layout: readLayout(fields.object("layout")),
    claims: fields.someOf("claims", CLAIM_IDS),
    startsWithinMs: fields.number("starts-within-ms", { min: 100, max: 600_000 }),
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
        throw fields.faultOf("launch", "it must hold {port}, the TCP port of the UART.");
      return { kind, launch, folder: at(folder, fields.text("folder")) ?? folder };
    }
    case "attached": {
      const address = fields.required("address");
      const log = fields.text("log");
      const reset = fields.text("reset");
      const power = readPower(fields.object("power"));
      for (const [field, text] of [
        ["address", address],
        ["log", log],
      ] as const)
        if (text !== undefined) mustBePipe(fields, field, text);
      return {
        kind,
        address,
        ...(log === undefined ? {} : { log }),
        ...(reset === undefined ? {} : { reset }),
        ...(power === undefined ? {} : { power }),
      };
    }
    case "labgrid": {
      const place = fields.required("place");
      const coordinator = fields.text("coordinator");
      mustBePlain(fields, "place", place);
      if (coordinator !== undefined) mustBePlain(fields, "coordinator", coordinator);
      return { kind, place, ...(coordinator === undefined ? {} : { coordinator }) };
    }
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

function readPower(fields: Fields | undefined): PowerFacts | undefined {
  if (!fields) return undefined;
  const settleMs = fields.number("settle-ms", { max: 60_000 }) ?? 500;
  const config = readSwitch(fields);
  fields.finish();
  return { config, settleMs };
}

function readSwitch(fields: Fields): PowerConfig {
  const hub = fields.text("hub");
  if (hub !== undefined) return { kind: "hub", usbPort: hub };
  const relay = fields.object("http");
  if (!relay) return { kind: "command", on: fields.required("on"), off: fields.required("off") };
  const url = (name: string) => {
    const text = relay.required(name);
    if (/^https?:/i.test(text) && URL.canParse(text)) return { url: text };
    throw relay.faultOf(name, `"${text}" is no web address.`);
  };
  const calls = { on: url("on"), off: url("off") };
  relay.finish();
  return { kind: "http", ...calls };
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
  const keys = {
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
  ];
  return {
    name,
    reach,
    images: {},
    keys: NO_KEYS,
    mode: row.mode === "overwrite" ? "overwrite-only" : row.mode,
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
