import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { frame } from "../support/board-frames.js";
import { type Body, FirmwareSession, RESET } from "../support/firmware-session.js";

/** The application's stores and commands, beyond what the recordings show. */

const text = (value: string) => new TextEncoder().encode(value);
const bytes = (value: unknown) => Buffer.from(value as Uint8Array).toString("latin1");

let session: FirmwareSession;
beforeAll(async () => {
  session = await FirmwareSession.open();
});
afterAll(() => session.close());

const write = (group: number, id: number, body: Body = {}) => session.ask({ group, id, op: "write", body });
const read = (group: number, id: number, body: Body = {}) => session.ask({ group, id, body });
const reboot = () => session.boot(async () => void (await session.ask(RESET)));

describe("settings", () => {
  const setting = async (name: string) => bytes((await read(3, 0, { name })).val);

  test("a write changes what runs; only a save outlives the reset", async () => {
    expect(await write(3, 0, { name: "app/name", val: text("one") })).toEqual({});
    expect(await setting("app/name")).toBe("one");
    await reboot();
    expect(await setting("app/name")).toBe("bootproof");
    await write(3, 0, { name: "app/name", val: text("two") });
    expect(await write(3, 3)).toEqual({});
    await reboot();
    expect(await setting("app/name")).toBe("two");
  });

  test("load brings back what was saved; delete brings back the default, for good", async () => {
    await write(3, 0, { name: "app/name", val: text("three") });
    expect(await read(3, 3)).toEqual({});
    expect(await setting("app/name")).toBe("two");
    expect(await write(3, 1, { name: "app/name" })).toEqual({});
    await reboot();
    expect(await setting("app/name")).toBe("bootproof");
  });

  test.each<[what: string, ask: () => Promise<Body>, answer: Body]>([
    ["read only", () => write(3, 0, { name: "id/serial", val: text("x") }), { err: { group: 3, rc: 6 } }],
    ["delete of a read-only one", () => write(3, 1, { name: "id/serial" }), { err: { group: 3, rc: 7 } }],
    ["write only", () => read(3, 0, { name: "app/token" }), { err: { group: 3, rc: 4 } }],
    ["unknown key", () => read(3, 0, { name: "app/nothing" }), { err: { group: 3, rc: 3 } }],
    ["unknown root", () => read(3, 0, { name: "appx/name" }), { err: { group: 3, rc: 5 } }],
    ["too long a name", () => read(3, 0, { name: "a".repeat(33) }), { err: { group: 3, rc: 2 } }],
    ["wrong size", () => write(3, 0, { name: "app/interval", val: text("xx") }), { rc: 3 }],
    ["too long a value", () => write(3, 0, { name: "app/name", val: text("x".repeat(33)) }), { rc: 3 }],
    ["out of range", () => write(3, 0, { name: "log/console", val: Uint8Array.of(3) }), { rc: 3 }],
  ])("%s is refused", async (_, ask, answer) => {
    expect(await ask()).toEqual(answer);
  });

  test("an answer as short as the client wants, and the server's limit when it wants more", async () => {
    expect(bytes((await read(3, 0, { name: "app/name", max_size: 4 })).val)).toBe("boot");
    expect((await read(3, 0, { name: "app/name", max_size: 100 })).max_size).toBe(64);
  });

  test("storage erase forgets them at the next reset", async () => {
    await write(3, 0, { name: "app/name", val: text("four") });
    await write(3, 3);
    expect(await write(63, 0)).toEqual({});
    expect(await setting("app/name")).toBe("four");
    await reboot();
    expect(await setting("app/name")).toBe("bootproof");
  });

  test.each(["before", "half-done"] as const)(
    "a power cut %s any flash operation of a save leaves the old or the new",
    async (kind) => {
      const seen = new Set<string>();
      let previous = "before";
      await write(3, 0, { name: "app/name", val: text(previous) });
      await write(3, 3);
      for (let round = 1; ; round++) {
        await session.board.powerOff();
        await session.boot(() => session.board.powerOn({ cut: { operation: round, kind } }));
        expect(await setting("app/name")).toBe(previous);
        const next = `value${round}`;
        await write(3, 0, { name: "app/name", val: text(next) });
        const cut = new Promise<"cut">((resolve) =>
          session.board.onEvent(
            (event) => event.kind === "power" && !event.on && event.why === "cut" && resolve("cut"),
          ),
        );
        if ((await Promise.race([cut, write(3, 3)])) !== "cut") break;
        session.forget();
        await session.boot(() => session.board.powerOn());
        previous = await setting("app/name");
        seen.add(previous === next ? "new" : "old");
        if (previous !== next) expect(previous).not.toBe("bootproof");
      }
      await session.board.powerOff();
      await session.boot(() => session.board.powerOn());
      expect([...seen]).toContain("old");
    },
  );
});

