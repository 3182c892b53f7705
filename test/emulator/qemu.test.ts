import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Board, Cut } from "../../src/emulator/board.js";
import { boardVariant, fixtureKey } from "../../src/emulator/catalog.js";
import { LAYOUT } from "../../src/emulator/layout.js";
import { isQemuInstalled } from "../../src/emulator/qemu-process.js";
import { signedFixture } from "../../src/emulator/signed-fixture.js";
import { startBoard } from "../../src/emulator/start.js";
import { signImage } from "../../src/mcuboot/sign.js";
import { openSerial } from "../../src/transport/serial.js";
import { Bench, requestByTrailer, uploadBytes } from "../support/board-bench.js";
import { describeBoard, nextPowerLoss } from "../support/board-cases.js";
import { BoardConsole } from "../support/board-console.js";
import { CONFIRM, COUNTERS, ECHO, ECHO_ANSWER, RESET } from "../support/board-frames.js";

beforeEach(({ skip }) => {
  skip(!isQemuInstalled(), "qemu-system-arm is not installed: sudo apt-get install qemu-system-arm");
});

describe("the QEMU board", () => {
  describeBoard("qemu");

  it("can have its UART at a tty, for programs that open serial ports", async () => {
    const board = await startBoard({ machine: "qemu", variant: "good", pty: true });
    const stream = await openSerial({ path: board.tty!, baudRate: 115200 });
    try {
      expect((await BoardConsole.over(stream).ask(ECHO)).hex).toBe(ECHO_ANSWER);
    } finally {
      await stream.close();
      await board.close();
    }
  });

  it("is named when it cannot be started, with the command that installs it", async () => {
    const path = process.env.PATH;
    process.env.PATH = "/nowhere";
    try {
      const missing = await startBoard({ machine: "qemu", variant: "good" }).catch((error) => error);
      expect(missing.code).toBe("qemu-missing");
      expect(missing.hint).toContain("apt-get install qemu-system-arm");
    } finally {
      process.env.PATH = path;
    }
  });
});

/** An image that reads a word at an odd address and then waits for ever; its fault handler resets the board. */
function oddAddressImage(): Promise<Uint8Array> {
  const base = 0x2100_0000 + LAYOUT.imageHeaderSize;
  const words = new Uint32Array(16).fill((base + 0x48) | 1);
  words.set([0x2001_0000, (base + 0x40) | 1]);
  // movs r0, #1; ldr r1, [r0]; b .; nop -- ldr r0, =AIRCR; ldr r1, =SYSRESETREQ; str r1, [r0]; b .
  const code = Uint16Array.of(0x2001, 0x6801, 0xe7fe, 0xbf00, 0x4801, 0x4902, 0x6001, 0xe7fe);
  const literals = Uint32Array.of(0xe000_ed0c, 0x05fa_0004);
  const body = Buffer.concat([words, code, literals].map(({ buffer }) => Buffer.from(buffer)));
  return bodySigned(new Uint8Array(body));
}

async function bodySigned(body: Uint8Array): Promise<Uint8Array> {
  const { image } = await signImage(body, {
    key: await fixtureKey("ed25519-1"),
    version: "1.0.0",
    securityCounter: 1,
    headerSize: LAYOUT.imageHeaderSize,
    padHeader: true,
    slotSize: 0,
  });
  return image;
}

it("takes a word at an odd address for a fault, as a Cortex-M0+ does", async () => {
  const board = await startBoard({ machine: "qemu", variant: "good", install: await oddAddressImage() });
  try {
    const started = /^boot: image 0 slot 0: started/;
    const first = await board.log.waitFor(started, { from: 0 });
    await board.log.waitFor(started, { from: board.log.lines.indexOf(first) + 1 });
  } finally {
    await board.close();
  }
});

describe("a QEMU board that cannot be", () => {
  const refused = () => startBoard({ machine: "qemu", variant: "good" }).catch((error) => error);
  afterEach(() => vi.unstubAllEnvs());

  it("as on Windows, is refused with the board that can", async () => {
    const { platform } = process;
    Object.defineProperty(process, "platform", { value: "win32" });
    try {
      const error = await refused();
      expect(error).toMatchObject({ code: "qemu-not-here" });
      expect(error.hint).toContain("wasm:good");
      expect(isQemuInstalled()).toBe(false);
    } finally {
      Object.defineProperty(process, "platform", { value: platform });
    }
  });

  it("for want of room in the names of its sockets, says so and leaves nothing behind", async () => {
    const parent = mkdtempSync(join(tmpdir(), "bootproof-long-"));
    const long = join(parent, "x".repeat(120));
    mkdirSync(long);
    vi.stubEnv("TMPDIR", long);
    try {
      const error = await refused();
      expect(error).toMatchObject({ code: "qemu-failed" });
      expect(error.message).toContain("cannot create its sockets in");
      expect(readdirSync(long)).toEqual([]);
    } finally {
      rmSync(parent, { recursive: true });
    }
  });
});

