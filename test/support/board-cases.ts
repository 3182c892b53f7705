import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { Board, BoardEvent, Machine } from "../../src/emulator/board.js";
import { boardVariant, fixtureKey } from "../../src/emulator/catalog.js";
import { LAYOUT, slotOffset } from "../../src/emulator/layout.js";
import { signedFixture } from "../../src/emulator/signed-fixture.js";
import { type StartOptions, startBoard } from "../../src/emulator/start.js";
import { signImage } from "../../src/mcuboot/sign.js";
import { BoardConsole } from "./board-console.js";
import { BOOT, COUNTERS, ECHO, ECHO_ANSWER, KEYS, RESET } from "./board-frames.js";

/** What a board of either machine does: the same cases, so that the machines cannot drift apart. */
export function describeBoard(machine: Machine): void {
  const boards: Board[] = [];
  const folders: string[] = [];

  afterEach(async () => {
    for (const board of boards.splice(0)) await board.close();
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });

  async function start(options: Partial<StartOptions> = {}): Promise<Board> {
    const board = await startBoard({ machine, variant: "good", ...options });
    boards.push(board);
    return board;
  }

  function flashFile(): string {
    const folder = mkdtempSync(join(tmpdir(), "bootproof-test-"));
    folders.push(folder);
    return join(folder, "flash, with a comma.bin");
  }

  const good = boardVariant("good");

  describe("SMP", () => {
    it("answers an echo with the bytes of the specification's example", async () => {
      const typed = await BoardConsole.on(await start());
      expect((await typed.ask(ECHO)).hex).toBe(ECHO_ANSWER);
    });

    it("keeps its counter and counts its boots over a reset, and starts to count again after a power cut", async () => {
      const board = await start();
      const typed = await BoardConsole.on(board);
      expect((await typed.ask(BOOT)).body).toMatchObject({
        state: "application",
        cause: "power-on",
        boots: 1,
      });
      const before = board.log.lines.length;
      await typed.ask(RESET);
      await board.log.waitFor(/app: .* started/, { from: before });
      expect((await typed.ask(BOOT)).body).toMatchObject({ cause: "software", boots: 2 });
      await board.powerOff();
      await board.powerOn();
      expect((await typed.ask(BOOT)).body).toMatchObject({ cause: "power-on", boots: 1 });
      expect((await typed.ask(COUNTERS)).body).toMatchObject({ images: [{ image: 0, counter: 1 }] });
    });
  });

  describe("programs that break", () => {
    it.each([
      ["hang", "watchdog"],
      ["crash", "fault"],
    ])("%s: the board resets, and the cause is %s", async (image, cause) => {
      const board = await start({ install: await signedFixture(image, machine, good) });
      await board.log.waitFor(/boot 2/, { from: 0 });
      const typed = await BoardConsole.on(board);
      // The image lives for a tenth of a second after each start: asked again until it was in time.
      const stop = board.log.onLine((line) => /app: .* started/.test(line) && void typed.send(BOOT));
      expect((await typed.ask(BOOT)).body).toMatchObject({ cause });
      stop();
    });

    it("a signed body that is no program does not get started", async () => {
      const noise = await signImage(new Uint8Array(2048).fill(0x5a), {
        key: await fixtureKey("ed25519-1"),
        version: "9.0.0",
        headerSize: 0x200,
        padHeader: true,
        slotSize: LAYOUT.slotSize,
        securityCounter: 9,
      });
      const board = await start({ install: noise.image });
      const line = await board.log.waitFor(/verify-failed/, { from: 0 });
      expect(line).toMatch(/entry/);
      await board.log.waitFor(/recovery/, { from: 0 });
    });

    it("an image by a foreign key does not get started", async () => {
      const foreign = await signedFixture("good-a", machine, good, { key: "foreign-ed25519" });
      const board = await start({ install: foreign });
      expect(await board.log.waitFor(/verify-failed/, { from: 0 })).toMatch(/unknown-key/);
      const typed = await BoardConsole.on(board);
      expect((await typed.ask(BOOT)).body).toMatchObject({ state: "recovery" });
    });
  });

  describe("power", () => {
    it("comes and goes with events, and a board without power is silent", async () => {
      const board = await start({ off: true });
      const events: BoardEvent[] = [];
      board.onEvent((event) => events.push(event));
      expect(board.isOn).toBe(false);
      await board.powerOn();
      await board.powerOn();
      await board.log.waitFor(/app: .* started/, { from: 0 });
      await board.powerOff();
      await board.powerOff();
      const said = board.log.lines.length;
      const stream = await board.connect();
      await stream.write(Buffer.from("nobody hears this"));
      expect(board.log.lines.length).toBe(said);
      expect(events).toEqual([
        { kind: "power", on: true, why: "asked" },
        { kind: "power", on: false, why: "asked" },
      ]);
    });

    it("fails at the flash operation that was asked for", async () => {
      // The first boot of a fresh board writes its counter.
      const board = await start({ off: true });
      const blank = board.readFlash(LAYOUT.counters.offset, LAYOUT.counters.size);
      const isCut = nextPowerLoss(board);
      await board.powerOn({ cut: { operation: 1, kind: "before" } });
      expect(await isCut).toBe("cut");
      expect(board.isOn).toBe(false);
      expect(board.readFlash(LAYOUT.counters.offset, LAYOUT.counters.size)).toEqual(blank);
      await board.powerOn();
      const typed = await BoardConsole.on(board);
      expect((await typed.ask(COUNTERS)).body).toMatchObject({ images: [{ counter: 1 }] });
    });

    it("goes, and the reset button says so", async () => {
      const board = await start({ off: true });
      await expect(board.reset()).rejects.toMatchObject({ code: "is-off" });
    });
  });

  describe("flash", () => {
    it("is kept in its file, and the file in one board's hands", async () => {
      const file = flashFile();
      const board = await start({ flashFile: file });
      await board.log.waitFor(/app: .* started/, { from: 0 });
      await expect(start({ flashFile: file })).rejects.toMatchObject({ code: "flash-locked" });
      const kept = board.readFlash(0, LAYOUT.flashSize);
      await board.close();
      const again = await start({ flashFile: file, off: true });
      expect(Buffer.compare(again.readFlash(0, LAYOUT.flashSize), kept)).toBe(0);
    });

    it("of another variant is not taken", async () => {
      const file = flashFile();
      await (await start({ flashFile: file, off: true })).close();
      const other = start({ flashFile: file, variant: "overwrite" });
      await expect(other).rejects.toMatchObject({ code: "flash-of-another-board" });
    });

    it("of an impossible size is not taken", async () => {
      const file = flashFile();
      writeFileSync(file, new Uint8Array(5000));
      await expect(start({ flashFile: file })).rejects.toMatchObject({ code: "flash-unusable" });
    });

    it("in a folder that is not there cannot be made", async () => {
      const nowhere = join(flashFile(), "not-there", "flash.bin");
      await expect(start({ flashFile: nowhere })).rejects.toMatchObject({ code: "flash-unusable" });
    });

    it("can be programmed while the board is off, and what lies there runs", async () => {
      const board = await start();
      const image = await signedFixture("good-b", machine, good);
      expect(() => board.writeFlash(slotOffset(0, 0), image)).toThrow(
        expect.objectContaining({ code: "is-on" }),
      );
      await board.powerOff();
      board.writeFlash(slotOffset(0, 0), image);
      await board.powerOn();
      await board.log.waitFor(/good-b 2\.0\.0 started/, { from: 0 });
      expect(() => board.readFlash(LAYOUT.flashSize - 1, 2)).toThrow();
    });
  });

  it("trusts nothing when its provisioning is damaged, and stays in recovery", async () => {
    const board = await start({ off: true });
    const at = LAYOUT.provision.offset + 100;
    board.writeFlash(
      at,
      board.readFlash(at, 1).map((byte) => byte ^ 1),
    );
    await board.powerOn();
    await board.log.waitFor(/recovery/, { from: 0 });
    const typed = await BoardConsole.on(board);
    expect((await typed.ask(KEYS)).body).toEqual({ keys: [] });
  });

  describe("the UART", () => {
    it("has one other end", async () => {
      const board = await start();
      const first = await board.connect();
      await expect(board.connect()).rejects.toMatchObject({ code: "busy" });
      await first.close();
      await (await board.connect()).close();
    });

    it("is lost when the board is put away", async () => {
      const board = await start();
      const stream = await board.connect();
      await board.close();
      await board.close();
      await expect(stream.chunks[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "lost" });
      await expect(stream.write(Buffer.from("x"))).rejects.toMatchObject({ code: "lost" });
      await expect(board.powerOn()).rejects.toMatchObject({ code: "closed" });
    });
  });

  it("refuses a variant that is not in the manifest, and names those that are", async () => {
    const unknown = await start({ variant: "goood" }).catch((error) => error);
    expect(unknown.code).toBe("unknown-board");
    expect(unknown.hint).toMatch(/good, overwrite/);
  });
}

/** Why power goes the next time. */
export function nextPowerLoss(board: Board): Promise<string> {
  return new Promise((resolve) => {
    const stop = board.onEvent((event) => {
      if (event.kind !== "power" || event.on) return;
      stop();
      resolve(event.why);
    });
  });
}
