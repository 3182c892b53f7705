import { describe, expect, test } from "vitest";
import { LAYOUT } from "../../src/emulator/layout.js";
import type { Policy } from "../../src/emulator/provision.js";
import { HarnessBoard, offsetOf, provisionOf } from "../support/mcuboot-board.js";
import { imageBytes, readRecording } from "../support/mcuboot-recordings.js";

const base = provisionOf(readRecording("move-ed25519-hw-w4").config);

/** A in the primary, `image` in the secondary and requested, stored counter 1; after `boots` boots. */
function afterUpdate(options: {
  policy: Policy[];
  image: string;
  permanent?: boolean;
  boots?: number;
}): HarnessBoard {
  const board = HarnessBoard.make({ ...base, policy: options.policy });
  board.setCounters([1]);
  board.flash.program(offsetOf("primary"), imageBytes("A.ed25519"));
  board.flash.program(offsetOf("secondary"), imageBytes(options.image));
  board.setNext("secondary", false, options.permanent ?? false);
  for (let boot = 0; boot < (options.boots ?? 1); boot++) board.boot();
  return board;
}

function runs(board: HarnessBoard, name: string): boolean {
  const image = imageBytes(name);
  return Buffer.compare(board.slot("primary").subarray(0, image.length), image) === 0;
}

describe("each weak policy breaks what it says, and the careful bootloader does not", () => {
  test("no revert: an unconfirmed image stays", () => {
    expect(runs(afterUpdate({ policy: [], image: "B.ed25519", boots: 2 }), "A.ed25519")).toBe(true);
    expect(runs(afterUpdate({ policy: ["weak-no-revert"], image: "B.ed25519", boots: 3 }), "B.ed25519")).toBe(
      true,
    );
  });

  test("counter early: a test boot already burns it, and the way back is closed", () => {
    expect(afterUpdate({ policy: [], image: "B.ed25519" }).counter()).toBe(1);
    const early = afterUpdate({ policy: ["weak-counter-early"], image: "B.ed25519" });
    expect(early.counter()).toBe(2);
    early.boot();
    expect(early.log).toContain("verify-failed, reason counter-low");
    expect(runs(early, "A.ed25519")).toBe(false);
  });

  test("counter ignored: kept, raised and without effect", () => {
    const older = { image: "Blow.ed25519", permanent: true };
    const careful = afterUpdate({ policy: [], ...older });
    expect([runs(careful, "A.ed25519"), careful.counter()]).toEqual([true, 1]);
    const weak = afterUpdate({ policy: ["weak-counter-ignored"], ...older });
    expect([runs(weak, "Blow.ed25519"), weak.counter()]).toEqual([true, 1]);
    expect(
      afterUpdate({ policy: ["weak-counter-ignored"], image: "B.ed25519", permanent: true }).counter(),
    ).toBe(2);
  });

  test("no counter: none is checked and none is stored", () => {
    const board = afterUpdate({ policy: ["no-counter"], image: "B0.ed25519", permanent: true });
    expect([runs(board, "B0.ed25519"), board.counter()]).toEqual([true, 1]);
  });

  test("no signature: the hash is enough", () => {
    const forged = { image: "foreign-key.ed25519", permanent: true };
    expect(runs(afterUpdate({ policy: [], ...forged }), "A.ed25519")).toBe(true);
    expect(runs(afterUpdate({ policy: ["no-signature"], ...forged }), "foreign-key.ed25519")).toBe(true);
  });
});

describe("a primary that is flagged as not bootable", () => {
  test("is not started even where the primary is not validated", () => {
    const board = HarnessBoard.make({ ...base, policy: ["skip-primary"] });
    board.setCounters([1]);
    board.flash.program(offsetOf("primary"), imageBytes("flag-non-bootable.ed25519"));
    expect(board.boot().kind).toBe("recovery");
    expect(board.log).toContain("verify-failed, reason not-bootable");
    board.flash.program(offsetOf("primary"), imageBytes("A.ed25519"));
    expect(board.boot().kind).toBe("start");
  });

  test("is swapped out, not overwritten: the new image is on test and the counter stays", () => {
    const board = HarnessBoard.make({ ...base, policy: ["bootstrap"] });
    board.setCounters([1]);
    board.flash.program(offsetOf("primary"), imageBytes("flag-non-bootable.ed25519"));
    board.flash.program(offsetOf("secondary"), imageBytes("B.ed25519"));
    board.setPending(0, false);
    expect(board.boot().kind).toBe("start");
    expect([runs(board, "B.ed25519"), board.counter()]).toEqual([true, 1]);
    expect(
      Buffer.compare(
        board.slot("secondary").subarray(0, 32),
        imageBytes("flag-non-bootable.ed25519").subarray(0, 32),
      ),
    ).toBe(0);
  });
});

