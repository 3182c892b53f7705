import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { connect } from "../../src/client/connect.js";
import { getFile, putFile } from "../../src/file-transfer/files.js";
import { run } from "../../src/session/run.js";
import { Session } from "../../src/session/session.js";
import { fuzz } from "../support/fuzz.js";
import { type HeardRequest, ScriptedPipe } from "../support/pipe-script.js";

const { numRuns, seed, timeout } = fuzz(100);

/** Devices whose file system says what no file system should. */
let open: Session | undefined;
afterEach(() => open?.close());

type Answer = Record<string, unknown>;

/** Answers of the file group by command id; everything else is not there. */
async function deviceWith(answers: Readonly<Record<number, (request: HeardRequest) => Answer>>) {
  const pipe = new ScriptedPipe((request, device) => {
    const { group, id } = request.header;
    const params = group === 0 && id === 6 ? { buf_size: 256, buf_count: 2 } : undefined;
    device.answer(request, params ?? (group === 8 ? answers[id]?.(request) : undefined) ?? { rc: 8 });
  });
  open = await Session.open((signal) => connect(pipe, { signal }));
  return open;
}

const bytes = (length: number) => new Uint8Array(length);

describe("a download", () => {
  test.each([
    ["tells no size", () => ({ off: 0, data: bytes(5) }), "transfer-bad-offset"],
    ["is endless", () => ({ off: 0, data: bytes(5), len: 2 ** 40 }), "file-too-big"],
    ["has more bytes than the file", () => ({ off: 0, data: bytes(50), len: 10 }), "transfer-bad-offset"],
    ["answers with another offset", () => ({ off: 3, data: bytes(5), len: 10 }), "transfer-bad-offset"],
    ["never sends a byte", () => ({ off: 0, data: bytes(0), len: 10 }), "transfer-stuck"],
  ] as const)("that %s ends with a reason", async (_what, answer, code) => {
    const session = await deviceWith({ 0: answer });
    await expect(run(getFile(session, "/x"))).rejects.toMatchObject({ code, file: "/x" });
  });

  test("that changes while it is compared is damaged", async () => {
    let reads = 0;
    const session = await deviceWith({ 0: () => ({ off: 0, data: Uint8Array.of(reads++), len: 1 }) });
    await expect(run(getFile(session, "/x"))).rejects.toMatchObject({ code: "transfer-damaged" });
  });

  test("of a device that cannot hash is compared by reading it again", async () => {
    const session = await deviceWith({ 0: () => ({ off: 0, data: Uint8Array.of(7), len: 1 }) });
    expect(await run(getFile(session, "/x"))).toMatchObject({ bytes: 1, proof: "read-back" });
  });
});

describe("an upload into a folder that is not there", () => {
  const refuse = (rc: number) => () => ({ err: { group: 8, rc } });
  // Zephyr answers 14 for both; asked about a folder that exists, it answers 4, "is a directory".
  test.each([
    ["a folder is missing", "/lfs1/no/x", 14, 4, "no-such-folder", "/lfs1/no"],
    ["nothing is mounted", "/nofs/no/x", 14, 14, "file-system-not-mounted", "/nofs"],
    ["nothing is mounted where the file itself goes", "/nofs/x", 14, 14, "file-system-not-mounted", "/nofs"],
  ])("%s: the mount point tells", async (_what, name, refusal, about, code, missing) => {
    const session = await deviceWith({ 0: refuse(refusal), 1: refuse(about) });
    await expect(run(putFile(session, name, bytes(10)))).rejects.toMatchObject({
      code,
      file: name,
      message: expect.stringContaining(missing),
    });
  });

  test("a server whose answer does not decide it is quoted", async () => {
    const session = await deviceWith({ 0: refuse(14), 1: () => ({ rc: 8 }) });
    await expect(run(putFile(session, "/lfs1/no/x", bytes(10)))).rejects.toMatchObject({ rc: 14 });
  });
});

describe("an upload", () => {
  test("to a device that never gets on ends", async () => {
    const session = await deviceWith({ 0: () => ({ off: 0 }) });
    await expect(run(putFile(session, "/x", bytes(100)))).rejects.toMatchObject({ code: "transfer-stuck" });
  });

  test("to a device that always refuses the offset ends", async () => {
    let len = 1;
    const session = await deviceWith({ 0: () => ({ err: { group: 8, rc: 11 }, len: len++ }) });
    await expect(run(putFile(session, "/x", bytes(100)))).rejects.toMatchObject({ code: "transfer-stuck" });
  });

  test("that is not there afterwards is damaged, whatever the answers said", async () => {
    const session = await deviceWith({
      0: ({ fields }) => ({ off: Number(fields.off) + (fields.data as Uint8Array).length }),
      1: () => ({ len: 99 }),
    });
    await expect(run(putFile(session, "/x", bytes(100)))).rejects.toMatchObject({ code: "transfer-damaged" });
  });

  test("to a device that can neither hash nor send says so", async () => {
    const session = await deviceWith({
      0: ({ header, fields }) =>
        header.op === "read" ? { rc: 8 } : { off: Number(fields.off) + (fields.data as Uint8Array).length },
    });
    expect(await run(putFile(session, "/x", bytes(100)))).toMatchObject({ proof: "nothing" });
  });

  test("under a name too long for the buffer is refused here", async () => {
    const session = await deviceWith({});
    const name = `/${"x".repeat(250)}`;
    await expect(run(putFile(session, name, bytes(1)))).rejects.toMatchObject({
      code: "transfer-buffer-too-small",
    });
  });
});

test("whatever a device answers, a transfer ends, with the right bytes or a typed error", {
  timeout,
}, async () => {
  const offset = fc.oneof(fc.nat(120), fc.constant(-1), fc.constant(2 ** 33));
  const answer = fc.oneof(
    fc.record({ off: offset }),
    fc.record({ off: offset, len: offset, data: fc.uint8Array({ maxLength: 60 }) }),
    fc.record({ err: fc.record({ group: fc.constant(8), rc: fc.nat(17) }), len: offset }),
    fc.record({ rc: fc.nat(14) }),
    fc.record({ type: fc.constant("sha256"), len: offset, output: fc.uint8Array({ maxLength: 32 }) }),
  );
  const how = fc.record({ up: fc.boolean(), replace: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(
      fc.array(answer, { minLength: 1, maxLength: 12 }),
      how,
      async (script, { up, replace }) => {
        let turn = 0;
        const next = () => script[turn++ % script.length]!;
        const session = await deviceWith({ 0: next, 1: next, 2: next, 4: next });
        const work = up
          ? putFile(session, "/x", bytes(100), { replace })
          : getFile(session, "/x", { atMost: 1000 });
        try {
          const { bytes: size } = await run<unknown, { bytes: number }>(work as never);
          expect(size).toBeLessThanOrEqual(1000);
        } catch (error) {
          expect((error as { code?: unknown }).code).toBeTypeOf("string");
        }
        await session.close();
      },
    ),
    { numRuns, seed },
  );
});
