import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { Client } from "../../src/client/client.js";
import { sha256Of } from "../../src/file-transfer/file-hash.js";
import {
  type DownloadEvent,
  type DownloadOptions,
  type FileEvent,
  getFile,
  type PutOptions,
  putFile,
} from "../../src/file-transfer/files.js";
import { run } from "../../src/session/run.js";
import { Session } from "../../src/session/session.js";
import { fsClose, fsStatus, fsUpload } from "../../src/smp/groups/fs.js";
import type { Header } from "../../src/smp/header.js";
import { type BoardSession, boardSession } from "../support/board-session.js";
import { ScriptedPipe } from "../support/pipe-script.js";

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

async function put(session: Session, name: string, file: Uint8Array, options: PutOptions = {}) {
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

interface Quirks {
  /** Which upload is answered as if the one before it had not come. */
  drops?: number;
  /** A refusal closes the file. */
  closesOnRefusal?: boolean;
}

/** A file system that needs the room of the stored file and of the one being written, as littlefs does. */
function tightDevice(room: number, { drops, closesOnRefusal }: Quirks = {}): ScriptedPipe {
  let stored: Uint8Array = new Uint8Array();
  let written: Uint8Array | undefined;
  let uploads = 0;
  const close = () => {
    stored = written ?? stored;
    written = undefined;
  };
  const upload = (off: number, data: Uint8Array): Record<string, unknown> => {
    // Zephyr empties a file when bytes for it arrive, and not before.
    if (data.length === 0) return { off };
    if (off === 0) written = new Uint8Array();
    const at = (written ?? stored).length;
    if (off !== at || ++uploads === drops) {
      if (closesOnRefusal) close();
      return { err: { group: 8, rc: 11 }, len: at };
    }
    const next = Uint8Array.from([...(written ?? stored), ...data]);
    if (stored.length + next.length > room) return { err: { group: 8, rc: 10 } };
    written = next;
    return { off: next.length };
  };
  const answer = ({ group, id, op }: Header, fields: Record<string, unknown>) => {
    if (group !== 8) return { rc: 8 };
    if (id === 0 && op === "write") return upload(fields.off as number, fields.data as Uint8Array);
    if (id === 1) return { len: (written ?? stored).length };
    close();
    return id === 2 ? { type: "sha256", len: stored.length, output: sha256Of(stored) } : {};
  };
  return new ScriptedPipe((request, pipe) => pipe.answer(request, answer(request.header, request.fields)));
}

describe("where there is no room for the old file and the new", () => {
  const session = async (quirks: Quirks = {}) =>
    Session.open(async () => new Client(tightDevice(5000, quirks), { timeoutMs: 500 }));

  test("the old one stays and the refusal says what to do", async () => {
    const tight = await session();
    await put(tight, "/lfs/one", content(4000));
    await expect(put(tight, "/lfs/one", content(4000, 2))).rejects.toMatchObject({
      rcName: "FILE_WRITE_FAILED",
      hint: expect.stringContaining("--replace"),
    });
    await tight.close();
  });

  test("the old one is given up when that is wanted", async () => {
    const tight = await session();
    await put(tight, "/lfs/one", content(4000));
    const sent = await put(tight, "/lfs/one", content(4500, 2), { replace: true });
    expect(sent.events).toContainEqual({ step: "made-room", by: "other-file" });
    expect(sent).toMatchObject({ bytes: 4500, proof: "sha256" });
    await tight.close();
  });

  test("a part of its own that a lost chunk left there is given up without a question", async () => {
    // As Zephyr's littlefs does it: a refusal closes the file, and what is stored needs its room once more to go on.
    const tight = await session({ closesOnRefusal: true, drops: 6 });
    const sent = await put(tight, "/lfs/one", content(4500));
    expect(sent.events).toContainEqual({ step: "made-room", by: "own-part" });
    expect(sent).toMatchObject({ bytes: 4500, proof: "sha256" });
    expect(sent.movedBytes).toBeGreaterThan(4500);
    await tight.close();
  });

  test("a file that fits beside the old one never gives it up beforehand", async () => {
    const tight = await session();
    await put(tight, "/lfs/one", content(2000));
    const sent = await put(tight, "/lfs/one", content(2500, 2), { replace: true });
    expect(sent.events.map(({ step }) => step)).not.toContain("made-room");
    await tight.close();
  });

  test("a file that does not become empty is not taken for an empty one", async () => {
    const tight = await session();
    await put(tight, "/lfs/one", content(40));
    await expect(put(tight, "/lfs/one", content(0))).rejects.toMatchObject({
      code: "transfer-damaged",
      message: expect.stringContaining("still has its 40 bytes"),
    });
    await tight.close();
  });
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
