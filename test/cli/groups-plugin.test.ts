import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { boardOnTcp, ownFolder, runCli, type TcpBoard } from "../support/groups-cli.js";

const example = fileURLToPath(new URL("../support/trust-plugin.mjs", import.meta.url));
const folder = ownFolder();
let board: TcpBoard;
beforeAll(async () => {
  board = await boardOnTcp();
});
afterAll(async () => {
  await board.close();
  folder.remove();
});

const on = (...args: string[]) =>
  runCli(args, { cwd: folder.path, env: { BOOTPROOF_DEVICE: board.address } });

function plugin(name: string, source: string): string {
  const path = join(folder.path, name);
  writeFileSync(path, source);
  return path;
}

describe("the example of the documentation", () => {
  test("gives a verb that asks the board", async () => {
    const read = await on("--plugin", example, "counters", "read", "--json");
    expect(read.err).toBe("");
    expect(read.json()).toEqual({
      images: [{ image: 0, counter: 1, slots: [{ slot: 0, counter: 1 }, { slot: 1 }] }],
    });
    const boot = await on("counters", "boot", `--plugin=${example}`);
    expect(boot.out).toMatch(/mode +3/);
    expect(boot.out).toMatch(/state +application/);
  });

  test("is in the help, beside ours", async () => {
    const { out } = await on("--plugin", example, "--help");
    expect(out).toMatch(/counters +security counters, from a plug-in/);
    expect(out).toMatch(/raw +send any command/);
    const help = (await on("--plugin", example, "counters", "--help")).out;
    expect(help).toMatch(/read .*read the security counters/);
  });

  test("comes from the config file, too", async () => {
    const own = join(folder.path, "own", "bootproof", "config.json");
    mkdirSync(dirname(own), { recursive: true });
    writeFileSync(own, JSON.stringify({ plugins: [example] }));
    const { status, out } = await runCli(["counters", "read"], {
      cwd: folder.path,
      env: { BOOTPROOF_DEVICE: board.address, XDG_CONFIG_HOME: join(folder.path, "own") },
    });
    expect(status).toBe(0);
    expect(out).toContain("images");
  });
});

describe("arguments come from the schema", () => {
  const upload = `export default ({ command, uint, text, bytes, bool, list, optional }) => ({
    name: "our", does: "ours", commands: [
      command({ name: "our write", does: "write a file", group: 8, id: 0, op: "write",
        request: { off: uint, name: text, data: bytes(), len: optional(uint) }, response: { off: uint } }),
      command({ name: "our run it", does: "run", group: 9, id: 0, op: "write",
        request: { argv: list(text) }, response: { o: text, ret: uint } }),
      command({ name: "our reset", does: "restart", group: 0, id: 5, op: "write",
        request: { force: optional(bool), timeout: optional(uint) }, response: {} }),
    ] })`;
  let file = "";
  beforeAll(() => {
    file = plugin("ours.mjs", upload);
  });

  test("required fields are arguments, optional ones options, of their kinds", async () => {
    const { json, err } = await on(
      "--plugin",
      file,
      "our",
      "write",
      "0",
      "/lfs/own",
      "cafe01",
      "--len",
      "0x3",
      "--json",
    );
    expect(err).toBe("");
    expect(json()).toEqual({ off: 3 });
    expect((await on("fs", "status", "/lfs/own")).out).toBe("3\n");
  });

  test("a last list takes the rest; an empty answer is done", async () => {
    const { json } = await on("--plugin", file, "our", "run-it", "echo", "a", "b", "--json");
    expect(json()).toEqual({ o: "a b\r\n", ret: 0 });
    expect((await on("--plugin", file, "our", "reset", "--force")).out).toBe("done\n");
  });

  test("a value that is none of its kind is not sent", async () => {
    const { status, err } = await on("--plugin", file, "our", "write", "zero", "/lfs/own", "ca");
    expect(status).toBe(2);
    expect(err).toContain('off: "zero" is not uint');
    expect((await on("--plugin", file, "our", "write", "0", "/lfs/own", "xyz")).err).toContain("hex digits");
    expect((await on("--plugin", file, "our", "write", "0")).status).toBe(2);
  });

  test("an option that is one of ours gets another name", async () => {
    const { out } = await on("--plugin", file, "our", "reset", "--help");
    expect(out).toContain("--timeout-field <uint>");
    expect(out).toContain("--timeout <ms>");
  });
});

