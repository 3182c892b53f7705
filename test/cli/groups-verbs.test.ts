import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { boardOnTcp, type CliOptions, runCli, type TcpBoard } from "../support/groups-cli.js";

let board: TcpBoard;
beforeAll(async () => {
  board = await boardOnTcp();
});
afterAll(() => board.close());

const on = (args: readonly string[], options: CliOptions = {}) =>
  runCli(args, { ...options, env: { BOOTPROOF_DEVICE: board.address, ...options.env } });

async function json(...args: string[]): Promise<unknown> {
  const result = await on([...args, "--json"]);
  expect(result.err).toBe("");
  expect(result.status).toBe(0);
  return result.json();
}

test("echo repeats a text, and refuses what the board would not answer", async () => {
  expect(await json("echo", "good day")).toEqual({ text: "good day", ms: expect.any(Number) });
  expect((await on(["echo", "hi"])).out).toBe("hi\n");
  expect(await json("echo", "--size", "1000")).toMatchObject({ text: "x".repeat(1000) });
  const tooLong = await on(["echo", "--size", "1020"]);
  expect(tooLong.status).toBe(2);
  expect(tooLong.err).toContain("the longest message this board takes has 1020 bytes");
});

test("params", async () => {
  expect(await json("params")).toEqual({
    bufSize: 1024,
    bufCount: 4,
    largestMessage: 1020,
    framing: "console",
  });
});

test("groups are the device's own list, with names", async () => {
  const found = (await json("groups")) as { from: string; groups: { group: number; name: string }[] };
  expect(found.from).toBe("device");
  expect(found.groups.map(({ group }) => group)).toEqual([0, 1, 2, 3, 8, 9, 10, 63, 200]);
  expect(found.groups.find(({ group }) => group === 200)?.name).toBe("trust mgmt");
});

test("tasks", async () => {
  const { tasks } = (await json("tasks")) as { tasks: { name: string; state: string[] }[] };
  expect(tasks.map(({ name }) => name)).toContain("smp");
  expect(tasks.every(({ state }) => Array.isArray(state))).toBe(true);
});

test("time is set from this machine's clock, and read back", async () => {
  const set = (await json("time", "set", "--utc")) as { datetime: string };
  expect(set.datetime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/);
  const got = (await json("time", "get", "--utc")) as { datetime: string; secondsAhead: number };
  expect(got.datetime.slice(0, 10)).toBe(set.datetime.slice(0, 10));
  expect(got.secondsAhead).toBeTypeOf("number");
  expect(await json("time", "set", "2031-02-03T04:05:06")).toEqual({ datetime: "2031-02-03T04:05:06" });
  expect(await json("time")).toMatchObject({ datetime: expect.stringMatching(/^2031-02-03T04:05:/) });
  expect((await on(["time", "set", "tomorrow"])).status).toBe(2);
});

describe("stats", () => {
  test("list, one group and all", async () => {
    expect(await json("stats")).toEqual({ groups: ["smp", "flash", "app"] });
    const one = (await json("stats", "flash")) as { groups: Record<string, unknown> };
    expect(one.groups).toEqual({
      flash: { writes: expect.any(Number), erases: expect.any(Number), errors: 0 },
    });
    expect(Object.keys(((await json("stats", "--all")) as typeof one).groups)).toEqual([
      "smp",
      "flash",
      "app",
    ]);
  });

  test("as CSV, one line a counter", async () => {
    const { out, status } = await on(["stats", "flash", "--csv"]);
    expect(status).toBe(0);
    const [header, ...lines] = out.trimEnd().split("\n");
    expect(header).toBe("time,group,field,value");
    expect(lines.map((line) => line.split(",").slice(1, 3))).toEqual([
      ["flash", "writes"],
      ["flash", "erases"],
      ["flash", "errors"],
    ]);
  });

  test("again and again, with what changed", async () => {
    const { out } = await on(["stats", "app", "--watch", "0.05", "--count", "3"]);
    expect(out.match(/GROUP {2}COUNTER/g)).toHaveLength(3);
    expect(out).toMatch(/uptime_ms +\d+ +\+\d+/);
    const lines = (await on(["stats", "app", "-w", "0.05", "-n", "2", "--json"])).out.trimEnd().split("\n");
    expect(lines.map((line) => Object.keys(JSON.parse(line) as object))).toEqual([
      ["at", "groups"],
      ["at", "groups"],
    ]);
  });

  test("a group that is not there is the group's own error", async () => {
    const { status, err } = await on(["stats", "nope"]);
    expect(status).not.toBe(0);
    expect(err).toContain("The device has no such statistic.");
  });
});