describe("power that fails on the QEMU board", () => {
  let board: Board;
  let trial: Uint8Array;

  beforeEach(async () => {
    if (board) return;
    board = await startBoard({ machine: "qemu", variant: "good", off: true });
    trial = await onTrial(board);
  });
  afterAll(() => board?.close());

  it("at each flash operation of a test swap: the swap is finished at the next boot", async () => {
    let operation = 0;
    for (let isOver = false; !isOver; ) {
      operation++;
      // Both kinds of cut take their turn; the wasm board has been through every pair.
      const kind = operation % 2 ? "before" : "half-done";
      isOver = !(await cutHappens({ operation, kind }));
      const version = isOver ? "2.0.0" : await startedVersion(board);
      expect(["1.0.0", "2.0.0"], `cut ${kind} ${operation}`).toContain(version);
      if (version === "1.0.0") expect(isSwapComplete, `cut ${kind} ${operation}`).toBe(true);
      await board.powerOff();
    }
    expect(operation).toBeGreaterThan(50);
  });

  it("at any moment (kill -9): what runs is valid, a confirm that was answered holds, the counter stays", async () => {
    const seed = Number(process.env.BOOTPROOF_SEED ?? Date.now() % 2 ** 31);
    console.log(`power cuts on the QEMU board: BOOTPROOF_SEED=${seed}`);
    const random = randomFrom(seed);
    for (let round = 0; round < 12; round++) {
      board.writeFlash(0, trial);
      await powerFor(random() * 80);
      let version = await startedVersion(board);
      expect(["1.0.0", "2.0.0"]).toContain(version);
      const typed = await BoardConsole.on(board);
      try {
        if (version === "2.0.0") {
          // On a busy host the watchdog may bite before the question arrives: then the reverted image answers it.
          version = confirmedVersion((await typed.ask(CONFIRM)).body);
          await typed.ask(RESET);
          await delay(random() * 40);
        }
        await board.powerOff();
        expect(await startedVersion(board)).toBe(version);
        const { images } = (await typed.ask(COUNTERS)).body as { images: { counter: number }[] };
        expect(images[0]!.counter).toBe(version === "2.0.0" ? 2 : 1);
      } finally {
        await typed.close();
        await board.powerOff();
      }
    }
  });

  let isSwapComplete = false;

  async function cutHappens(cut: Cut): Promise<boolean> {
    board.writeFlash(0, trial);
    const from = board.log.lines.length;
    const lost = nextPowerLoss(board);
    await board.powerOn({ cut });
    const end = await Promise.race([lost, board.log.waitFor(/app: .* started/, { from })]);
    if (end !== "cut") return false;
    // copy_done in the primary's trailer: from here on a boot is no longer the trial.
    isSwapComplete = board.readFlash(LAYOUT.slotSize - 32, 1)[0] === 1;
    return true;
  }

  async function powerFor(ms: number): Promise<void> {
    await board.powerOn();
    await delay(ms);
    await board.powerOff();
  }
});

/** Which running version an answer to a confirmation calls confirmed. */
function confirmedVersion(answer: Record<string, unknown>): string {
  const images = answer.images as { version: string; active?: boolean; confirmed?: boolean }[];
  const running = images.find(({ active }) => active);
  expect(running, JSON.stringify(answer)).toMatchObject({ confirmed: true });
  return running!.version;
}

/** Boots, and says which version of the application started. */
async function startedVersion(board: Board): Promise<string> {
  const from = board.log.lines.length;
  await board.powerOn();
  const line = await board.log.waitFor(/app: .* started/, { from });
  return /(\d+\.\d+\.\d+) started/.exec(line)![1]!;
}

/** The flash of a board that has run good-a once and is asked to try good-b. */
async function onTrial(board: Board): Promise<Uint8Array> {
  await startedVersion(board);
  await board.powerOff();
  const bench = new Bench(board.readFlash(0, LAYOUT.flashSize), 4);
  uploadBytes(bench, await signedFixture("good-b", "qemu", boardVariant("good")));
  requestByTrailer(bench, false);
  return bench.flash.bytes.slice();
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** mulberry32: small, and the same numbers from the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
