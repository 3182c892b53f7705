import { expect, onTestFinished, test } from "vitest";
import { connect } from "../../src/client/connect.js";
import type { Board } from "../../src/emulator/board.js";
import { startBoard } from "../../src/emulator/start.js";
import { Session } from "../../src/session/session.js";
import { type BoardTask, driveBoards } from "../../src/station/drive-boards.js";
import { type FlashEvent, type FlashResult, flash } from "../../src/update/flash.js";
import { image, trustedKey } from "../support/workflow-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";

/** A board and its update; `opened` counts the sessions that are open. */
async function bench(name: string, file: Uint8Array, opened: Set<string>) {
  const board = await startBoard({ machine: "wasm", variant: "good" });
  onTestFinished(() => board.close());
  const keys = [await trustedKey()];
  const task: BoardTask<FlashEvent, FlashResult> = {
    name,
    async *start(signal) {
      const session = await Session.open(
        async (how) => connect(await board.connect(), { signal: how }),
        signal,
      );
      opened.add(name);
      try {
        return yield* flash(session, file, { keys, signal, soakMs: 0, withinMs: 1500 });
      } finally {
        await session.close();
        opened.delete(name);
      }
    },
  };
  return { board, task };
}

test("a board that vanishes in its upload stops no other board", () =>
  inVirtualTime(async () => {
    const opened = new Set<string>();
    const file = await image("good-b");
    const benches = await Promise.all(["a", "b", "c"].map((name) => bench(name, file, opened)));
    const [, vanishing] = benches;
    const uploads = new Set<string>();
    const workflow = driveBoards(benches.map(({ task }) => task));
    let pulled: Promise<void> | undefined;
    for (;;) {
      const { done, value } = await workflow.next();
      if (done) {
        expect(value.map(({ board, kind }) => `${board} ${kind}`)).toEqual(["a done", "b failed", "c done"]);
        expect(value.map((ending) => ending.kind === "done" && ending.result.outcome)).toEqual([
          "confirmed",
          false,
          "confirmed",
        ]);
        break;
      }
      if (value.kind !== "event" || value.event.step !== "sent") continue;
      uploads.add(value.board);
      if (value.board === "b" && value.event.sent > 0) pulled ??= vanishing!.board.close();
    }
    await pulled;
    expect([...uploads].sort()).toEqual(["a", "b", "c"]);
    expect(opened.size).toBe(0);
  }));

test("whoever leaves early finds every board put away", () =>
  inVirtualTime(async () => {
    const opened = new Set<string>();
    const file = await image("good-b");
    const benches = await Promise.all(["a", "b"].map((name) => bench(name, file, opened)));
    for await (const event of driveBoards(benches.map(({ task }) => task)))
      if (event.kind === "event" && event.event.step === "sent" && opened.size === 2) break;
    expect(opened.size).toBe(0);
    const free: Board = benches[0]!.board;
    await (await free.connect()).close();
  }));

test("an abort ends every board with its reason", () =>
  inVirtualTime(async () => {
    const opened = new Set<string>();
    const file = await image("good-b");
    const benches = await Promise.all(["a", "b"].map((name) => bench(name, file, opened)));
    const abort = new AbortController();
    const workflow = driveBoards(
      benches.map(({ task }) => task),
      { signal: abort.signal },
    );
    const reason = new Error("enough");
    const failed: unknown[] = [];
    for await (const event of workflow) {
      if (event.kind === "event" && event.event.step === "sent") abort.abort(reason);
      if (event.kind === "failed") failed.push(event.error);
    }
    expect(failed).toEqual([reason, reason]);
  }));
