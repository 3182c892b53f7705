import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { fsClose, fsStatus, fsUpload } from "../../src/smp/groups/fs.js";
import {
  type DownloadEvent,
  type DownloadOptions,
  type FileEvent,
  type FileOptions,
  getFile,
  putFile,
} from "../../src/workflow/files.js";
import { run } from "../../src/workflow/run.js";
import type { Session } from "../../src/workflow/session.js";
import { type BoardSession, boardSession } from "../support/board-session.js";

/** Bytes that are the same in every run, and of which no two pieces are alike. */
const content = (length: number, seed = 1) =>
  Uint8Array.from({ length }, (_, index) => (index * 167 + (index >> 8) * 31 + seed) & 0xff);

let open: BoardSession[] = [];
afterEach(async () => {
  for (const bench of open) await bench.close();
  open = [];
});

async function bench(options: Parameters<typeof boardSession>[0] = {}): Promise<BoardSession> {
  const made = await boardSession(options);
  open.push(made);
  return made;
}

async function put(session: Session, name: string, file: Uint8Array, options: FileOptions = {}) {
  const events: FileEvent[] = [];
  const result = await run(putFile(session, name, file, options), (event) => events.push(event));
  return { ...result, events };
}

async function get(session: Session, name: string, options: DownloadOptions = {}) {
  const events: DownloadEvent[] = [];
  const result = await run(getFile(session, name, options), (event) => events.push(event));
  return { ...result, events };
}

test.each([0, 1, 23, 24, 255, 256, 1000, 4096, 5000])(
  "a file of %i bytes goes there and back",
  async (size) => {
    const { session } = await bench();
    const file = content(size);
    const sent = await put(session, "/lfs/one", file);
    expect(sent).toMatchObject({ bytes: size, movedBytes: size, resumedAt: 0 });
    expect(sent.proof).toBe(size === 0 ? "read-back" : "sha256");
    const back = await get(session, "/lfs/one");
    expect(back.data).toEqual(file);
    expect(back).toMatchObject({ bytes: size, resumedAt: 0, proof: sent.proof });
  },
);

test("a file that is there whole is not sent again", async () => {
  const { session } = await bench();
  const file = content(3000);
  await put(session, "/lfs/same", file);
  expect(await put(session, "/lfs/same", file)).toMatchObject({ movedBytes: 0, resumedAt: 3000 });
  expect(await put(session, "/lfs/same", file, { resume: false })).toMatchObject({ movedBytes: 3000 });
});

test("a part that another run left is kept, a different file is replaced", async () => {
  const { session } = await bench();
  const file = content(4000);
  const { client } = session;
  await client.send(fsUpload, { off: 0, data: file.subarray(0, 700), name: "/lfs/part", len: 4000 });
  const sent = await put(session, "/lfs/part", file);
  expect(sent).toMatchObject({ resumedAt: 700, movedBytes: 3300, proof: "sha256" });
  expect(sent.events).toContainEqual({ step: "resumed", at: 700 });
  expect((await get(session, "/lfs/part")).data).toEqual(file);

  const other = content(2000, 9);
  expect(await put(session, "/lfs/part", other)).toMatchObject({ resumedAt: 0, movedBytes: 2000 });
  expect((await get(session, "/lfs/part")).data).toEqual(other);
});

test("a device that cannot append to a closed file gets it anew", async () => {
  const { session } = await bench();
  const file = content(4000);
  const { client } = session;
  await client.send(fsUpload, { off: 0, data: file.subarray(0, 700), name: "/lfs/shut", len: 4000 });
  await client.send(fsClose, {});
  const sent = await put(session, "/lfs/shut", file);
  expect(sent.events).toContainEqual({ step: "restarted", at: 700 });
  expect(sent.proof).toBe("sha256");
  expect((await get(session, "/lfs/shut")).data).toEqual(file);
});

test("a download goes on behind what is here, and only when it is the same", async () => {
  const { session } = await bench();
  const file = content(4000);
  await put(session, "/lfs/log", file);
  const have = file.slice(0, 1500);
  const rest = await get(session, "/lfs/log", { have });
  expect(rest.data).toEqual(file);
  expect(rest.resumedAt).toBe(1500);
  const arrived = rest.events.flatMap((event) => (event.step === "data" ? [event] : []));
  expect(arrived[0]?.at).toBe(1500);
  expect(arrived.reduce((sum, event) => sum + event.data.length, 0)).toBe(2500);

  have[3]! ^= 1;
  expect(await get(session, "/lfs/log", { have })).toMatchObject({ resumedAt: 0, data: file });
});

test("a file larger than allowed is not fetched", async () => {
  const { session } = await bench();
  await put(session, "/lfs/big", content(3000));
  await expect(get(session, "/lfs/big", { atMost: 2999 })).rejects.toMatchObject({ code: "file-too-big" });
});

test("a file that is not there is the group's own error", async () => {
  const { session } = await bench();
  await expect(get(session, "/lfs/none")).rejects.toMatchObject({ rcName: "FILE_NOT_FOUND" });
});

describe("a restart in the middle", () => {
  test("of an upload is survived; the bytes are right in the end", async () => {
    const { board, session } = await bench({ timeoutMs: 200 });
    const file = content(9000);
    let resets = 0;
    const work = putFile(session, "/lfs/cut", file, { reconnectWithinMs: 20_000 });
    const events: FileEvent[] = [];
    const result = await run(work, (event) => {
      events.push(event);
      if (event.step === "moved" && event.done > 3000 && resets++ === 0) void board.reset();
    });
    expect(resets).toBeGreaterThan(0);
    expect(result.proof).toBe("sha256");
    expect((await get(session, "/lfs/cut")).data).toEqual(file);
    expect((await session.client.send(fsStatus, { name: "/lfs/cut" })).len).toBe(9000);
  });
});

test("whatever two files follow each other under one name, the second is there in the end", async () => {
  const { session } = await bench();
  const file = fc.uint8Array({ maxLength: 1500 });
  await fc.assert(
    fc.asyncProperty(file, file, fc.nat(1500), async (first, second, shared) => {
      // The second often begins as the first does, which is what resuming must not be fooled by.
      const next = Uint8Array.from([...first.subarray(0, shared), ...second]);
      await put(session, "/lfs/pair", first);
      await put(session, "/lfs/pair", next);
      expect((await get(session, "/lfs/pair")).data).toEqual(next);
    }),
    { numRuns: 25 },
  );
});
