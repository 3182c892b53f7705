/** The recordings in test/vectors/mcuboot: their shape, and the images they are made of. */
import { createCipheriv, createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

const FOLDER = new URL("../vectors/mcuboot/", import.meta.url);

export type SlotName = "primary" | "secondary" | "scratch" | "primary_1" | "secondary_1";
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
  /** Where it was started from, or loaded from, if that is not the primary. */
  slot?: SlotName;
  /** RAM load: the load address, hex. */
  loaded_at?: string;
  /** RAM load: first 16 hex digits of the SHA-256 of the RAM window, or `zeros`. */
  ram_sha256?: string;
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
  /** Only these operations were cut. */
  cuts?: number[];
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
      tail_after?: string;
    }
  | {
      do: "set_pending_cut";
      permanent: boolean;
      operations: number;
      results: { cut_before: number; state: TrailerState; boots: BootOutcome[] }[];
    }
  | { do: "set_pin"; value: number | boolean }
  | ({ do: "boot"; trace?: TraceEntry[] } & BootOutcome)
  | CutSweep
  | {
      do: "trailer_matrix";
      swap_type: string;
      outcomes: ({ image?: string; counter: number; state: TrailerState; in_secondary?: string } | null)[];
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
    mode:
      | "offset"
      | "move"
      | "scratch"
      | "overwrite"
      | "overwritefull"
      | "xip"
      | "xiprevert"
      | "ramload"
      | "ramloadrevert"
      | "single"
      | "fwl";
    options: string[];
    keys: string[];
    write_size: 1 | 2 | 4 | 8 | 16 | 32;
    sector_size: number;
    erased_byte: number;
    slots: Partial<Record<SlotName, { id: number; size: number; sectors?: number[] }>>;
    upload_offset_secondary: number;
    encryption_key?: string;
  };
  /** SHA-256 of every whole-slot content, hex. */
  contents: string[];
  scenarios: Scenario[];
}

type Part =
  | ["h", string]
  | ["f", number, number]
  | ["s", string, number, number]
  /** AES-CTR with this key over the concatenated parts. */
  | ["x", string, Part[]];

function read<T>(name: string): T {
  return JSON.parse(gunzipSync(readFileSync(new URL(`${name}.json.gz`, FOLDER))).toString("utf8")) as T;
}

/** Names of all configurations carried here, such as `move-ed25519-hw-w4`. */
export function recordingNames(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => file !== "images.json.gz" && file.endsWith(".json.gz"))
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

/** The private key of an encryption key's name such as `x25519enc.1`: the bare scalar. */
export function privateKey(name: string): Uint8Array {
  return Buffer.from(recipes.keys[name]!, "hex");
}

export function imageNames(): string[] {
  return Object.keys(recipes.images);
}

/** Could these be the first bytes of that image? Looks at its header only, and builds nothing. */
export function beginsLike(name: string, bytes: Uint8Array): boolean {
  const [first] = recipes.images[name]!.parts;
  if (first?.[0] !== "h") return true;
  const header = Buffer.from(first[1], "hex");
  return Buffer.compare(bytes.subarray(0, header.length), header) === 0;
}

export function isImage(name: string): boolean {
  return name in recipes.images;
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
    case "x":
      return encrypt(Buffer.from(part[1], "hex"), Buffer.concat(part[2].map(partBytes)));
  }
}

function encrypt(key: Uint8Array, plain: Uint8Array): Uint8Array {
  return createCipheriv(`aes-${key.length * 8}-ctr`, key, new Uint8Array(16)).update(plain);
}

/** `length` bytes from `offset` of SHA-256("seed:0") SHA-256("seed:1") ... */
function stream(seed: string, offset: number, length: number): Uint8Array {
  const blocks: Buffer[] = [];
  const first = Math.floor(offset / 32);
  for (let block = first; block * 32 < offset + length; block++)
    blocks.push(createHash("sha256").update(`${seed}:${block}`).digest());
  return Buffer.concat(blocks).subarray(offset - first * 32, offset - first * 32 + length);
}
