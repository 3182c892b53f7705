/** The recordings in test/vectors/mcuboot: their shape, and the images they are made of. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

const FOLDER = new URL("../vectors/mcuboot/", import.meta.url);

export type SlotName = "primary" | "secondary" | "primary_1" | "secondary_1";
/** Index into `contents`, for each slot. */
export type Slots = Partial<Record<SlotName, number>>;
/** What the trailers ask for, then the primary's trailer and the secondary's, each as four words. */
export type TrailerState = [string, string, string];
/** One value, or one for each of two images. */
export type Counter = number | number[];

export interface BootOutcome {
  /** `fails`: nothing is started. `assert`: MCUboot stopped at a failed assertion. */
  result: "boots" | "fails" | "assert";
  image?: string | undefined;
  /** What the second image's primary holds. */
  image_1?: string | undefined;
  counter?: Counter;
  ops?: number;
  slots?: Slots;
  state?: TrailerState;
  /** The application confirmed after this boot. */
  afterwards?: "confirmed";
}

/** One operation: erase, write, copy within the flash, raise of the counter. Areas by MCUboot's numbers. */
export type TraceEntry =
  | ["e", number, number, number]
  | ["w", number, number, string]
  | ["c", number, number, number, number, number]
  | ["n", number];

/** `[first n, last n, index of the outcome]` */
type Runs = [number, number, number][];

export interface CutSweep {
  do: "cut_sweep";
  name: string;
  operations: number;
  uncut: number;
  half_done?: boolean;
  confirm_after_first_boot_of?: string;
  outcomes: BootOutcome[][];
  runs: Runs;
  second_cut?: { first_cut: number; recovery_ops: number; runs: Runs }[];
  trace?: TraceEntry[];
}

export type Step =
  | { do: "write"; slot: SlotName; off: number; image: string; cut_to?: number }
  | { do: "write_bytes"; slot: SlotName; off: number; hex: string }
  | { do: "fill"; slot: SlotName; off: number; len: number; byte: number }
  | { do: "erase"; slot: SlotName; off?: number; len?: number }
  | { do: "set_counter"; value: Counter }
  | { do: "set_pending"; image_index?: number; permanent: boolean; rc: number; state?: TrailerState }
  | { do: "set_confirmed"; image_index?: number; rc: number; state?: TrailerState }
  | {
      do: "set_next";
      slot: SlotName;
      active: boolean;
      confirm: boolean;
      rc: number;
      state?: TrailerState;
      tail_after: string;
    }
  | {
      do: "set_pending_cut";
      permanent: boolean;
      operations: number;
      results: { cut_before: number; state: TrailerState; boots: BootOutcome[] }[];
    }
  | ({ do: "boot"; trace?: TraceEntry[] } & BootOutcome)
  | CutSweep
  | {
      do: "trailer_matrix";
      swap_type: string;
      outcomes: { image?: string; counter: number; state: TrailerState; in_secondary?: string }[];
      boots: [number, number][];
    };

export interface Scenario {
  name: string;
  group: string;
  /** Stored security counter at the start, where there is one. */
  counter?: number;
  steps: Step[];
}

export interface Recording {
  config: {
    id: string;
    mode: "move" | "overwrite";
    options: string[];
    keys: string[];
    write_size: 4 | 8;
  };
  /** SHA-256 of every whole-slot content, hex. */
  contents: string[];
  scenarios: Scenario[];
}

type Part = ["h", string] | ["f", number, number] | ["s", string, number, number];

function read<T>(name: string): T {
  return JSON.parse(gunzipSync(readFileSync(new URL(`${name}.json.gz`, FOLDER))).toString("utf8")) as T;
}

/** Names of all configurations carried here, such as `move-ed25519-hw-w4`. */
export function recordingNames(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => /^(move|overwrite)-.*\.json\.gz$/.test(file))
    .map((file) => file.replace(/\.json\.gz$/, ""))
    .sort();
}

export function readRecording(name: string): Recording {
  return read<Recording>(name);
}

const recipes = read<{
  keys: Record<string, string>;
  images: Record<string, { sha256: string; parts: Part[] }>;
}>("images");
const built = new Map<string, Uint8Array>();

/** The public key of a name such as `ed25519.1`: SPKI, DER. */
export function publicKey(name: string): Uint8Array {
  return Buffer.from(recipes.keys[name]!, "hex");
}

export function imageNames(): string[] {
  return Object.keys(recipes.images);
}

/** The bytes of a recorded image. Throws when the recipe does not give the recorded SHA-256. */
export function imageBytes(name: string): Uint8Array {
  const known = built.get(name);
  if (known) return known;
  const recipe = recipes.images[name];
  if (!recipe) throw new Error(`No recipe for image ${name}.`);
  const bytes = Buffer.concat(recipe.parts.map(partBytes));
  if (sha256(bytes) !== recipe.sha256) throw new Error(`The recipe of image ${name} gives other bytes.`);
  built.set(name, bytes);
  return bytes;
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function partBytes(part: Part): Uint8Array {
  switch (part[0]) {
    case "h":
      return Buffer.from(part[1], "hex");
    case "f":
      return Buffer.alloc(part[2], part[1]);
    case "s":
      return stream(part[1], part[2], part[3]);
  }
}

/** `length` bytes from `offset` of SHA-256("seed:0") SHA-256("seed:1") ... */
function stream(seed: string, offset: number, length: number): Uint8Array {
  const blocks: Buffer[] = [];
  const first = Math.floor(offset / 32);
  for (let block = first; block * 32 < offset + length; block++)
    blocks.push(createHash("sha256").update(`${seed}:${block}`).digest());
  return Buffer.concat(blocks).subarray(offset - first * 32, offset - first * 32 + length);
}
