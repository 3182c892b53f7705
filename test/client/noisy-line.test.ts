import { expect, test } from "vitest";
import { connect } from "../../src/client/connect.js";
import { slotOffset } from "../../src/emulator/layout.js";
import { startBoard } from "../../src/emulator/start.js";
import { run } from "../../src/session/run.js";
import { Session } from "../../src/session/session.js";
import { consoleFraming } from "../../src/smp/framing/console.js";
import { upload } from "../../src/update/upload.js";
import { Line, setClock } from "../bench/line.js";
import { image } from "../support/workflow-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";

/** Counts what is written to it. */
class CountedLine extends Line {
  bytes = 0;

  override write(bytes: Uint8Array): Promise<void> {
    this.bytes += bytes.length;
    return super.write(bytes);
  }
}

const NOISE = 1e-4;
/** Of the file: a third for base64, headers of short messages, losses and what was under way behind them in vain. */
const MOST_ON_THE_WIRE = 2.2;

test.each([
  [1, 512, 5],
  [1, 4096, 0],
  [2, 1024, 16],
  [4, 384, 16],
  [8, 256, 16],
  [8, 2048, 5],
])(
  "%i buffers of %i bytes, %i ms away: all arrives, and little is said twice",
  (bufCount, bufSize, delayMs) => {
    setClock("virtual");
    return inVirtualTime(async () => {
      const board = await startBoard({ machine: "wasm", variant: "good", buffers: { bufSize, bufCount } });
      const options = { baud: 1_000_000, delayMs, fifo: 16, errorRate: NOISE, seed: 7 };
      const line = new CountedLine(await board.connect(), options);
      const session = await Session.open(() => connect(line, { framing: consoleFraming() }));
      try {
        const file = await image("good-b");
        const before = line.bytes;
        await run(upload(session, file));
        expect(Buffer.compare(board.readFlash(slotOffset(0, 1), file.length), file)).toBe(0);
        expect(line.damaged).toBeGreaterThan(0);
        expect(line.bytes - before).toBeLessThan(file.length * MOST_ON_THE_WIRE);
      } finally {
        await session.close();
        await board.close();
      }
    }, 0.001);
  },
);