describe("settings", () => {
  test("are written, read and saved with a type", async () => {
    expect(await json("settings", "set", "app/interval", "0x1234", "--as", "u32", "--save")).toEqual({
      name: "app/interval",
      type: "u32",
      hex: "34120000",
      saved: true,
    });
    expect(await json("settings", "get", "app/interval", "--as", "u32")).toEqual({
      name: "app/interval",
      type: "u32",
      value: 0x1234,
      hex: "34120000",
    });
    expect(await json("settings", "get", "app/interval")).toMatchObject({ hex: "34120000", number: 0x1234 });
    await json("settings", "set", "app/name", "lamp 7");
    expect(await json("settings", "get", "app/name")).toMatchObject({ text: "lamp 7" });
    expect(await json("settings", "save")).toEqual({ saved: true });
    expect(await json("settings", "load")).toEqual({ loaded: true });
    expect(await json("settings", "commit")).toEqual({ committed: true });
  });

  test("a value that is none of its type is not sent", async () => {
    const { err } = await on(["settings", "set", "app/interval", "5000000000", "--as", "u32"]);
    expect(err).toContain('"5000000000" is not a valid u32');
    const wrong = await on(["settings", "get", "app/interval", "--as", "u8"]);
    expect(wrong.err).toContain("A u8 has 1 byte, the device has 4");
  });

  test("what the device refuses is said in words", async () => {
    expect((await on(["settings", "get", "nope/x"])).err).toContain("no such settings tree");
    expect((await on(["settings", "get", "app/token"])).err).toContain("cannot be read");
    expect((await on(["settings", "set", "id/serial", "x"])).err).toContain("cannot be written");
    expect((await on(["settings", "delete", "id/serial"])).err).toContain("cannot be deleted");
  });
});

describe("shell", () => {
  test("prints what the command printed, and ends with its result", async () => {
    const uptime = await on(["shell", "kernel", "uptime"]);
    expect(uptime.out).toMatch(/^Uptime: \d+ ms\n$/);
    expect(uptime.status).toBe(0);
    const failed = await on(["shell", "fail"]);
    expect(failed).toMatchObject({ status: 5, out: "failed, as asked\n" });
    const unknown = await on(["shell", "no-such-command", "--json"]);
    expect(unknown.status).toBe(8);
    expect(unknown.json()).toEqual({
      command: "no-such-command",
      output: "no-such-command: command not found\r\n",
      ret: -8,
    });
  });

  test("hands on words with spaces as one, and options behind --", async () => {
    expect(await json("shell", "echo", "two words", "x")).toMatchObject({ command: 'echo "two words" x' });
    expect((await on(["shell", "--", "echo", "-d", "--json"])).out).toBe("-d --json\n");
  });

  test("reads commands from stdin; the last failure is the status", async () => {
    const { out, err, status } = await on(["shell"], { input: "echo one\nfail\necho two\n" });
    expect(out).toBe("one\nfailed, as asked\ntwo\n");
    expect(err).toContain("returned -5");
    expect(status).toBe(5);
  });

  test("says when the output may be cut", async () => {
    const cut = await runCli(["shell", "help", "-d", "wasm:small-buffer"]);
    expect(cut.err).toContain("ends in the middle of a line: the board's shell may have cut it");
    const words = ["shell", "help", "-d", "wasm:small-buffer", "--json", "-q"];
    expect((await runCli(words)).json()).toMatchObject({ ret: 0, mayBeCut: true });
    expect((await on(["shell", "help"])).err).toBe("");
  });

  test("a line the device refuses is no reason to leave", async () => {
    const { out, err } = await on(["shell"], { input: `echo ${"x".repeat(400)}\necho on\n` });
    expect(out).toBe("on\n");
    expect(err).toContain("too long for the device's shell");
  });
});

