import { describe, expect, it, type TestContext } from "vitest";
import { connect } from "../../src/client/connect.js";
import type { Board } from "../../src/emulator/board.js";
import { startBoard } from "../../src/emulator/start.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { Session } from "../../src/session/session.js";
import {
  flashTogether,
  type JointTask,
  type TogetherEvent,
  type TogetherResult,
} from "../../src/station/together.js";
import { type ByteStream, TransportError } from "../../src/transport/transport.js";
import { type FlashOptions, flash, HealthError } from "../../src/update/flash.js";
import { image, stands, trustedKey } from "../support/workflow-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";

const WITHIN_MS = 2500;

/** A program on the host that drives boards, and can be killed: its links end, and it opens no others. */
class Host {
  readonly #streams = new Set<ByteStream>();
  #isDead = false;

  async session(board: Board, signal?: AbortSignal): Promise<Session> {
    return Session.open(async (how) => {
      if (this.#isDead) throw new TransportError("failed", board.id, "This host was killed.");
      const stream = await board.connect();
      this.#streams.add(stream);
      return connect(stream, { signal: how, timeoutMs: 400 });
    }, signal);
  }

  async kill(): Promise<void> {
    this.#isDead = true;
    await Promise.all([...this.#streams].map((stream) => stream.close()));
  }
}

/** Tests that run at once each own their boards. */
type Owner = Pick<TestContext, "onTestFinished">;

interface Rack {
  readonly boards: ReadonlyMap<string, Board>;
  readonly file: Uint8Array;
}

/** Its boards are put away when the test ends. */
async function rack(variants: Readonly<Record<string, string>>, { onTestFinished }: Owner): Promise<Rack> {
  const boards = new Map<string, Board>();
  for (const [name, variant] of Object.entries(variants)) {
    const board = await startBoard({ machine: "wasm", variant });
    boards.set(name, board);
    onTestFinished(() => board.close());
  }
  return { boards, file: await image("good-b") };
}

/** Starts the joint update of a rack. `healthOf` adds a check to one board. */
async function joint(
  { boards, file }: Rack,
  host: Host,
  healthOf: Readonly<Record<string, FlashOptions["health"]>> = {},
) {
  const keys = [await trustedKey()];
  const tasks = [...boards].map(
    ([name, board]): JointTask => ({
      name,
      async open(signal) {
        const session = await host.session(board, signal);
        const how = { keys, soakMs: 0, withinMs: WITHIN_MS, health: healthOf[name] };
        return {
          session,
          close: () => session.close(),
          update: (change) => flash(session, file, { ...how, ...change }),
        };
      },
    }),
  );
  const hash = parseImage(file).imageHash!.value;
  return flashTogether(tasks, { hash, withinMs: WITHIN_MS });
}

/** Runs it to its end, `at` is asked about each event. */
async function finish(
  workflow: AsyncGenerator<TogetherEvent, TogetherResult, void>,
  at: (event: TogetherEvent) => unknown = () => undefined,
): Promise<TogetherResult> {
  for (;;) {
    const { done, value } = await workflow.next();
    if (done) return value;
    await at(value);
  }
}

/** What each board runs, asked by somebody who was not there: name -> version, `?` behind one that is on trial. */
async function found({ boards }: Rack): Promise<Record<string, string>> {
  const entries = [...boards].map(async ([name, board]) => {
    const host = new Host();
    const session = await host.session(board);
    const { version, confirmed } = await stands(session);
    await session.close();
    return [name, `${version}${confirmed ? "" : "?"}`] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

const words = (event: TogetherEvent): string =>
  event.kind === "phase" ? event.phase : `${event.board} ${event.event.step}`;

const unwell = {
  name: "pump",
  check: async () => {
    throw new HealthError("The pump stands still.");
  },
};

describe("an update of all boards together", () => {
  it("confirms only after all have passed", (owner) =>
    inVirtualTime(async () => {
      const three = await rack({ a: "good", b: "good", c: "good" }, owner);
      const told: string[] = [];
      const result = await finish(await joint(three, new Host()), (event) => told.push(words(event)));
      expect(result.outcome).toBe("committed");
      expect(result.boards.map(({ board, state, version }) => `${board} ${state} ${version}`)).toEqual([
        "a confirmed 2.0.0",
        "b confirmed 2.0.0",
        "c confirmed 2.0.0",
      ]);
      expect(await found(three)).toEqual({ a: "2.0.0", b: "2.0.0", c: "2.0.0" });
      const lastHealth = ["a", "b", "c"].map((name) => told.indexOf(`${name} health`));
      expect(Math.min(...lastHealth)).toBeGreaterThan(0);
      expect(told.findIndex((text) => text.endsWith(" confirmed"))).toBeGreaterThan(Math.max(...lastHealth));
      expect(told.indexOf("b confirmed")).toBeGreaterThan(told.indexOf("a confirmed"));
    }));

  it("lets all go back when one is unwell, and proves that they did", (owner) =>
    inVirtualTime(async () => {
      const three = await rack({ a: "good", b: "good", c: "good" }, owner);
      const result = await finish(await joint(three, new Host(), { b: [unwell] }));
      expect(result).toMatchObject({
        outcome: "reverted",
        boards: [
          { board: "a", state: "old-image", version: "1.0.0" },
          { board: "b", state: "old-image", failure: expect.stringContaining("The pump stands still.") },
          { board: "c", state: "old-image", version: "1.0.0" },
        ],
      });
      expect(await found(three)).toEqual({ a: "1.0.0", b: "1.0.0", c: "1.0.0" });
    }));

  it("sends nothing to any board when one has no trial boot", (owner) =>
    inVirtualTime(async () => {
      const pair = await rack({ a: "good", b: "overwrite" }, owner);
      const told: string[] = [];
      const result = await finish(await joint(pair, new Host()), (event) => told.push(words(event)));
      expect(result.outcome).toBe("refused");
      expect(result.boards[1]!.failure).toContain("no trial boot");
      expect(told.filter((text) => /sent|marked|reset/.test(text))).toEqual([]);
    }));

  it("does not call a board reverted that is gone", (owner) =>
    inVirtualTime(async () => {
      const pair = await rack({ a: "good", b: "good" }, owner);
      const result = await finish(await joint(pair, new Host(), { a: [unwell] }), async (event) => {
        if (words(event) === "revert") await pair.boards.get("b")!.powerOff();
      });
      expect(result).toMatchObject({
        outcome: "not-reverted",
        boards: [{ state: "old-image" }, { state: "unknown" }],
      });
      await pair.boards.get("b")!.powerOn();
      expect(await found(pair)).toEqual({ a: "1.0.0", b: "1.0.0" });
    }));

  it("goes forward after the first confirmation, and repeating it finishes", (owner) =>
    inVirtualTime(async () => {
      const pair = await rack({ a: "good", b: "good" }, owner);
      const b = pair.boards.get("b")!;
      const result = await finish(await joint(pair, new Host()), async (event) => {
        if (words(event) === "a confirmed") await b.powerOff();
      });
      expect(result).toMatchObject({
        outcome: "partly-committed",
        boards: [{ state: "confirmed" }, { state: "unknown", failure: expect.any(String) }],
      });
      // Its trial ended with the power: it is back on the old image, and has to be taken forward.
      await b.powerOn();
      expect(await found(pair)).toEqual({ a: "2.0.0", b: "1.0.0" });
      expect((await finish(await joint(pair, new Host()))).outcome).toBe("committed");
      expect(await found(pair)).toEqual({ a: "2.0.0", b: "2.0.0" });
    }));
});

/** Moments between each pair of steps. */
const MOMENTS = [
  "check",
  "b preflight",
  "try",
  "b sent",
  "b marked",
  "b reset",
  "b judged",
  "b health",
  "look",
  "commit",
  "a confirmed",
  "b confirmed",
  "report",
];

describe("between each pair of steps", () => {
  it.for(MOMENTS)("a host killed at: %s leaves boards that the next run finishes", (moment, owner) =>
    inVirtualTime(async () => {
      const pair = await rack({ a: "good", b: "good" }, owner);
      const host = new Host();
      const workflow = await joint(pair, host);
      let isKilled = false;
      while (!isKilled) {
        const { done, value } = await workflow.next();
        expect(done, `${moment} was reached`).toBe(false);
        isKilled = !done && words(value as TogetherEvent) === moment;
      }
      await host.kill();
      const again = await finish(await joint(pair, new Host()));
      expect(again.outcome).toBe("committed");
      expect(await found(pair)).toEqual({ a: "2.0.0", b: "2.0.0" });
    }),
  );

  it.for(MOMENTS)("a board that loses power at: %s is told as it stands afterwards", (moment, owner) =>
    inVirtualTime(async () => {
      const pair = await rack({ a: "good", b: "good" }, owner);
      const b = pair.boards.get("b")!;
      let cuts = 0;
      const result = await finish(await joint(pair, new Host()), async (event) => {
        if (words(event) !== moment || cuts++ > 0) return;
        await b.powerOff();
        await b.powerOn();
      });
      expect(cuts).toBeGreaterThan(0);
      const after = await found(pair);
      const told = Object.fromEntries(
        result.boards.map(({ board, state, version }) => [
          board,
          `${version}${["confirmed", "old-image"].includes(state) ? "" : "?"}`,
        ]),
      );
      expect(told).toEqual(after);
      const expected = { committed: ["2.0.0"], reverted: ["1.0.0"], "partly-committed": ["1.0.0", "2.0.0"] };
      expect([...new Set(Object.values(after))].sort()).toEqual(
        expected[result.outcome as keyof typeof expected],
      );
      if (result.outcome === "committed") return;
      expect((await finish(await joint(pair, new Host()))).outcome).toBe("committed");
    }),
  );
});
