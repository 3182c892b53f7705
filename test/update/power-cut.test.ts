import { describe, expect, it } from "vitest";
import { connect } from "../../src/client/connect.js";
import type { Board } from "../../src/emulator/board.js";
import type { CutKind } from "../../src/emulator/flash.js";
import { startBoard } from "../../src/emulator/start.js";
import type { WasmBoard } from "../../src/emulator/wasm.js";
import { BootproofError } from "../../src/errors.js";
import { restart } from "../../src/session/restart.js";
import { run } from "../../src/session/run.js";
import { Session } from "../../src/session/session.js";
import { flash } from "../../src/update/flash.js";
import { image, stands, tell, trustedKey } from "../support/workflow-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";

/**
 * Power fails at one flash operation of a whole update, at each in turn: first boot, erase, upload, mark, swap, confirm
 * and counter advance. Somebody puts it back after a while. Whatever the host's program makes of it, a valid image runs,
 * the counter never goes back, and the same command given again succeeds.
 */

const OFF_MS = 3000;

/** An update, then the restart that raises the counter. How the update ended. */
async function runUpdate(session: Session, file: Uint8Array): Promise<string> {
  const { outcome } = await run(flash(session, file, { keys: [await trustedKey()] }));
  await run(restart(session));
  return outcome;
}

async function host(board: Board): Promise<Session> {
  return Session.open(async (signal) => connect(await board.connect(), { signal }));
}

/** Flash operations of the whole update when nothing goes wrong, and of what came before `step`. */
async function count(file: Uint8Array): Promise<number> {
  const board = (await startBoard({ machine: "wasm", variant: "good" })) as WasmBoard;
  const session = await host(board);
  await runUpdate(session, file);
  await session.close();
  await board.close();
  return board.flashOperations;
}

async function cutAt(operation: number, kind: CutKind, file: Uint8Array): Promise<string> {
  const board = await startBoard({ machine: "wasm", variant: "good", off: true });
  board.onEvent((event) => {
    if (event.kind === "power" && event.why === "cut") setTimeout(() => void board.powerOn(), OFF_MS);
  });
  await board.powerOn({ cut: { operation, kind } });
  let ending: string;
  const first = await host(board);
  const counterBefore = (await stands(first)).counter ?? 0;
  try {
    ending = await runUpdate(first, file);
  } catch (error) {
    // Power that is away may cost the host its patience; what it must never do is lie or crash.
    if (!(error instanceof BootproofError)) throw error;
    ending = error.code;
  }
  await first.close();

  const second = await host(board);
  const between = await stands(second);
  expect(between.version, "a valid image runs").toMatch(/^(1|2)\.0\.0$/);
  expect(between.counter ?? 0, "the counter did not go back").toBeGreaterThanOrEqual(counterBefore);
  const { result } = await tell(second, file);
  expect(result.outcome, result.message).toMatch(/^(confirmed|already-running)$/);
  await run(restart(second));
  expect(await stands(second)).toEqual({ version: "2.0.0", confirmed: true, counter: 2 });
  await second.close();
  await board.close();
  return ending;
}

/** What the host may say of an update whose confirmation was cut in two. */
const HONEST_ENDINGS = ["not-confirmed", "not-running"];

describe.each<CutKind>(["before", "half-done"])(
  "power fails (%s) at every flash operation of an update",
  (kind) => {
    it(
      "and the same command given again succeeds",
      () =>
        inVirtualTime(async () => {
          const file = await image("good-b");
          const operations = await count(file);
          expect(operations).toBeGreaterThan(100);
          const endings = new Map<string, number>();
          for (let operation = 1; operation <= operations; operation++) {
            try {
              const ending = await cutAt(operation, kind, file);
              endings.set(ending, (endings.get(ending) ?? 0) + 1);
            } catch (cause) {
              throw new Error(`power failed (${kind}) at operation ${operation} of ${operations}`, { cause });
            }
          }
          // Only at the operations of the confirmation does one command not do: the board then has the last word.
          const { confirmed = 0, ...others } = Object.fromEntries(endings);
          expect(Object.keys(others).filter((ending) => !HONEST_ENDINGS.includes(ending))).toEqual([]);
          expect(confirmed).toBeGreaterThanOrEqual(operations - 2);
        }),
      600_000,
    );
  },
);