describe("files", () => {
  const content = Buffer.from(Array.from({ length: 9001 }, (_, index) => (index * 7) & 0xff));
  const put = async (name: string, data: Uint8Array, chunk = 333) => {
    let answer: Body = {};
    for (let off = 0; off === 0 || off < data.length; off += chunk) {
      const body = {
        name,
        off,
        data: data.subarray(off, off + chunk),
        ...(off === 0 && { len: data.length }),
      };
      answer = await write(8, 0, body);
      if (answer.off === undefined) return answer;
    }
    return answer;
  };
  const get = async (name: string) => {
    const parts: Uint8Array[] = [];
    let off = 0;
    for (let length = 1; off < length; ) {
      const answer = await read(8, 0, { name, off });
      if (!(answer.data instanceof Uint8Array)) return answer;
      if (off === 0) length = answer.len as number;
      parts.push(answer.data);
      off += answer.data.length;
    }
    return Buffer.concat(parts).toString("hex");
  };

  test("come back as they went, after a reset and a power cut too", async () => {
    expect(await put("/lfs/a.bin", content)).toEqual({ off: 9001 });
    expect(await put("/lfs/empty", new Uint8Array(0))).toEqual({ off: 0 });
    expect(await get("/lfs/a.bin")).toBe(content.toString("hex"));
    await session.board.powerOff();
    await session.boot(() => session.board.powerOn());
    expect(await get("/lfs/a.bin")).toBe(content.toString("hex"));
    expect(await read(8, 1, { name: "/lfs/empty" })).toEqual({ len: 0 });
  });

  test("are hashed in whole and in part", async () => {
    const sha = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");
    const whole = await read(8, 2, { name: "/lfs/a.bin", type: "sha256" });
    expect(Buffer.from(whole.output as Uint8Array).toString("hex")).toBe(sha(content));
    const part = await read(8, 2, { name: "/lfs/a.bin", type: "sha256", off: 5000, len: 4000 });
    expect(Buffer.from(part.output as Uint8Array).toString("hex")).toBe(sha(content.subarray(5000, 9000)));
  });

  test("are replaced whole, and one that was not finished is gone after a power cut", async () => {
    expect(await put("/lfs/a.bin", content.subarray(0, 100))).toEqual({ off: 100 });
    expect(await get("/lfs/a.bin")).toBe(content.subarray(0, 100).toString("hex"));
    await write(8, 0, { name: "/lfs/half", off: 0, len: 5000, data: content.subarray(0, 501) });
    expect(await read(8, 1, { name: "/lfs/half" })).toEqual({ len: 501 });
    expect(await get("/lfs/half")).toBe(content.subarray(0, 501).toString("hex"));
    await session.board.powerOff();
    await session.boot(() => session.board.powerOn());
    expect(await read(8, 1, { name: "/lfs/half" })).toEqual({ err: { group: 8, rc: 3 } });
    expect(await get("/lfs/a.bin")).toBe(content.subarray(0, 100).toString("hex"));
  });

  test("end early when closed, and stay", async () => {
    await write(8, 0, { name: "/lfs/half", off: 0, len: 5000, data: content.subarray(0, 501) });
    expect(await write(8, 4)).toEqual({});
    await reboot();
    expect(await get("/lfs/half")).toBe(content.subarray(0, 501).toString("hex"));
  });

  test.each<[what: string, body: Body, answer: Body]>([
    [
      "a wrong offset tells the right one",
      { name: "/lfs/half", off: 7, data: text("x") },
      { err: { group: 8, rc: 11 }, len: 501 },
    ],
    ["a directory", { name: "/lfs/d/x", off: 0, len: 1, data: text("x") }, { err: { group: 8, rc: 2 } }],
    ["no mount point", { name: "/mnt/x", off: 0, len: 1, data: text("x") }, { err: { group: 8, rc: 3 } }],
    [
      "more than there is room for",
      { name: "/lfs/big", off: 0, len: 70000, data: text("x") },
      { err: { group: 8, rc: 10 } },
    ],
    [
      "more than was announced",
      { name: "/lfs/b", off: 0, len: 1, data: text("xy") },
      { err: { group: 8, rc: 10 } },
    ],
  ])("%s", async (_, body, answer) => {
    expect(await write(8, 0, body)).toEqual(answer);
  });

  test("fill the store to the last sector and no further", async () => {
    const fill = await FirmwareSession.open();
    let stored = 0;
    for (;;) {
      const answer = await fill.ask({
        group: 8,
        id: 0,
        op: "write",
        body: { name: `/lfs/${stored}`, off: 0, len: 1, data: text("x") },
      });
      if (answer.off === undefined) break;
      stored++;
    }
    expect(stored).toBe(16);
    await fill.close();
  });
});