describe("a board that lost its provisioning", () => {
  test.each([
    ["erased", (sector: Uint8Array) => sector.fill(0xff)],
    ["one bit flipped", (sector: Uint8Array) => sector.fill(sector[9]! ^ 1, 9, 10)],
  ])("%s: trusts nothing, starts nothing, changes no slot", (_, damage) => {
    const board = afterUpdate({ policy: [], image: "B.ed25519", boots: 0 });
    board.flash.program(
      LAYOUT.provision.offset,
      damage(
        board.flash.bytes.slice(LAYOUT.provision.offset, LAYOUT.provision.offset + LAYOUT.provision.size),
      ),
    );
    const primary = board.slot("primary").slice();
    expect(board.boot().kind).toBe("recovery");
    expect(board.log).toContain("no provisioning, no key is trusted");
    expect(board.log).toContain("unknown-key");
    expect(Buffer.compare(board.slot("primary"), primary)).toBe(0);
  });
});

describe("what the bootloader says", () => {
  test("each decision, in words", () => {
    const board = afterUpdate({ policy: [], image: "B.ed25519", permanent: true });
    const said = board.log.split("\n");
    for (const line of [
      "boot: swap type permanent",
      "boot: image 0 slot 0: counter-advanced, value 2",
      "boot: image 0 slot 0: swapped, value 3",
      "boot: image 0 slot 0: started, value 2",
    ])
      expect(said).toContain(line);
  });

  test("a resumed swap is told as such", () => {
    const board = afterUpdate({ policy: [], image: "B.ed25519", boots: 0 });
    board.boot({ at: 30 });
    board.boot();
    expect(board.log).toContain("swap-resumed, value 2");
    expect(runs(board, "B.ed25519")).toBe(true);
  });
});

describe("downgrade prevention", () => {
  test.each(["downgrade-version", "downgrade-counter"] as const)(
    "%s: a revert goes back to the older image wherever power fails in it",
    (policy) => {
      const start = afterUpdate({ policy: [policy], image: "B.ed25519" });
      expect(runs(start, "B.ed25519")).toBe(true);
      sweep(start.copy(), "A.ed25519");
    },
  );

  test("a request that only looks like a revert is refused", () => {
    const board = afterUpdate({
      policy: ["downgrade-version", "no-counter"],
      image: "B.ed25519",
      permanent: true,
    });
    // the backup A, with the trailer that a revert in progress has: image_ok, a swap size, the magic
    const trailer = board.flash.bytes.slice(
      offsetOf("primary") + LAYOUT.slotSize - 48,
      offsetOf("primary") + LAYOUT.slotSize,
    );
    trailer.fill(0xff, 8, 24);
    board.flash.program(offsetOf("secondary") + LAYOUT.slotSize - 48, trailer);
    expect(board.state()[0]).toBe("perm");
    board.boot();
    expect(board.log).toContain("downgrade-refused");
    expect(runs(board, "B.ed25519")).toBe(true);
  });
});

describe("geometry", () => {
  test("a status area for fewer sectors than the slot has: nothing is updated, nothing is trusted", () => {
    const board = HarnessBoard.make({ ...base, maxSectors: 31 });
    board.flash.program(offsetOf("primary"), imageBytes("A.ed25519"));
    expect(board.boot().kind).toBe("recovery");
    expect(board.log).toContain("no update possible");
  });

  test("a status area of several sectors: update, revert and every power cut in both", () => {
    const start = HarnessBoard.make({ ...base, maxSectors: 512, writeUnit: 8 });
    start.setCounters([1]);
    start.flash.program(offsetOf("primary"), imageBytes("a.ed25519"));
    start.flash.program(offsetOf("secondary"), imageBytes("b.ed25519"));
    start.setNext("secondary", false, false);
    const installed = sweep(start, "b.ed25519");
    sweep(installed, "a.ed25519");
  });
});

/** One boot cut at each operation, both ways: the next boots end with `name`. The board after the uncut boot. */
function sweep(start: HarnessBoard, name: string): HarnessBoard {
  const uncut = start.copy();
  uncut.boot();
  expect(runs(uncut, name)).toBe(true);
  for (let at = 1; at <= uncut.flash.operations; at++) {
    const board = start.copy();
    expect(board.boot({ at }).kind).toBe("power-cut");
    expect(board.boot().kind).toBe("start");
    expect(runs(board, name), `cut at ${at}`).toBe(true);
  }
  return uncut;
}
