import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Key, parseKey } from "../image/keys.js";
import { signImage } from "../image/sign.js";
import { BoardError, type Machine } from "./board.js";
import { LAYOUT } from "./layout.js";
import type { BootMode, Policy } from "./provision.js";

/** What a board's maker may promise. A weak variant breaks some of these on purpose. */
export type Claim =
  | "signature"
  | "anti-rollback-counter"
  | "anti-rollback-version"
  | "counter-after-confirm"
  | "rollback"
  | "recovery-checked"
  | "power-loss";

/** A row of the manifest: one variant of the board. */
export interface BoardVariant {
  id: string;
  /** One sentence for people. */
  says: string;
  mode: BootMode;
  images: 1 | 2;
  policy: readonly Policy[];
  /** Names of trusted keys, the first of which signs what the factory installs. */
  keys: readonly string[];
  writeUnit: 4 | 8;
  bufSize: number;
  bufCount: number;
  recoveryBufSize: number;
  claims: readonly Claim[];
  /** Claims that do not hold, on purpose. */
  broken: readonly Claim[];
}

/** A row of the manifest: one image body and what it is usually signed with. */
export interface FixtureImage {
  id: string;
  says: string;
  /** Image number. */
  image: number;
  version: string;
  /** Security counter. */
  counter: number;
  files: Readonly<Record<Machine, string>>;
}

interface Manifest {
  machines: {
    wasm: { boot: string };
    qemu: {
      boot: string;
      launch: string;
      launchUart: { socket: string; pty: string };
      launchWithCut: string;
    };
  };
  keys: Readonly<Record<string, string>>;
  boards: readonly BoardVariant[];
  images: readonly FixtureImage[];
}

// Beside src/ in the repository, beside dist/ in an installed package.
const fixtures = new URL("../../firmware-fixtures/", import.meta.url);
let manifest: Manifest | undefined;

/** All variants, in the manifest's order. Throws {@link BoardError} `fixture-missing`. */
export function boardVariants(): readonly BoardVariant[] {
  return loadManifest().boards;
}

/** Throws {@link BoardError} `unknown-board`, with the ones there are. */
export function boardVariant(id: string): BoardVariant {
  return named(boardVariants(), id, "unknown-board", "board");
}

/** All image bodies. */
export function fixtureImages(): readonly FixtureImage[] {
  return loadManifest().images;
}

/** Throws {@link BoardError} `unknown-image`, with the ones there are. */
export function fixtureImage(id: string): FixtureImage {
  return named(fixtureImages(), id, "unknown-image", "image");
}

/** The body of an image for a machine: what is to be signed. */
export function fixtureBody(id: string, machine: Machine): Uint8Array {
  return readFixture(fixtureImage(id).files[machine]);
}

/** A throw-away key of the fixtures, private part included, e.g. `ed25519-1`. */
export async function fixtureKey(name: string): Promise<Key> {
  const path = loadManifest().keys[name];
  if (path === undefined) {
    const known = Object.keys(loadManifest().keys).join(", ");
    throw new BoardError("fixture-missing", `There is no test key "${name}". There are: ${known}.`);
  }
  return parseKey(readFixture(path));
}

/** Where a key of the fixtures lies, for a command line. */
export function fixtureKeyPath(name: string): string {
  return fileURLToPath(new URL(loadManifest().keys[name] ?? name, fixtures));
}

export interface SignFixtureOptions {
  /** Default: the version and counter of the manifest. */
  version?: string;
  counter?: number;
  /** Name of the signing key. Default: the variant's first. */
  key?: string;
}

/** A fixture image, signed for a variant: the file that would be flashed. */
export async function signedFixture(
  id: string,
  machine: Machine,
  variant: BoardVariant,
  options: SignFixtureOptions = {},
): Promise<Uint8Array> {
  const row = fixtureImage(id);
  const key = await fixtureKey(options.key ?? variant.keys[0]!);
  const signed = await signImage(fixtureBody(id, machine), {
    key,
    version: options.version ?? row.version,
    securityCounter: options.counter ?? row.counter,
    headerSize: LAYOUT.imageHeaderSize,
    padHeader: true,
    slotSize: LAYOUT.slotSize,
    align: variant.writeUnit,
    maxSectors: LAYOUT.slotSize / LAYOUT.sector,
    overwriteOnly: variant.mode === "overwrite",
  });
  return signed.image;
}

/** The bootloader: code for the wasm machine, a path for QEMU. */
export function bootFile(machine: Machine): string {
  return fileURLToPath(new URL(loadManifest().machines[machine].boot, fixtures));
}

export function bootCode(): Uint8Array {
  return readFixture(loadManifest().machines.wasm.boot);
}

/** How QEMU is started; `{words}` in it are to be filled in. */
export function qemuLaunch(): Manifest["machines"]["qemu"] {
  return loadManifest().machines.qemu;
}

function loadManifest(): Manifest {
  manifest ??= JSON.parse(Buffer.from(readFixture("manifest.json")).toString("utf8")) as Manifest;
  return manifest;
}

function readFixture(path: string): Uint8Array {
  const url = new URL(path, fixtures);
  try {
    return new Uint8Array(readFileSync(url));
  } catch (cause) {
    throw new BoardError(
      "fixture-missing",
      `A file of the emulated boards is missing: ${fileURLToPath(url)}.`,
      {
        cause,
        hint: "Install bootproof again; in its repository: make -C firmware-fixtures prebuilt.",
      },
    );
  }
}

function named<Row extends { id: string }>(
  rows: readonly Row[],
  id: string,
  code: "unknown-board" | "unknown-image",
  what: string,
): Row {
  const row = rows.find((candidate) => candidate.id === id);
  if (row) return row;
  throw new BoardError(code, `There is no emulated ${what} "${id}".`, {
    hint: `There are: ${rows.map((candidate) => candidate.id).join(", ")}.`,
  });
}
