import { expect, test } from "vitest";
import { connect } from "../../src/client/connect.js";
import { diagnose } from "../../src/diagnosis/diagnose.js";
import { uploadRate } from "../../src/diagnosis/link-rate.js";
import { startBoard } from "../../src/emulator/start.js";
import { consoleFraming } from "../../src/smp/framing/console.js";
import { rawFraming } from "../../src/smp/framing/raw.js";
import { inVirtualTime } from "../support/workflow-clock.js";
import { pipedCeiling, waitingCeiling } from "./ceiling.js";
import { Line, setClock } from "./line.js";

test.each([256, 384, 1024, 2048])("the rate of a line is what arithmetic says, %i bytes", (buffer) => {
  for (const framing of [consoleFraming(), rawFraming]) {
    for (const delayMs of [0, 5, 16]) {
      const facts = { framing: framing.name as "console" | "raw", baud: 115200, buffer, delayMs };
      const shape = { framing, bufSize: buffer, baudRate: 115200, latencyMs: delayMs };
      // The reckoning here takes an offset's CBOR as it is, the formula's answer has a fixed length: a hundredth apart.
      expect(uploadRate({ ...shape, window: 1 }) / waitingCeiling(facts)).toBeCloseTo(1, 2);
      expect(uploadRate({ ...shape, window: 99 }) / pipedCeiling(facts)).toBeCloseTo(1, 2);
    }
  }
});

/** A board of these buffers behind a line, examined in virtual time. */
function examined(
  line: { baud: number; delayMs: number },
  buffers: { bufSize: number; bufCount: number },
  options: { erase?: boolean } = {},
) {
  setClock("virtual");
  return inVirtualTime(async () => {
    const board = await startBoard({ machine: "wasm", variant: "good", buffers });
    const pipe = new Line(await board.connect(), { ...line, fifo: 16, errorRate: 0, seed: 1 });
    const client = await connect(pipe, { framing: consoleFraming() });
    try {
      return await diagnose(client, { baudRate: line.baud, ...options });
    } finally {
      await client.close();
      await board.close();
    }
  }, 0.001);
}

test.each([
  ["a slow line", { baud: 115200, delayMs: 0 }, { bufSize: 1024, bufCount: 4 }, /current-speed = <1000000>/],
  ["a single buffer", { baud: 1_000_000, delayMs: 4 }, { bufSize: 256, bufCount: 1 }, /NETBUF_COUNT=4/],
  ["a small buffer", { baud: 1_000_000, delayMs: 30 }, { bufSize: 256, bufCount: 4 }, /NETBUF_SIZE=2048/],
  ["a slow adapter", { baud: 1_000_000, delayMs: 200 }, { bufSize: 2048, bufCount: 4 }, /latency_timer/],
])("the setting that would help most: %s", async (_, line, buffers, setting) => {
  const diagnosis = await examined(line, buffers);
  expect(diagnosis.advice?.setting).toMatch(setting);
  expect(diagnosis.advice?.uploadRate).toBeGreaterThan(diagnosis.uploadRate * 1.1);
});

test("what is measured is what the line adds", async () => {
  const { latencyMs, roundTripMs, repeated, losesBursts, longestRoundTripMs } = await examined(
    { baud: 115200, delayMs: 16 },
    { bufSize: 1024, bufCount: 4 },
  );
  expect(latencyMs).toBeGreaterThan(15.99);
  expect(latencyMs).toBeLessThan(19);
  expect(roundTripMs).toBeLessThan(longestRoundTripMs ?? 0);
  expect({ repeated, losesBursts }).toEqual({ repeated: 0, losesBursts: false });
});

test("nothing is erased unless asked for", async () => {
  const line = { baud: 1_000_000, delayMs: 0 };
  const buffers = { bufSize: 1024, bufCount: 4 };
  expect((await examined(line, buffers)).eraseMs).toBeUndefined();
  expect((await examined(line, buffers, { erase: true })).eraseMs).toBeGreaterThan(0);
});
