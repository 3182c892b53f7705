import { describe, expect, test } from "vitest";
import { ChunkQueue } from "../../src/transport/chunk-queue.js";

const chunk = (...bytes: number[]) => Uint8Array.from(bytes);

async function collect(queue: ChunkQueue): Promise<number[][]> {
  const seen: number[][] = [];
  for await (const bytes of queue) seen.push([...bytes]);
  return seen;
}

test("what was pushed before the end is delivered in order", async () => {
  const queue = new ChunkQueue();
  queue.push(chunk(1));
  queue.push(chunk(2, 3));
  queue.end();
  queue.push(chunk(4));
  expect(await collect(queue)).toEqual([[1], [2, 3]]);
});

test("what was pushed before the failure is delivered, then the failure", async () => {
  const queue = new ChunkQueue();
  queue.push(chunk(1));
  queue.fail(new Error("unplugged"));
  queue.end();
  const seen: number[] = [];
  const read = async () => {
    for await (const bytes of queue) seen.push(...bytes);
  };
  await expect(read()).rejects.toThrow("unplugged");
  expect(seen).toEqual([1]);
});

test("a consumer that waits is woken by a chunk and by the end", async () => {
  const queue = new ChunkQueue();
  const all = collect(queue);
  await Promise.resolve();
  queue.push(chunk(7));
  await Promise.resolve();
  queue.end();
  expect(await all).toEqual([[7]]);
});

test("a source nobody reads from is paused, and resumed once it is read", async () => {
  const calls: string[] = [];
  const queue = new ChunkQueue({ pause: () => calls.push("pause"), resume: () => calls.push("resume") });
  for (let n = 0; n < 6; n++) queue.push(new Uint8Array(64 * 1024));
  expect(calls).toEqual(["pause"]);
  const reader = queue[Symbol.asyncIterator]();
  await reader.next();
  expect(calls).toEqual(["pause", "resume"]);
});

describe("a listener", () => {
  const told = (queue: ChunkQueue, onChunk: (bytes: Uint8Array) => void = () => {}) => {
    const seen: unknown[] = [];
    queue.listen({
      chunk: (bytes) => {
        seen.push([...bytes]);
        onChunk(bytes);
      },
      ended: (error) => seen.push(error === undefined ? "end" : (error as Error).message),
    });
    return seen;
  };
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  test("is handed what waits and what comes, in order, never inside of the call, and the end once", async () => {
    const queue = new ChunkQueue();
    queue.push(chunk(1));
    const seen = told(queue);
    expect(seen).toEqual([]);
    await turn();
    queue.push(chunk(2));
    queue.push(chunk(3));
    expect(seen).toEqual([[1]]);
    await turn();
    queue.end();
    queue.fail(new Error("unplugged"));
    await turn();
    expect(seen).toEqual([[1], [2], [3], "end"]);
  });

  test("is told of a failure behind what came before it", async () => {
    const queue = new ChunkQueue();
    const seen = told(queue);
    queue.push(chunk(1));
    queue.fail(new Error("unplugged"));
    queue.push(chunk(2));
    await turn();
    expect(seen).toEqual([[1], "unplugged"]);
  });

  test("that throws is told so as of the pipe's end, and hears no more", async () => {
    const queue = new ChunkQueue();
    const seen = told(queue, () => {
      throw new Error("no");
    });
    queue.push(chunk(1));
    queue.push(chunk(2));
    await turn();
    queue.push(chunk(3));
    await turn();
    expect(seen).toEqual([[1], "no"]);
  });
});

describe("an inspection", () => {
  test("sees what waits already and what comes, until it has seen enough", async () => {
    const queue = new ChunkQueue();
    queue.push(chunk(1));
    const inspected: number[] = [];
    queue.inspect(([first = 0]) => {
      inspected.push(first);
      return first === 2 ? "enough" : "more";
    });
    for (const byte of [2, 3]) queue.push(chunk(byte));
    queue.end();
    expect(await collect(queue)).toEqual([[1], [2], [3]]);
    expect(inspected).toEqual([1, 2]);
  });

  test.each(["before", "after"])(
    "ends the iteration by its error, also when the pipe was lost %s",
    async (when) => {
      const queue = new ChunkQueue();
      queue.push(chunk(1));
      queue.push(chunk(66));
      if (when === "before") queue.fail(new Error("hung up"));
      queue.inspect(([first]) => (first === 66 ? new Error("refused") : "more"));
      queue.push(chunk(3));
      queue.fail(new Error("hung up"));
      const seen: number[] = [];
      const read = async () => {
        for await (const bytes of queue) seen.push(...bytes);
      };
      await expect(read()).rejects.toThrow("refused");
      expect(seen).toEqual([1]);
    },
  );
});
