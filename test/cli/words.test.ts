import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { EXAMPLES } from "../../src/cli/examples.js";
import { ensureBuilt, program, root } from "../support/cli-build.js";
import { bootproof, json } from "../support/cli-run.js";

beforeAll(ensureBuilt);

/** Every command that completion knows, by the words it is called with, and its options. */
let pages: Map<string, string[]>;
let script: string;
beforeAll(() => {
  script = spawnSync(process.execPath, [program, "completion", "bash"], { encoding: "utf8" }).stdout;
  pages = new Map(
    [...script.matchAll(/^ {4}"([^"]*)"\) verbs="[^"]*"; flags="([^"]*)" ;;$/gm)].map(([, words, flags]) => [
      words!.trim(),
      flags!.split(" "),
    ]),
  );
});

/** What bash offers after these words. */
function offered(...words: string[]): string[] {
  const line = words.map((word) => `'${word}'`).join(" ");
  const ask = `COMP_WORDS=(bootproof ${line}); COMP_CWORD=${words.length}; _bootproof; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync("bash", ["--norc", "-c", `${script}\n${ask}`], { encoding: "utf8" });
  expect(stderr).toBe("");
  return stdout.split("\n").filter((word) => word !== "");
}

describe("completion", () => {
  it("bash offers commands, their commands and their options", () => {
    expect(offered("fla")).toEqual(["flash"]);
    expect(offered("image", "up")).toEqual(["upload"]);
    expect(offered("flash", "x.bin", "--sk")).toEqual(["--skip"]);
    expect(offered("image", "-d", "wasm:good", "list", "--js")).toEqual(["--json"]);
    // A file name is bash's own to complete.
    expect(offered("flash", "")).toEqual([]);
  });

  it.each(["zsh", "fish"])("%s knows the same commands", async (shell) => {
    const { status, stdout, stderr } = await bootproof(["completion", shell]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(pages.size).toBeGreaterThan(60);
    for (const words of pages.keys()) expect(stdout).toContain(words);
  });

  it("of a shell that is not known names those that are", async () => {
    expect(await bootproof(["completion", "csh"])).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/"csh".*\n {2}try: Choose one of: bash, zsh, fish/),
    });
  });
});

describe("examples", () => {
  it("are there for every command", () => {
    const without = [...pages.keys()].filter(
      (words) => !/(^|\s)(help|imgtool|mcumgr)$/.test(words) && !EXAMPLES[words],
    );
    expect(without).toEqual([]);
  });

  it("name commands and options that exist", () => {
    const lines = Object.values(EXAMPLES).flat();
    for (const line of lines) {
      const words = line.replace(/ > .*/, "").split(" ").slice(1);
      const name = [words.slice(0, 2).join(" "), words[0]!].find((one) => pages.has(one));
      expect(name, line).toBeDefined();
      for (const flag of words.filter((word) => /^--?[a-z]/i.test(word)))
        expect(pages.get(name!), line).toContain(flag);
    }
  });

  it("stand in the help", async () => {
    expect((await bootproof(["image", "upload", "--help"])).stdout).toContain(EXAMPLES["image upload"]![0]);
  });
});

describe("what other tools have taught", () => {
  it("-p and --port mean the board, with a word about -d", async () => {
    for (const flag of ["-p", "--port"])
      expect(await bootproof(["echo", "hello", flag, "wasm:good"])).toMatchObject({
        status: 0,
        stdout: "hello\n",
        stderr: expect.stringContaining("understood as -d"),
      });
  });

  it.each([
    ["ttyACM7", "/dev/ttyACM7"],
    ["127.0.0.1:4001", "tcp:127.0.0.1:4001"],
    ["localhost:4001", "tcp:localhost:4001"],
    ["bench.lab.example:4001", "tcp:bench.lab.example:4001"],
    ["tcp://127.0.0.1:4001", "tcp:127.0.0.1:4001"],
    ["pts/977", "/dev/pts/977"],
    ["dev/ttyACM7", "/dev/ttyACM7"],
    ["/dev/ttyACM7:921600", "/dev/ttyACM7?baud=921600"],
  ])("-d %s is answered with what may be meant", async (said, meant) => {
    const { status, stderr } = await bootproof(["echo", "hello", "-d", said]);
    expect(status).toBe(2);
    expect(stderr).toContain(`  try: Write -d ${meant} instead.\n`);
  });

  it("a missing argument shows the usage of that command", async () => {
    const { status, stderr } = await bootproof(["image", "upload"]);
    expect(status).toBe(2);
    expect(stderr).toMatch(
      /missing required argument 'file'\n+Usage: bootproof image upload \[options\] <file>/,
    );
  });

  it("--version --json is JSON", async () => {
    const version = (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string })
      .version;
    expect(await json(["--version"])).toMatchObject({ status: 0, value: { version } });
  });

  it("--color and FORCE_COLOR colour a pipe, --no-color does not", async () => {
    const words = ["devices", "--profiles"];
    expect((await bootproof([...words, "--color"])).stdout).toContain("\u001b[");
    expect((await bootproof(words, { env: { FORCE_COLOR: "1" } })).stdout).toContain("\u001b[");
    expect((await bootproof([...words, "--no-color"], { env: { FORCE_COLOR: "1" } })).stdout).not.toContain(
      "\u001b[",
    );
  });
});

describe("an old Node", () => {
  it("is told which one is needed", () => {
    const older = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "18.19.0" } })`;
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ["--import", `data:text/javascript,${encodeURIComponent(older)}`, program, "--version"],
      { encoding: "utf8" },
    );
    expect({ status, stdout }).toEqual({ status: 25, stdout: "" });
    expect(stderr).toMatch(/needs Node 20\.19 or newer, this is 18\.19\.0\.\n {2}try: /);
  });

  it("reads nothing before the check but what every Node knows", () => {
    const importsOf = (file: string) =>
      [...readFileSync(file, "utf8").matchAll(/^(?:import|export)\b[^;\n]*?"([^"]+)";$/gm)].map(
        ([, name]) => name!,
      );
    const first = importsOf(program);
    const behind = first.flatMap((name) => importsOf(join(dirname(program), name)));
    expect(first.filter((name) => !name.endsWith("/rolldown-runtime.js"))).toEqual([]);
    expect(behind.filter((name) => name !== "node:module")).toEqual([]);
  });
});
