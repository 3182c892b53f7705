import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { packageFile } from "../package-files.js";
import { BoardError, type Machine } from "./board.js";
import type { GeometryName } from "./layout.js";
import type { BootMode, Decryption, Policy, Provision } from "./provision.js";

/** What a board's maker may promise. A weak variant breaks some of these on purpose. */
export type Claim =
  | "signature"
  | "anti-rollback-counter"
  | "anti-rollback-version"
  | "counter-after-confirm"
  | "rollback"
  | "recovery-checked"
  | "power-loss"
  | "load-address"
  | "lengths"
  | "encrypted-only"
  | "counter-locked"
  | "broken-slot"
  | "host-confirms"
  | "slots-untouched"
  | "decompression";

/** A row of the manifest: one variant of the board. */
export interface BoardVariant {
  id: string;
  /** One sentence for people. */
  summary: string;
  mode: BootMode;
  images: 1 | 2;
  policy: readonly Policy[];
  /** Names of trusted keys, the first of which signs what the factory installs. */
  keys: readonly string[];
  /** The image body that the factory installs. Default good-a. */
  app?: string;
  writeUnit: Provision["writeUnit"];
  /** Slots and sectors. Default "even": 4 KiB sectors. */
  geometry?: GeometryName;
  /** Value of an erased byte. Default 255. */
  erased?: 255 | 0;
  /** The board takes encrypted images; `key` names the private key it unwraps them with. */
  decryption?: { type: Decryption["type"]; key: string; aesBits: 128 | 256 };
  /** The board takes compressed images: a bootloader of its own build unpacks them. */
  decompresses?: true;
  /** The stored security counter can be raised to this and no further, as where each step is a fuse. Default: without end. */
  counterSteps?: number;
  /** Machines that have this board. Default: all. */
  machines?: readonly Machine[];
  /** `none`: no recording of MCUboot judges how this board boots. Default: recordings do, see test/vectors/mcuboot. */
  judge?: "none";
  bufSize: number;
  bufCount: number;
  recoveryBufSize: number;
  claims: readonly Claim[];
  /** Claims that do not hold, on purpose. */
  broken: readonly Claim[];
}

/** A row of the manifest: something that any board can be weak in, on purpose. */
export interface Weakness {
  id: string;
  /** One sentence for people. */
  summary: string;
  policy: readonly Policy[];
  /** Claims that a board with it breaks, where it makes them. */
  breaks: readonly Claim[];
  /** Modes in which it changes nothing. */
  notIn?: readonly BootMode[];
  /** Policies beside which it changes nothing. */
  notWith?: readonly Policy[];
  /** Only boards with so many images show it. */
  images?: 1 | 2;
}

/** A row of the manifest: one image body and what it is usually signed with. */
export interface FixtureImage {
  id: string;
  summary: string;
  /** Image number. */
  image: number;
  version: string;
  /** Security counter. */
  counter: number;
  files: Readonly<Record<Machine, string>>;
  /** The same program, built for boards that take compressed images. */
  unpacking?: Readonly<Record<Machine, string>>;
  /** The same program, linked for slot 1 and for RAM. WebAssembly does not care where it lies. */
  qemuPlaced?: Readonly<Record<"slot1" | "ram", string>>;
}

export interface Manifest {
  machines: {
    wasm: { boot: string; bootOptions: string; bootUnpacking: string };
    qemu: {
      boot: string;
      bootOptions: string;
      bootUnpacking: string;
      launch: string;
      launchUart: { socket: string; pty: string };
      launchWithCut: string;
      launchBroken: string;
    };
  };
  keys: Readonly<Record<string, string>>;
  boards: readonly BoardVariant[];
  weaknesses: readonly Weakness[];
  images: readonly FixtureImage[];
}

// Beside src/ in the repository, beside dist/ in an installed package.
export const fixtures = packageFile("firmware-fixtures/");
let manifest: Manifest | undefined;

export function loadManifest(): Manifest {
  manifest ??= JSON.parse(Buffer.from(readFixture("manifest.json")).toString("utf8")) as Manifest;
  return manifest;
}

export function readFixture(path: string): Uint8Array {
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