describe("storage erase", () => {
  test("does nothing unless it is meant", async () => {
    const { status, err } = await on(["storage", "erase"]);
    expect(status).toBe(2);
    expect(err).toContain("--yes");
  });

  test("erases with --yes", async () => {
    await json("settings", "set", "app/name", "gone soon", "--save");
    expect(await json("storage", "erase", "--yes")).toEqual({ erased: true });
    await board.board.reset();
    expect(await json("settings", "get", "app/name")).toMatchObject({ text: "bootproof" });
  });
});

describe("raw", () => {
  test("any command by its numbers, JSON in and JSON out", async () => {
    expect(await json("raw", "0", "0", "write", '{"d": "hello"}')).toEqual({
      group: 0,
      id: 0,
      op: "write",
      hex: "bf61726568656c6c6fff",
      payload: { r: "hello" },
    });
  });

  test("bytes go in as hex and come back so", async () => {
    await json("raw", "3", "0", "write", '{"name": "app/token", "val": {"hex": "cafe01"}}');
    const answer = (await json("raw", "3", "0", "read", '{"name": "app/interval"}')) as { payload: unknown };
    expect(answer.payload).toEqual({ val: { hex: expect.stringMatching(/^[0-9a-f]{8}$/) } });
  });

  test("a payload of one's own, CBOR or not", async () => {
    expect(await json("raw", "0", "0", "write", "--hex", "a1 61 64 61 78")).toMatchObject({
      payload: { r: "x" },
    });
    const { status, err } = await on(["raw", "0", "0", "write", "--hex", "ff00"]);
    expect(status).not.toBe(0);
    expect(err).toContain("does not accept the request's contents");
  });

  test("a group that is not there, and a request that is none", async () => {
    expect((await on(["raw", "99", "1", "read"])).err).toContain("does not have this command");
    expect((await on(["raw", "0", "0", "poke"])).status).toBe(2);
    expect((await on(["raw", "0", "0", "write", "{d: 1}"])).status).toBe(2);
    expect((await on(["raw", "0", "0", "write", "{}", "--hex", "a0"])).status).toBe(2);
    expect((await on(["raw", "70000", "0", "read"])).status).toBe(2);
  });

  test("a command by its name, with a request or without", async () => {
    expect(await json("raw", "os", "echo", '{"d": "hello"}')).toMatchObject({ payload: { r: "hello" } });
    expect(await json("raw", "stat", "list")).toMatchObject({ group: 2, id: 1, op: "read" });
    expect((await on(["raw", "os", "shout"])).err).toMatch(
      /No command has the name "os shout".*\n.*raw --list/,
    );
    expect((await on(["raw", "os", "echo", "{}", "{}"])).status).toBe(2);
    expect((await on(["raw"])).status).toBe(2);
    expect((await on(["raw", "--list"])).out).toMatch(/^image erase +1 +5 +write +erase a slot$/m);
  });

  test("Mynewt's groups are known and refused by name", async () => {
    for (const words of [
      ["4", "5", "read"],
      ["log", "list"],
    ])
      expect((await on(["raw", ...words])).err).toContain("log list: The device does not have this command.");
    expect((await on(["raw", "crash", "trigger", '{"t": "div0"}'])).err).toContain("crash trigger: ");
  });
});
