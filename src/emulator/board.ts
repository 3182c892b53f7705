import { BootproofError } from "../errors.js";
import type { ByteStream } from "../transport/transport.js";
import type { CutKind } from "./flash.js";
import type { BoardLog } from "./log.js";

export type Machine = "wasm" | "qemu";

export type BoardEvent =
  /** `why`: somebody asked, a cut was set at a flash operation, or the emulator ended on its own. */
  { kind: "power"; on: boolean; why: "asked" | "cut" | "emulator-ended" } | { kind: "reset" };

export interface Cut {
  /** Which flash operation since this power-on, 1 being the first. */
  operation: number;
  kind: CutKind;
}

/**
 * An emulated board: power, reset, its SMP UART, its log UART, its flash. The UARTs are like an adapter on the desk:
 * they stay when the board loses power, and are silent then.
 */
export interface Board {
  /** The variant, a row of firmware-fixtures/manifest.json. */
  readonly id: string;
  readonly machine: Machine;
  readonly isOn: boolean;
  /** The device a serial program can open, when the board was started with one. */
  readonly tty?: string;
  /** What the board said on its log UART since it was started here. */
  readonly log: BoardLog;
  /**
   * The SMP UART. One connection at a time; it stays open over resets and power cuts and is `lost` when the board is
   * closed. Throws TransportError `busy`.
   */
  connect(): Promise<ByteStream>;
  /** Returns how to stop listening. */
  onEvent(listener: (event: BoardEvent) => void): () => void;
  /** Pulls the plug: whatever the board is doing, it stops here. Harmless when off. */
  powerOff(): Promise<void>;
  /** Harmless when on, unless a cut is asked for. Throws {@link BoardError} `is-on`. */
  powerOn(options?: { cut?: Cut }): Promise<void>;
  /** The reset button. Retained memory survives it. Throws {@link BoardError} `is-off`. */
  reset(): Promise<void>;
  readFlash(offset: number, length: number): Uint8Array;
  /** As a programmer on the bench: no flash rule applies. Throws {@link BoardError} `is-on`. */
  writeFlash(offset: number, bytes: Uint8Array): void;
  /**
   * These bytes of the flash fail, from the next power-on at the latest: they can be neither read nor changed by the board.
   * Length 0 mends them.
   */
  breakFlash(offset: number, length: number): void;
  /** Powers off and lets go of everything. Closing twice is harmless. */
  close(): Promise<void>;
}

export type BoardErrorCode =
  | "unknown-board"
  | "unknown-image"
  /** A file of firmware-fixtures that should be beside the program is missing or damaged. */
  | "fixture-missing"
  /** This process may not run WebAssembly, or not with the memory that it needs. */
  | "wasm-unusable"
  /** The emulator is not installed. */
  | "qemu-missing"
  /** Boards in QEMU cannot run on this system. */
  | "qemu-not-here"
  /** The emulator did not start, or said something that was not understood. */
  | "qemu-failed"
  /** The flash file is in use by another board. */
  | "flash-locked"
  /** The file cannot be a flash: wrong size, unreadable. */
  | "flash-unusable"
  /** The flash file belongs to another variant or machine. */
  | "flash-of-another-board"
  /** The image does not fit the slot. */
  | "image-too-large"
  | "is-on"
  | "is-off"
  | "closed";

/** An emulated board cannot do what was asked. */
export class BoardError extends BootproofError {
  declare readonly code: BoardErrorCode;
}
