import { BootproofError } from "bootproof";
import type { PowerConfig } from "bootproof/boards";
import type { UpgradeMode } from "bootproof/mcuboot";
import type { ClaimId } from "../claims.js";
import type { EcuEntry } from "./vehicle-facts.js";

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

export const NO_KEYS: KeyFacts = { accepted: [], refused: [] };
