import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { boardOnTcp, ownFolder, runCli, startCli, type TcpBoard } from "../support/groups-cli.js";
import { complaints } from "../support/topic-types.js";

/**
 * The topic's types of what `--json` prints, held to what is printed: the compiler finds a key that is missing, one that
 * the topic does not name, and a value of another kind.
 */
const folder = ownFolder();
/** Two, so that one program starts while another runs. */
let boards: [TcpBoard, TcpBoard];
beforeAll(async () => {
  boards = await Promise.all([boardOnTcp(), boardOnTcp()]);
  writeFileSync(join(folder.path, "hello.txt"), "hello\n");
});
afterAll(async () => {
  await Promise.all(boards.map((board) => board.close()));
  folder.remove();
});

type Row = readonly [type: string, ...args: string[]];
/** A row a command: the topic's type for it, and how it is called. */
const QUESTIONS: readonly Row[] = [
  ["Facts", "info"],
  ["ImageList", "image", "list"],
  ["Params", "params"],
  ["Groups", "groups"],
  ["Echo", "echo", "hi"],
  ["Tasks", "tasks"],
  ["Time", "time", "set"],
  ["Time", "time", "get"],
  ["StatsList", "stats"],
  ["Stats", "stats", "smp"],
  ["Doctor", "doctor"],
];

/** The same, of another board; later ones find what earlier ones left. */
const CHANGES: readonly Row[] = [
  ["SettingSet", "settings", "set", "app/name", "abcd", "--as", "text"],
  ["Setting", "settings", "get", "app/name", "--as", "text"],
  ["Setting", "settings", "get", "app/name", "--as", "u32"],
  ["Setting", "settings", "get", "app/name"],
  ["Shell", "shell", "uptime"],
  ["Raw", "raw", "0", "0", "write", '{"d": "x"}'],
  ["FileCopy", "fs", "put", "hello.txt", "/lfs/hello"],
  ["FileStatus", "fs", "status", "/lfs/hello"],
  ["FileHash", "fs", "hash", "/lfs/hello"],
  ["FileCopy", "fs", "get", "/lfs/hello", "back.txt"],
];

/** What goes wrong on the command line, in a file, at a port and on the board, and what programs learn of it. */
const FAILURES: readonly [expected: object, ...args: string[]][] = [
  [{ code: "usage" }, "info", "--no-such-option"],
  [{ code: "usage" }, "fs", "get"],
  [{ code: "not-found" }, "info", "-d", "serial:/dev/none"],
  [{ code: "file-missing", details: { path: "none.bin" } }, "verify", "none.bin"],
  [{ code: "smp-error", details: { rc: 8, rcName: "ENOTSUP" } }, "raw", "0", "99", "read", "{}"],
];

test("what --json prints is what the topic says", async () => {
  const [one, other] = boards;
  const answers = async (board: TcpBoard, rows: readonly Row[]) => {
    const printed: [string, string][] = [];
    for (const [type, ...args] of rows) {
      const { status, out, err } = await run(board, ...args, "--json", "-q");
      expect(status, `${args.join(" ")}: ${err}`).toBe(0);
      printed.push([type, out]);
    }
    return printed;
  };
  const printed = (await Promise.all([answers(one, QUESTIONS), answers(other, CHANGES)])).flat();
  const [watched, bridge] = await Promise.all([
    run(one, "stats", "--all", "--watch", "0.05", "--count", "2", "--json"),
    bridgeSays(other),
  ]);
  printed.push(["Bridge", bridge]);
  const lines = watched.out.trim().split("\n");
  expect(lines).toHaveLength(2);
  for (const line of lines) printed.push(["Stats", line]);
  for (const [expected, ...args] of FAILURES) {
    const { status, out, err } = await run(one, ...args, "--json");
    expect(status, args.join(" ")).not.toBe(0);
    expect(JSON.parse(out)).toMatchObject({ error: { ...expected, exitStatus: status } });
    // People read the same on stderr.
    expect(err).toContain(JSON.parse(out).error.message);
    printed.push(["Failure", out]);
  }
  expect(complaints(printed)).toEqual([]);
});

test("a shape that is not the topic's is found", () => {
  expect(complaints([["Echo", '{"text": "hi"}']])).toEqual([expect.stringContaining("'ms' is missing")]);
  expect(complaints([["Echo", '{"text": "hi", "ms": 1, "more": 1}']])).toEqual([
    expect.stringContaining("does not exist in type 'Echo'"),
  ]);
  expect(complaints([["Echo", '{"text": "hi", "ms": "1"}']])).toEqual([expect.stringContaining("'string'")]);
});

const run = (board: TcpBoard, ...args: string[]) =>
  runCli(args, { cwd: folder.path, env: { BOOTPROOF_DEVICE: board.address, XDG_CACHE_HOME: folder.path } });

async function bridgeSays(board: TcpBoard): Promise<string> {
  const args = ["bridge", "-d", board.address, "--port", "0", "--json", "-q"];
  const bridge = startCli(args, { cwd: folder.path });
  await bridge.said(/^}/m);
  bridge.child.kill("SIGINT");
  const { out } = await bridge.done;
  expect(out).not.toBe("");
  return out;
}
