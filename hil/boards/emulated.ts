import { type ByteStream, startBoard } from "bootproof";
import { type Board, boardVariant } from "bootproof/boards";
import type { Ability, BoardUnderTest, CutPlan, Start } from "../board.js";
import type { BoardEntry, Reach } from "../board-files/board-entry.js";
import { LogBuffer } from "../log-buffer.js";

/** The last line of our bootloader in every boot. */
const STARTED = /^boot: image 0 slot [01]: (started|recovery)/;

/**
 * An emulated board of ours: everything a case may ask is there. `base` is installed when the flash is fresh.
 */
export async function openEmulated(
  entry: BoardEntry,
  reach: Extract<Reach, { kind: "wasm" | "qemu" }>,
  base: Uint8Array,
): Promise<BoardUnderTest> {
  const { kind: machine, variant, flash: flashFile } = reach;
  const board = await startBoard({ machine, variant, flashFile, install: base, off: true });
  return new EmulatedBoard(entry, board, `${machine} board "${variant}": ${boardVariant(variant).summary}`);
}

class EmulatedBoard implements BoardUnderTest {
  readonly can: ReadonlySet<Ability>;
  readonly log = new LogBuffer();
  readonly #board: Board;
  readonly #lost = new Set<() => void>();

  constructor(
    readonly entry: BoardEntry,
    board: Board,
    readonly summary: string,
  ) {
    this.#board = board;
    this.can = new Set<Ability>(["reset", "power", "cut", "program", "log", "tells-start", "break"]);
    board.log.onLine((line) => this.log.add("log", line));
    board.onEvent((event) => {
      if (event.kind !== "power" || event.on || event.why === "asked") return;
      this.log.add("log", POWER_FAILED);
      for (const listener of [...this.#lost]) listener();
    });
  }

  open(): Promise<ByteStream> {
    return this.#board.connect();
  }

  powerOn(cut?: CutPlan): Promise<void> {
    return this.#board.powerOn(cut ? { cut } : {});
  }

  powerOff(): Promise<void> {
    return this.#board.powerOff();
  }

  reset(): Promise<void> {
    return this.#board.reset();
  }

  readFlash(offset: number, length: number): Uint8Array {
    return this.#board.readFlash(offset, length);
  }

  writeFlash(offset: number, bytes: Uint8Array): void {
    this.#board.writeFlash(offset, bytes);
  }

  breakFlash(offset: number, length: number): void {
    this.#board.breakFlash(offset, length);
  }

  async started(from: number, withinMs: number, count = 1): Promise<Start> {
    let left = count;
    const last = {
      test: (text: string) => STARTED_OR_CUT.test(text) && (text === POWER_FAILED || --left === 0),
    };
    const line = await this.log.waitFor(last, { from, withinMs });
    if (!line) return "unknown";
    if (line.text === POWER_FAILED) return "cut";
    return STARTED.exec(line.text)![1] === "started" ? "application" : "recovery";
  }

  onPowerLost(listener: () => void): () => void {
    this.#lost.add(listener);
    return () => this.#lost.delete(listener);
  }

  close(): Promise<void> {
    return this.#board.close();
  }
}

/** Our own note among the board's lines; the firmware's begin with "boot:" or a time. */
const POWER_FAILED = "(power failed)";
const STARTED_OR_CUT = new RegExp(`${STARTED.source}|^\\(power failed\\)$`);
