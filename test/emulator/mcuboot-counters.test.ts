import { describe, expect, test } from "vitest";
import { PowerCut } from "../../src/emulator/flash.js";
import { HarnessBoard, provisionOf } from "../support/mcuboot-board.js";
import { readRecording } from "../support/mcuboot-recordings.js";

/** Enough advances to fill both sectors of 256 records and come back to the first. */
const ADVANCES = 700;
const provision = provisionOf(readRecording("move-ed25519-hw-multi-w4").config);

/** Raises with power failing at the n-th operation. False when there is no n-th. */
function raiseAndCut(board: HarnessBoard, value: number, at: number, kind: "before" | "half-done"): boolean {
  board.flash.cutAt(at, kind);
  try {
    board.advanceCounter(0, value);
    return false;
  } catch (error) {
    if (error instanceof PowerCut) return true;
    throw error;
  } finally {
    board.flash.cutNever();
  }
}

describe("stored security counters", () => {
  test("start at 0, rise, stay when told the same, and never go back", () => {
    const board = HarnessBoard.make(provision);
    expect(board.counter(0)).toBe(0);
    expect(board.advanceCounter(0, 0xffffffff)).toBe(true);
    expect(board.advanceCounter(1, 5)).toBe(true);
    const operations = board.flash.operations;
    expect(board.advanceCounter(1, 5)).toBe(true);
    expect(board.flash.operations).toBe(operations);
    expect(board.advanceCounter(1, 4)).toBe(false);
    expect([board.counter(0), board.counter(1)]).toEqual([0xffffffff, 5]);
  });

  test("an image number that does not exist has no counter", () => {
    const board = HarnessBoard.make(provision);
    expect(board.advanceCounter(2, 1)).toBe(false);
    expect(board.counter(2)).toBe(0);
  });

  test.each(["before", "half-done"] as const)(
    `${ADVANCES} advances, power cut %s each operation: the old value or the new one, and the next advance works`,
    (kind) => {
      const board = HarnessBoard.make(provision);
      board.advanceCounter(1, 7);
      let erases = 0;
      for (let value = 1; value <= ADVANCES; value++) {
        for (let at = 1; ; at++) {
          const cut = board.copy();
          if (!raiseAndCut(cut, value, at, kind)) break;
          expect([value - 1, value]).toContain(cut.counter(0));
          expect(cut.counter(1)).toBe(7);
          expect(cut.advanceCounter(0, value)).toBe(true);
          expect([cut.counter(0), cut.counter(1)]).toEqual([value, 7]);
        }
        const before = board.flash.operations;
        board.advanceCounter(0, value);
        if (board.flash.operations - before > 1) erases++;
      }
      expect([board.counter(0), board.counter(1)]).toEqual([ADVANCES, 7]);
      expect(erases).toBe(2); // wear: one sector erase in some 250 advances
    },
  );

  test("power cuts without end fill a sector, and nothing is lost", () => {
    const board = HarnessBoard.make(provision);
    board.advanceCounter(1, 7);
    for (let value = 1; value <= 249; value++) board.advanceCounter(0, value);
    // the sector is nearly full; every attempt to change over leaves a torn record
    for (let attempt = 0; attempt < 600; attempt++) {
      raiseAndCut(board, 300, 1 + (attempt % 4), "half-done");
      expect(board.counter(0)).toBeGreaterThanOrEqual(249);
      expect(board.counter(1)).toBe(7);
    }
    expect(board.advanceCounter(0, 301)).toBe(true);
    expect([board.counter(0), board.counter(1)]).toEqual([301, 7]);
  });
});