test("a group's own errors are said in its words", async () => {
  const file = plugin(
    "errors.mjs",
    `export default ({ command, text }) => ({ name: "sets", commands: [ command({
      name: "sets read", does: "read", group: 3, id: 0, op: "read", request: { name: text }, response: {},
      errors: [{ rc: 5, name: "NO_TREE", says: "There is no such tree in our garden.", hint: "Plant one." }],
    })] })`,
  );
  const { err, status } = await on("--plugin", file, "sets", "read", "nope/x");
  expect(status).not.toBe(0);
  expect(err).toContain("There is no such tree in our garden.");
  expect(err).toContain("try: Plant one.");
});

test.each([
  ["no file", "none.mjs", undefined, "there is no such plug-in file"],
  ["no plug-in", "empty.mjs", "export default 3;", "this is not a plug-in"],
  ["a broken one", "broken.mjs", "export default {", "cannot be loaded"],
  ["no name", "noname.mjs", "export default { commands: [1] };", "its name"],
  ["no commands", "none.mjs", 'export default { name: "x", commands: [] };', "it has no commands"],
  [
    "a command made by hand",
    "hand.mjs",
    'export default { name: "x", commands: [{ name: "x y", does: "y", group: 1, id: 1, op: "read" }] };',
    "was not made with command()",
  ],
  [
    "a name that is taken",
    "taken.mjs",
    `export default ({ command }) => ({ name: "raw", commands: [ command({ name: "raw x", does: "x", group: 64, id: 0,
      op: "read", request: {}, response: {} }) ] })`,
    'there is a command "raw" already',
  ],
])("%s is refused with a reason", async (_what, name, source, reason) => {
  const file = source === undefined ? join(folder.path, name) : plugin(name, source);
  const { status, err } = await on("--plugin", file, "x", "y");
  expect(err).toContain(reason);
  expect(status).toBe(2);
});

describe("TypeScript", () => {
  const source = `interface Words { command(declared: object): object; text: object }
    export default ({ command, text }: Words) => ({ name: "typed", commands: [ command({
      name: "typed echo", does: "echo", group: 0, id: 0, op: "write", request: { d: text }, response: { r: text } }) ] });`;
  const canRun = (process.features as { typescript?: unknown }).typescript;

  test("where this Node.js can, else a word about it", async () => {
    const file = plugin("typed.ts", source);
    const { status, out, err } = await on("--plugin", file, "typed", "echo", "hi", "--json");
    if (canRun) return expect(JSON.parse(out)).toEqual({ r: "hi" });
    expect(status).toBe(2);
    expect(err).toContain("cannot run TypeScript by itself");
    expect(err).toContain("npm install typescript");
  });

  test("with the user's own compiler where there is one", async () => {
    const project = join(folder.path, "project");
    mkdirSync(join(project, "node_modules"), { recursive: true });
    const compiler = dirname(createRequire(import.meta.url).resolve("typescript/package.json"));
    symlinkSync(compiler, join(project, "node_modules", "typescript"));
    writeFileSync(join(project, "words.mjs"), 'export const says = "a word from beside it";');
    const file = join(project, "typed.ts");
    writeFileSync(
      file,
      `import { says } from "./words.mjs";\n${source.replace('"echo", group', "says, group")}`,
    );
    const { out, err } = await on("--plugin", file, "typed", "echo", "hi", "--json");
    expect(err).toBe("");
    expect(JSON.parse(out)).toEqual({ r: "hi" });
    expect(readdirSync(project).sort()).toEqual(["node_modules", "typed.ts", "words.mjs"]);
  });
});
