import { expect, test } from "vitest";
import { connect } from "../../src/client/connect.js";
import { startBoard } from "../../src/emulator/start.js";
import { untilAnswering } from "../../src/session/reconnect.js";
import { run } from "../../src/session/run.js";
import { Session } from "../../src/session/session.js";
import type { ByteStream } from "../../src/transport/transport.js";
import { inVirtualTime } from "../support/workflow-clock.js";

/** A board whose words come as late as those of an emulator on a busy machine. */
function late(board: ByteStream, byMs: () => number): ByteStream {
  return {
    name: board.name,
    write: (bytes) => board.write(bytes),
    close: () => board.close(),
    chunks: (async function* () {
      for await (const chunk of board.chunks) {
        await new Promise((resolve) => setTimeout(resolve, byMs()));
        yield chunk;
      }
    })(),
  };
}

test.each([0, 300, 700, 2500, 9000])("a board that takes %i ms for each answer is there", (ms) =>
  inVirtualTime(async () => {
    const board = await startBoard({ machine: "wasm", variant: "good" });
    let delayMs = 0;
    const session = await Session.open(async () => connect(late(await board.connect(), () => delayMs)));
    delayMs = ms;
    const steps: string[] = [];
    await run(untilAnswering(session), ({ step }) => void steps.push(step));
    expect(steps).toEqual(ms < 400 ? [] : ["away", "back"]);
    await session.close();
    await board.close();
  }),
);
