import { expect, test } from "vitest";
import { connect } from "../../src/client/connect.js";
import { startBoard } from "../../src/emulator/start.js";
import { run } from "../../src/session/run.js";
import { Session } from "../../src/session/session.js";
import type { ByteStream } from "../../src/transport/transport.js";
import { upload } from "../../src/update/upload.js";
import { pipedCeiling } from "../bench/ceiling.js";
import { Line, setClock } from "../bench/line.js";
import { inVirtualTime } from "../support/workflow-clock.js";

const LINE = { baud: 1_000_000, delayMs: 16 } as const;
const BUFFER = 384;

/** A board whose answers all wait at the end of each span of time, as those of one that pauses. Nothing gets lost. */
class Pausing implements ByteStream {
  readonly name: string;
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly #board: ByteStream;

  constructor(board: ByteStream, { everyMs, pauseMs }: { everyMs: number; pauseMs: number }) {
    this.name = board.name;
    this.#board = board;
    const begin = performance.now();
    this.chunks = (async function* () {
      for await (const chunk of board.chunks) {
        const restMs = everyMs - ((performance.now() - begin) % everyMs);
        if (restMs < pauseMs) await new Promise((resolve) => setTimeout(resolve, restMs));
        yield chunk;
      }
    })();
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#board.write(bytes);
  }

  close(): Promise<void> {
    return this.#board.close();
  }
}

/** A header, and 120 KiB that no other has. */
function sampleImage(revision: number): Uint8Array {
  const file = Buffer.alloc(120 * 1024, revision);
  file.writeUInt32LE(0x96f3b83d, 0);
  file.writeUInt16LE(32, 8);
  file.writeUInt32LE(file.length - 32, 12);
  return file;
}

test.each([
  { everyMs: 2000, pauseMs: 150 },
  { everyMs: 3000, pauseMs: 600 },
])("a pause of $pauseMs ms costs its own time, and not the window", (pauses) => {
  setClock("virtual");
  return inVirtualTime(async () => {
    const buffers = { bufSize: BUFFER, bufCount: 4 };
    const board = await startBoard({ machine: "wasm", variant: "good", buffers });
    const options = { ...LINE, fifo: 16, errorRate: 0, seed: 1 };
    const session = await Session.open(async () =>
      connect(new Line(new Pausing(await board.connect(), pauses), options)),
    );
    let bytes = 0;
    let ms = 0;
    for (let revision = 0; revision < 3; revision++) {
      const file = sampleImage(revision);
      const { elapsedMs } = await run(upload(session, file));
      bytes += file.length;
      ms += elapsedMs;
    }
    const { window } = session.client.pacing.writing;
    expect({ size: window.size, isNoisy: window.isNoisy }).toEqual({ size: 4, isNoisy: false });
    const ceiling = pipedCeiling({ framing: "console", buffer: BUFFER, ...LINE });
    const awake = 1 - pauses.pauseMs / pauses.everyMs;
    expect((bytes * 1000) / ms / (ceiling * awake)).toBeGreaterThan(0.92);
    await session.close();
    await board.close();
  }, 0.001);
});
