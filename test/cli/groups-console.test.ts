import { spawn, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { boardOnTcp, ownFolder, runCli, startCli, type TcpBoard } from "../support/groups-cli.js";

const program = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const folder = ownFolder();
let board: TcpBoard;
beforeAll(async () => {
  board = await boardOnTcp();
  // The board's log goes to the wire that carries SMP, from the next start on.
  const set = ["settings", "set", "log/console", "1", "--as", "u8", "--save"];
  expect((await runCli([...set, "-d", board.address])).status).toBe(0);
});
afterAll(async () => {
  await board.close();
  folder.remove();
});

describe("a script", () => {
  const script = (text: string) => {
    const file = join(folder.path, "script.txt");
    writeFileSync(file, text);
    return runCli(["console", "-d", board.address, "--script", file]);
  };

  test("sends and expects, and ends with 0 when all of it came", async () => {
    const { status, out } = await script(
      "# restart it\nreset\ntimeout 30\nexpect /app: .*good-a/\nwait 0.1\ntype \\x0d\\n\n",
    );
    expect(out).toMatch(/app: .*good-a/);
    expect(status).toBe(0);
  });

  test("ends with a status of its own, its line and what came instead", async () => {
    const { status, err } = await script("reset\nexpect good-a\ntimeout 0.3\nexpect never said\n");
    expect(err).toMatch(/script\.txt, line 4: the board did not print "never said" within 0\.3 s/);
    expect(status).toBe(8);
  });

  test.each([
    ["expcet x", /line 1: "expcet" is not a step/],
    ["send \\q", /line 1: \\q is not an escape sequence/],
    ["expect /(/", /line 1: \/\(\/ is not a regular expression/],
    ["timeout soon", /line 1: "soon" is not a number of seconds/],
    ["# nothing", /contains no steps/],
  ])("that says %s is refused before the board is opened", async (text, why) => {
    const { status, err } = await script(text);
    expect(err).toMatch(why);
    expect(status).toBe(2);
  });
});

describe("what the board says", () => {
  test("comes as it is said, and into a file with times", async () => {
    const log = join(folder.path, "board.log");
    const run = startCli(["console", "-d", board.address, "--log-file", log, "--until", "good-a"]);
    await run.said(/is open/);
    await board.board.reset();
    const { status, out } = await run.done;
    expect(status).toBe(0);
    expect(out).toMatch(/\[ *\d+\] app: .*good-a/);
    const lines = readFileSync(log, "utf8").trimEnd().split("\n");
    for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z {2}/);
    expect(lines.join("\n")).toMatch(/Z {2}\[ *\d+\] app: .*good-a/);
  });

  test("is a JSON line each with --json", async () => {
    const run = startCli(["console", "-d", board.address, "--json", "--until", "good-a"]);
    await run.said(/is open/);
    await board.board.reset();
    const { out } = await run.done;
    const lines = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { at: string; text: string });
    expect(lines.at(-1)?.text).toContain("good-a");
    expect(Number.isNaN(Date.parse(lines[0]!.at))).toBe(false);
  });

  test("that it does not say in time is a failure of its own", async () => {
    // Opening the link takes longer than the shorter of these.
    for (const seconds of ["0.2", "0.0001"]) {
      const { status, err } = await runCli([
        "console",
        "-d",
        board.address,
        "--until",
        "never",
        "--for",
        seconds,
      ]);
      expect(status, err).toBe(8);
      expect(err).toContain('did not print "never"');
    }
    expect((await runCli(["console", "-d", board.address, "--for", "0.2"])).status).toBe(0);
  });
});

// socat gives the program a terminal of its own.
const hasSocat = spawnSync("sh", ["-c", "command -v socat"]).status === 0;

describe("on a terminal", () => {
  beforeEach((context) => context.skip(!hasSocat, "socat is not installed"));

  function onTerminal(args: readonly string[]) {
    const line = [process.execPath, program, ...args].join(" ");
    const child = spawn("socat", ["STDIO", `EXEC:${line},pty,setsid,ctty,stderr,raw,echo=0`], {
      env: { PATH: process.env.PATH, HOME: folder.path, BOOTPROOF_DEVICE: board.address, TERM: "xterm" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    let seen = "";
    const look = new Set<() => void>();
    child.stdout.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
      for (const listener of look) listener();
    });
    const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
    return {
      type: (text: string) => child.stdin.write(text),
      ended,
      seen: () => seen,
      /** Resolves when the pattern stands behind everything that was looked at before. */
      until: (pattern: RegExp) =>
        new Promise<void>((resolve, reject) => {
          const check = () => {
            const at = seen.search(pattern);
            if (at < 0) return;
            look.delete(check);
            resolve();
          };
          look.add(check);
          check();
          void ended.then(() => reject(new Error(`ended without ${pattern}: ${seen}`)));
        }),
    };
  }

  test("SMP is beside the text: Ctrl-T asks on the same wire, Ctrl-] ends it", async () => {
    const terminal = onTerminal(["console"]);
    await terminal.until(/is open/);
    terminal.type("\u0014e");
    await terminal.until(/--- it answers/);
    terminal.type("\u0014i");
    await terminal.until(/--- slot 0 {2}\S+ {2}[0-9a-f]{12} {2}active/);
    terminal.type("\u0014?");
    await terminal.until(/restart it/);
    terminal.type("\u0014r");
    await terminal.until(/--- it restarts/);
    await terminal.until(/app: .*good-a/);
    // The frames of the questions and answers were not shown.
    expect(terminal.seen().includes("\u0006")).toBe(false);
    terminal.type("\u001d");
    await terminal.ended;
  });

  test("the shell has a prompt and remembers what was typed", async () => {
    const first = onTerminal(["shell"]);
    await first.until(/> /);
    first.type("echo from the first\r");
    await first.until(/\nfrom the first|\rfrom the first/);
    first.type("\u0004");
    await first.ended;
    const second = onTerminal(["shell"]);
    await second.until(/> /);
    second.type("\u001b[A");
    await second.until(/echo from the first/);
    second.type("\u0003");
    await second.ended;
  });
});
