import { expect, test } from "vitest";
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
