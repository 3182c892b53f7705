import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  closeSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { program } from "../support/cli-build.js";
import { boardOnTcp, homeFolder, ownFolder, runCli, startCli, type TcpBoard } from "../support/groups-cli.js";

const folder = ownFolder();
const at = (name: string) => join(folder.path, name);
const permissions = (name: string) => statSync(at(name)).mode & 0o777;
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

/** With stdout sent to a file, as by `> out`; /dev/stdout is a link to that file then. */
async function toFile(...args: string[]): Promise<{ stdout: string }> {
  const file = openSync(at("out"), "w");
  const child = spawn(process.execPath, [program, ...args], {
    env: { PATH: process.env.PATH, HOME: homeFolder(), BOOTPROOF_DEVICE: board.address },
    stdio: ["ignore", file, "inherit"],
  });
  await once(child, "close");
  closeSync(file);
  return { stdout: readFileSync(at("out"), "utf8") };
}

describe("what a board says stays with this user", () => {
  test("a trace, new or written anew", async () => {
    expect((await on("echo", "x", "--trace", "new.jsonl")).status).toBe(0);
    expect(permissions("new.jsonl")).toBe(0o600);
    writeFileSync(at("old.jsonl"), "old\n");
    chmodSync(at("old.jsonl"), 0o644);
    expect((await on("echo", "x", "--trace", "old.jsonl")).status).toBe(0);
    expect(permissions("old.jsonl")).toBe(0o600);
    expect(readFileSync(at("old.jsonl"), "utf8")).not.toContain("old");
  });

  test("a trace is not written through a link, but through /dev/stdout", async () => {
    writeFileSync(at("victim"), "precious");
    symlinkSync(at("victim"), at("link.jsonl"));
    const { status, err } = await on("echo", "x", "--trace", "link.jsonl");
    expect([status, err]).toEqual([20, expect.stringContaining("is a link")]);
    expect(readFileSync(at("victim"), "utf8")).toBe("precious");
    const { stdout } = await toFile("echo", "x", "--trace", "/dev/stdout");
    expect(stdout).toContain('"os echo"');
  });

  test("the log of a console; one that is there keeps its permissions", async () => {
    for (const name of ["console.log", "shared.log"]) {
      if (name === "shared.log") {
        writeFileSync(at(name), "before\n");
        chmodSync(at(name), 0o644);
      }
      expect((await on("console", "--log-file", name, "--for", "0.1")).status).toBe(0);
    }
    expect(permissions("console.log")).toBe(0o600);
    expect(permissions("shared.log")).toBe(0o644);
    expect(readFileSync(at("shared.log"), "utf8")).toMatch(/^before\n/);
  });
});

describe("fs get", () => {
  const content = Uint8Array.from({ length: 3000 }, (_, index) => index & 0xff);

  test("does not write through a link that lies where its part goes, nor into a file that has another name", async () => {
    writeFileSync(at("data.bin"), content);
    expect((await on("fs", "put", "data.bin", "/lfs/planted")).status).toBe(0);
    // Not where this system keeps a board's beginning: what is there is the beginning of the file, so it would be appended to.
    for (const plant of [symlinkSync, linkSync]) {
      writeFileSync(at("home-file"), content.subarray(0, 1000));
      plant(at("home-file"), at("planted.part"));
      const { status } = await on("fs", "get", "/lfs/planted", "planted", "--force");
      expect(status).toBe(0);
      expect(new Uint8Array(readFileSync(at("planted")))).toEqual(content);
      expect(readFileSync(at("home-file"))).toHaveLength(1000);
    }
  });
});

test("a result for /dev/stdout goes where that leads, and the link stays a link", async () => {
  writeFileSync(at("text"), "text\n");
  await on("fs", "put", "text", "/lfs/text");
  const before = lstatSync("/dev/stdout").ino;
  const { stdout } = await toFile("fs", "get", "/lfs/text", "/dev/stdout", "--force", "-q");
  expect(stdout).toContain("text\n");
  expect(lstatSync("/dev/stdout").ino).toBe(before);
});

describe("--timeout", () => {
  /** The command was sent and the board has not answered it: that is what the trace says, and replays. */
  async function silentIn(...command: string[]): Promise<string> {
    const trace = at(`${command.join("-")}.jsonl`.replaceAll("/", ""));
    await on(...command, "--trace", trace);
    const lines = readFileSync(trace, "utf8").trimEnd().split("\n");
    const asked = /"(image erase|storage erase|settings save|settings load)"/;
    const kept = lines.filter((line) => !(line.includes('"received"') && asked.test(line)));
    expect(kept.length).toBeLessThan(lines.length);
    writeFileSync(trace, kept.join("\n"));
    return trace;
  }

  test.each([
    ["image", "erase"],
    ["storage", "erase", "--yes"],
    ["settings", "save"],
    ["settings", "load"],
  ])("is obeyed by %s %s, which wait long by nature", async (...command) => {
    const server = startCli(["trace", "serve", await silentIn(...command)]);
    const [address] = await server.said(/tcp:127\.0\.0\.1:\d+/);
    const { status, err } = await runCli([...command, "-d", address, "--timeout", "150"]);
    expect(status).toBe(16);
    expect(err).toContain("of 150 ms each");
    server.child.kill("SIGINT");
    await server.done;
  });
});
