import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Board, boardVariant, fixtureKeyPath, signedFixture } from "bootproof/boards";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseBoardFile } from "../../hil/board-files/board-file.js";
import { deadRuns, Journal } from "../../hil/journal.js";
import { proveBoard } from "../../hil/prove.js";
import type { ProveOptions } from "../../hil/prove-events.js";
import { restoreBoard } from "../../hil/restore.js";
import { type DeskBoard, startDeskBoard } from "../support/desk-board.js";

/** A board as on a desk: an address, no programmer, no power switch. Behind the address is one of ours. */
let folder: string;
let board: Board;
let context: DeskBoard;
let image: Uint8Array;
let home: Uint8Array;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "hil-"));
  image = await signedFixture("good-a", "wasm", boardVariant("good"), { version: "3.0.0", counter: 4 });
  await start("good");
});

afterEach(async () => {
  await context.stop();
  rmSync(folder, { recursive: true });
});

async function start(variant: string): Promise<void> {
  context = await startDeskBoard(variant, image);
  board = context.board;
  home = board.readFlash(0, image.length);
}

function entry(more = "") {
  writeFileSync(join(folder, "own.bin"), image);
  const text = `
boards:
  - name: desk
    kind: attached
    address: tcp:127.0.0.1:${context.port}
    image: own.bin
    starts-within-ms: 5000
    keys: { signing: ${fixtureKeyPath("ed25519-1")} }
${more}`;
  return parseBoardFile(join(folder, "bench.yaml"), text)[0]!;
}

function prove(cases: string[], more: Partial<ProveOptions> = {}, facts = "") {
  const signal = new AbortController().signal;
  return proveBoard(entry(facts), { signal, seed: 3, cases, journals: join(folder, "journals"), ...more });
}

const verdicts = (result: Awaited<ReturnType<typeof prove>>) =>
  Object.fromEntries(result.cases.map(({ id, verdict }) => [id, verdict]));

describe("a board that can only be spoken to", () => {
  it("is judged by what it says, and runs its own image again afterwards", async () => {
    const result = await prove([
      "authenticity/unsigned",
      "authenticity/foreign-key",
      "trial/never-confirmed",
    ]);
    expect(result.unusable).toBeUndefined();
    expect(verdicts(result)).toEqual({
      "authenticity/unsigned": "holds",
      "authenticity/foreign-key": "holds",
      "trial/never-confirmed": "holds",
    });
    expect(result.putBack.ok).toBe(true);
    expect(board.readFlash(0, image.length)).toEqual(home);
    expect(deadRuns(join(folder, "journals"))).toEqual([]);
  });

  it("is not put at a risk from which no way back was shown", async () => {
    const result = await prove(["trial/confirm-burns", "power-cut/swap", "recovery/damaged"]);
    expect(verdicts(result)).toEqual({
      "trial/confirm-burns": "not-judged",
      "power-cut/swap": "not-judged",
      // Recovery was entered and left at the start, so what it may destroy it can bring back.
      "recovery/damaged": "holds",
    });
    expect(result.cases[0]?.observed).toMatch(/no way to restore the board was proven/);
    expect(board.readFlash(0, image.length)).toEqual(home);
  });

  it("with a log port that says nothing is found in recovery all the same", async () => {
    const log = createServer((socket) => socket.resume()).listen(0, "127.0.0.1");
    await once(log, "listening");
    const { port } = log.address() as AddressInfo;
    try {
      const result = await prove(["recovery/enter-and-leave"], {}, `    log: tcp:127.0.0.1:${port}`);
      expect(verdicts(result)).toEqual({ "recovery/enter-and-leave": "holds" });
    } finally {
      log.close();
    }
  });

  it("is not asked for what it does not list: that refusal is its own", async () => {
    const result = await prove(["integrity/truncated-tlv", "integrity/flip-hash"]);
    expect(result.cases.map(({ verdict, observed }) => [verdict, observed])).toEqual([
      ["holds", expect.stringMatching(/reports "image 0 slot 1: verify-failed, reason hash"/)],
      ["holds", expect.stringMatching(/SMP server, before .* lists no image with a hash in that slot/)],
    ]);
  });

  it("of a weak kind is found out the same way", async () => {
    await context.stop();
    await start("no-signature");
    const result = await prove(["authenticity/unsigned", "integrity/flip-body-last"]);
    expect(verdicts(result)).toEqual({
      "authenticity/unsigned": "does-not-hold",
      "integrity/flip-body-last": "holds",
    });
    expect(result.putBack.ok, result.putBack.message).toBe(true);
  });

  it("whose firmware confirms itself, before anybody has judged it, is found out", async () => {
    await context.stop();
    const own = { version: "3.0.0", counter: 4 };
    image = await signedFixture("self-confirm", "wasm", boardVariant("good"), own);
    await start("good");
    const result = await prove(["trial/waits-for-confirmation"]);
    expect(verdicts(result)).toEqual({ "trial/waits-for-confirmation": "does-not-hold" });
    expect(result.cases[0]?.observed).toMatch(/confirms itself before it could be judged/);
    expect(result.putBack.ok, result.putBack.message).toBe(true);
  });

  it("is put back when the run is interrupted", async () => {
    const abort = new AbortController();
    // Some way into a case that has an unconfirmed image on the board: that has just been started.
    let isInCase = false;
    board.log.onLine((line) => {
      if (isInCase && /app: .* started/.test(line) && !line.includes("3.0.0")) abort.abort();
    });
    const result = await prove(["trial/upload-while-unconfirmed", "trial/never-confirmed"], {
      signal: abort.signal,
      onEvent: (event) => {
        isInCase ||= event.kind === "case" && event.id === "trial/upload-while-unconfirmed";
      },
    });
    expect(abort.signal.aborted).toBe(true);
    expect(result.cases.length).toBeLessThan(2);
    expect(result.putBack.ok, result.putBack.message).toBe(true);
    expect(board.readFlash(0, image.length)).toEqual(home);
  });

  it("that runs something else than it was said to is left alone", async () => {
    image = await signedFixture("good-a", "wasm", boardVariant("good"), { version: "9.9.9", counter: 4 });
    const result = await prove(["authenticity/unsigned"]);
    expect(result.unusable).toMatch(/not the given one/);
    expect(board.readFlash(0, home.length)).toEqual(home);
  });
});

describe("a run that died", () => {
  /** A number that no process has: beyond what Linux gives out. */
  const DEAD = 0x7fff_fff0;

  it("keeps later runs off the board until it is restored", async () => {
    const journals = join(folder, "journals");
    const journal = Journal.begin(entry(), journals);
    expect((await prove(["authenticity/unsigned"])).unusable).toMatch(
      /Another run \(process \d+\) is on board desk/,
    );
    const again = { ...entry(), reach: { ...entry().reach, address: "serial:com6" } } as ReturnType<
      typeof entry
    >;
    const once = Journal.begin(
      { ...again, reach: { ...again.reach, address: "COM6" } } as typeof again,
      journals,
    );
    expect(() => Journal.begin(again, journals)).toThrow(/Another run/);
    once.end();
    journal.end();

    const other = await signedFixture("good-b", "wasm", boardVariant("good"), {
      version: "4.0.0",
      counter: 4,
    });
    await board.powerOff();
    board.writeFlash(0, other);
    await board.powerOn();
    const died = { entry: entry(), base: image, pid: DEAD, startedAt: new Date().toISOString() };
    const result = await restoreBoard(died, new AbortController().signal);
    expect(result).toMatchObject({ ok: true });
    expect(board.readFlash(0, image.length)).toEqual(home);
  });
});
