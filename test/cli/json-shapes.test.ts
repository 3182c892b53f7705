import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, expect, test } from "vitest";
import { root } from "../support/cli-build.js";
import { boardOnTcp, ownFolder, runCli, startCli, type TcpBoard } from "../support/groups-cli.js";

/**
 * The README's types of what `--json` prints, held to what is printed: the compiler finds a key that is missing, one that
 * the README does not name, and a value of another kind.
 */
const folder = ownFolder();
const readme = readFileSync(join(root, "README.md"), "utf8");
let board: TcpBoard;
beforeAll(async () => {
  board = await boardOnTcp();
  writeFileSync(join(folder.path, "hello.txt"), "hello\n");
}, 120_000);
afterAll(async () => {
  await board.close();
  folder.remove();
});

/** A row a command: the README's type for it, and how it is called. Later ones find what earlier ones left. */
const COMMANDS: readonly [type: string, ...args: string[]][] = [
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
  ["Doctor", "doctor"],
];

test("what --json prints is what the README says", async () => {
  const printed: [string, string][] = [];
  for (const [type, ...args] of COMMANDS) {
    const { status, out, err } = await run(...args, "--json", "-q");
    expect(status, `${args.join(" ")}: ${err}`).toBe(0);
    printed.push([type, out]);
  }
  const { out: watched } = await run("stats", "--all", "--watch", "0.05", "--count", "2", "--json");
  expect(watched.trim().split("\n")).toHaveLength(2);
  for (const line of watched.trim().split("\n")) printed.push(["Stats", line]);
  printed.push(["Bridge", await bridgeSays()]);
  expect(complaints(printed)).toEqual([]);
}, 60_000);

test("a shape that is not the README's is found", () => {
  expect(complaints([["Echo", '{"text": "hi"}']])).toEqual([expect.stringContaining("'ms' is missing")]);
  expect(complaints([["Echo", '{"text": "hi", "ms": 1, "more": 1}']])).toEqual([
    expect.stringContaining("does not exist in type 'Echo'"),
  ]);
  expect(complaints([["Echo", '{"text": "hi", "ms": "1"}']])).toEqual([expect.stringContaining("'string'")]);
});

const run = (...args: string[]) =>
  runCli(args, { cwd: folder.path, env: { BOOTPROOF_DEVICE: board.address, XDG_CACHE_HOME: folder.path } });

async function bridgeSays(): Promise<string> {
  const args = ["bridge", "-d", board.address, "--port", "0", "--json", "-q"];
  const bridge = startCli(args, { cwd: folder.path });
  await bridge.said(/^}/m);
  bridge.child.kill("SIGINT");
  const { out } = await bridge.done;
  expect(out).not.toBe("");
  return out;
}

/** What the compiler says of the values as the README's types. */
function complaints(values: readonly [type: string, json: string][]): string[] {
  const types = readme.match(/```ts\n(type Figure[\s\S]*?)```/)?.[1];
  expect(types).toBeDefined();
  const lines = values.map(([type, json], index) => `const v${index}: ${type} = ${json};`);
  const text = `${types}\n${lines.join("\n")}\nexport {};`;
  const name = "/shapes.ts";
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    target: ts.ScriptTarget.ES2022,
    types: [],
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile } = host;
  host.getSourceFile = (file, ...rest) =>
    file === name ? ts.createSourceFile(file, text, ts.ScriptTarget.ES2022) : getSourceFile(file, ...rest);
  const found = ts.getPreEmitDiagnostics(ts.createProgram([name], options, host));
  return found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, " "));
}