describe("system", () => {
  test("the clock runs from what it was set to, over a leap day, and forgets at a reset", async () => {
    expect(await write(0, 4, { datetime: "2028-02-28T23:59:59.999" })).toEqual({});
    expect((await read(0, 4)).datetime).toMatch(/^2028-02-2[89]T/);
    for (const wrong of [
      "2027-02-29T00:00:00",
      "2028-13-01T00:00:00",
      "2028-01-01 00:00:00",
      "28-01-01T00:00:00",
      "2028-01-01T24:00:00",
      "2028-01-0xT00:00:00",
    ])
      expect(await write(0, 4, { datetime: wrong }), wrong).toEqual({ rc: 3 });
    await reboot();
    expect(await read(0, 4)).toEqual({ err: { group: 0, rc: 4 } });
  });

  test("v1 clients get the translated code, and the reason in words where there is one", async () => {
    const v1 = (group: number, id: number, body: Body = {}, op: "read" | "write" = "read") =>
      session.ask({ group, id, body, op, version: 1 });
    expect(await v1(0, 4)).toEqual({ rc: 5 });
    expect(await v1(8, 1, { name: "/lfs/none" })).toEqual({ rc: 5 });
    expect(await v1(1, 1, { off: 0, len: 64, data: new Uint8Array(64) }, "write")).toEqual({
      rc: 1,
      rsn: "magic mismatch",
    });
    expect(await v1(10, 2, { index: 99 })).toEqual({ rc: 1 });
  });

  test("several requests in one message are answered one by one, up to the first that fails", async () => {
    const echo = (seq: string) => `0a0000090000${seq}00a161646568656c6c6f`;
    await session.send(frame(echo("51") + echo("52")));
    expect((await session.answer()).hex.slice(12, 14)).toBe("51");
    expect((await session.answer()).hex.slice(12, 14)).toBe("52");
  });

  test("the shell says what failed", async () => {
    const shell = (...argv: string[]) => write(9, 0, { argv });
    expect(await shell("echo", "a", "b  c")).toEqual({ o: "a b c\r\n", ret: 0 });
    expect(await shell("health")).toEqual({ o: "healthy\r\n", ret: 0 });
    expect((await shell("fail")).ret).toBe(-5);
    expect((await shell("log", "sideways")).ret).toBe(-22);
    expect((await shell("help")).o).toContain("health");
    expect(await shell("x".repeat(200))).toEqual({ err: { group: 9, rc: 2 } });
  });

  test("flash operations and messages are counted", async () => {
    const stat = async (name: string) => (await read(2, 0, { name })).fields as Record<string, number>;
    const before = { smp: await stat("smp"), flash: await stat("flash") };
    await write(3, 3);
    const after = { smp: await stat("smp"), flash: await stat("flash") };
    expect(after.flash.writes! - before.flash.writes!).toBeGreaterThan(0);
    expect(after.smp.requests! - before.smp.requests!).toBe(3);
    expect(after.smp.tx).toBe(after.smp.requests! - 1);
  });
});
