import { expect, test } from "vitest";
import { connect } from "../../src/client/connect.js";
import { ServerLatency } from "../../src/client/server-latency.js";
import { startBoard } from "../../src/emulator/start.js";
import { getFile, putFile } from "../../src/file-transfer/files.js";
import { run } from "../../src/session/run.js";
import { Session } from "../../src/session/session.js";
import { consoleFraming } from "../../src/smp/framing/console.js";
import type { ByteStream } from "../../src/transport/transport.js";
import { Line, setClock } from "../bench/line.js";
import { inVirtualTime } from "../support/workflow-clock.js";

/** A server's last buffer is used only where it cannot be missed: Zephyr 4.4 ends in a fault when a line finds none left. */

const FILE = Uint8Array.from({ length: 20_000 }, (_, at) => (at * 31 + (at >> 8)) & 0xff);

/** A file to our board and back, over that pipe; the windows that were reached. */
function windowsOver(bufCount: number, pipe: (board: ByteStream) => ByteStream) {
  setClock("virtual");
  return inVirtualTime(async () => {
    const board = await startBoard({ machine: "wasm", variant: "good", buffers: { bufSize: 512, bufCount } });
    const session = await Session.open(async () =>
      connect(pipe(await board.connect()), { framing: consoleFraming() }),
    );
    try {
      let written = 0;
      await run(putFile(session, "/lfs/x", FILE), () => {
        written = Math.max(written, session.client.pacing.writing.window.size);
      });
      const { data } = await run(getFile(session, "/lfs/x"));
      expect(Buffer.compare(data, FILE)).toBe(0);
      return { written, read: session.client.pacing.reading.window.size };
    } finally {
      await session.close();
      await board.close();
    }
  }, 0.001);
}

const line = { baud: 115_200, delayMs: 16, fifo: 16, errorRate: 0, seed: 1 };

test("on a serial line two requests are under way with two buffers, and one with one", async () => {
  expect((await windowsOver(2, (board) => new Line(board, line))).written).toBe(2);
  expect((await windowsOver(1, (board) => new Line(board, line))).written).toBe(1);
});

test("files are read with several questions under way, as they are written", async () => {
  const { written, read } = await windowsOver(4, (board) => new Line(board, line));
  expect(written).toBeGreaterThan(1);
  expect(read).toBeGreaterThan(1);
});

test("where a baud rate means nothing the last buffer is left alone", async () => {
  /** As USB and pseudo-terminals: a rate that nobody keeps to. */
  const hasty = (board: ByteStream): ByteStream => ({
    name: board.name,
    baudRate: 115_200,
    chunks: board.chunks,
    write: (bytes) => board.write(bytes),
    close: () => board.close(),
  });
  expect((await windowsOver(2, hasty)).written).toBe(1);
});

test("files arrive whole over a line that damages bytes", async () => {
  const { written } = await windowsOver(4, (board) => new Line(board, { ...line, errorRate: 1e-4 }));
  expect(written).toBeGreaterThan(1);
});

const QUICK = { ownMs: 1, lineMs: 11, isLone: true };
const SLOW = { ownMs: 8, lineMs: 11, isLone: true };

test("a server proves its promptness with a sector's worth of data, anew after each slow answer", () => {
  const latency = new ServerLatency();
  for (let bytes = 0; bytes < 4096; bytes += 512) {
    expect(latency.isProven).toBe(false);
    latency.answered(512, QUICK);
  }
  expect(latency.isProven).toBe(true);
  latency.answered(512, SLOW);
  expect(latency.isProven).toBe(false);
  for (let n = 0; n < 20; n++) latency.answered(512, { ...QUICK, isLone: false });
  // One that is slow alone is slow for all; behind one another only what is more than that shows.
  expect(latency.isProven).toBe(false);
  latency.answered(512, QUICK);
  expect(latency.isProven).toBe(true);
});

test("after a loss with all buffers in use it is never believed again", () => {
  const latency = new ServerLatency();
  latency.answered(8192, QUICK);
  latency.doubt();
  latency.answered(1 << 20, QUICK);
  expect(latency.isProven).toBe(false);
});
