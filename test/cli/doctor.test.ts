import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  boardOnTcp,
  type CliResult,
  ownFolder,
  runCli,
  startCli,
  type TcpBoard,
} from "../support/groups-cli.js";
import { noPtyReason, openPty, type Pty } from "../support/pipe-pty.js";

/** What the doctor says about: the findings by their subject, and the last word. */
interface Told {
  address: string;
  findings: { about: string; verdict: string; message: string; hint?: string }[];
  diagnosis?: { server: { mode: string; bufSize: number }; overShell: boolean; advice?: { setting: string } };
}

const home = ownFolder();
afterAll(() => home.remove());
const doctor = (...args: string[]): Promise<CliResult> =>
  runCli(["doctor", ...args], { env: { HOME: home.path } });
const told = (result: CliResult) => result.json() as Told;
const about = (result: CliResult, subject: string) =>
  told(result).findings.find((finding) => finding.about === subject);

describe("a link that does not work", () => {
  test("no such port: what there is", async () => {
    const result = await doctor("--json", "-d", "serial:/dev/ttyNOSUCH");
    expect(result.status).toBe(10);
    expect(about(result, "open")).toMatchObject({ verdict: "bad", message: "There is no /dev/ttyNOSUCH." });
    const file = join(home.path, "no-port.json");
    await doctor("--report", file, "-d", "serial:/dev/ttyNOSUCH");
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({
      error: { code: "not-found", exitStatus: 10 },
    });
  });

  test("nobody listens", async () => {
    const result = await doctor("-d", "tcp:127.0.0.1:9");
    expect(result.status).toBe(14);
    expect(result.err).toMatch(/nothing listens there\.\n +try: Start the emulator/);
    expect(result.out).toBe("This link does not work; see above.\n");
  });
});

describe("a port at which no server answers", () => {
  let pty: Pty;
  beforeEach(async (context) => {
    context.skip(noPtyReason !== undefined, noPtyReason);
    pty = await openPty();
  });
  afterEach(() => pty?.unplug());

  test("silent", async () => {
    const result = await doctor("--json", "-d", `serial:${pty.path}`);
    expect(result.status).toBe(16);
    expect(about(result, "answer")?.message).toMatch(/heard nothing at all/);
    expect(about(result, "baud")?.message).toBe(
      "It answers at none of 115200, 1000000, 921600, 460800, 230400, 57600, 38400, 19200, 9600 baud.",
    );
  });

  test.each([
    [
      "a log",
      "[00:00:01.000,000] <inf> app: tick\r\n",
      /heard only log text \(".*<inf> app: tick"\)/,
      /board's other port/,
    ],
    [
      "another speed",
      Buffer.from([0x80, 0xf8, 0x00, 0x9e, 0xff, 0xe0]),
      /heard bytes that are not text/,
      /baud/,
    ],
  ])("%s", async (_, said, message, hint) => {
    const talking = setInterval(() => pty.say(said), 50);
    const result = await doctor("--json", "-d", `serial:${pty.path}`).finally(() => clearInterval(talking));
    expect(result.status).toBe(17);
    expect(about(result, "answer")?.message).toMatch(message);
    expect(about(result, "answer")?.hint).toMatch(hint);
    // Text that can be read came at the right speed.
    expect(about(result, "baud") === undefined).toBe(
      about(result, "answer")?.message.includes("only log text"),
    );
  });

  test("held by another program, which is named", async () => {
    const holder = startCli(["console", "-d", `serial:${pty.path}`], { env: { HOME: home.path } });
    const talking = setInterval(() => pty.say("here I am\n"), 100);
    await holder.said(/here I am/).finally(() => clearInterval(talking));
    const result = await doctor("--json", "-d", `serial:${pty.path}`);
    holder.child.kill("SIGTERM");
    await holder.done;
    expect(result.status).toBe(12);
    // The terminal's maker has it open as well.
    const message = told(result).findings.at(-1)?.message;
    expect(message).toMatch(/^\/dev\/pts\/\d+ is held by /);
    expect(message).toContain(`node main.js console (process ${holder.child.pid})`);
  });
});

describe("a link that works", () => {
  let served: TcpBoard;
  beforeEach(async () => {
    served = await boardOnTcp();
  });
  afterEach(() => served.close());

  test("a report to send: what was found on which machine, no secret, only its owner reads it", async () => {
    const file = join(home.path, "report.json");
    const env = { HOME: home.path, BOOTPROOF_PIN: "127.0.0" };
    const result = await runCli(["doctor", "--report", file, "-d", served.address], { env });
    expect(result.status).toBe(0);
    const text = readFileSync(file, "utf8");
    expect(JSON.parse(text)).toMatchObject({
      bootproof: expect.stringMatching(/^\d/),
      node: process.versions.node,
      findings: expect.arrayContaining([expect.objectContaining({ about: "rate" })]),
      diagnosis: { server: { mode: "application" } },
      board: { images: expect.arrayContaining([expect.objectContaining({ image: 0 })]) },
      devices: expect.any(Array),
    });
    // The address is said, but for the part that is the secret here.
    expect(text).toContain("(secret)");
    expect(text).not.toContain("127.0.0");
    expect(text).not.toContain(home.path);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test("says who answers, how fast, and what would help", async () => {
    const result = await doctor("-d", served.address);
    expect(result.status).toBe(0);
    expect(result.err).toMatch(
      /^open +127\.0\.0\.1:\d+ can be opened\.\nanswer +The application answers in console/,
    );
    expect(result.err).toMatch(/SMP version 2, buffers \d+ bytes x \d+\.\nround trip +A short request takes/);
    expect(result.err).toMatch(/\nlosses +No request had to be repeated\.\nrate +An upload can reach/);
    expect(result.out).toMatch(/^(What would help most: CONFIG_|No change would help much\.)/);
    expect(result.err).not.toMatch(/erase/);
  });

  test("in serial recovery", async () => {
    expect((await runCli(["reset", "--recovery", "-d", served.address])).status).toBe(0);
    const result = await doctor("--json", "-d", served.address);
    expect(told(result).diagnosis?.server.mode).toBe("recovery");
    expect(about(result, "answer")?.message).toMatch(/^Serial recovery answers/);
    // MCUboot's recovery has no erase: that is told beside the rest.
    const erased = await doctor("--json", "--erase", "-d", served.address);
    expect(erased.status).toBe(0);
    expect(about(erased, "erase")).toMatchObject({
      verdict: "warn",
      message: expect.stringMatching(/^Not measured: image erase/),
    });
    expect(about(erased, "rate")).toBeDefined();
  });

  test("and how long an erase takes, when that is asked", async () => {
    const result = await doctor("--json", "--erase", "-d", served.address);
    expect(about(result, "erase")?.message).toMatch(/^Erasing the free slot takes/);
  });

  test("through a shell: its own setting is named", async () => {
    expect((await runCli(["shell", "-d", served.address, "log", "prompt"])).status).toBe(0);
    const result = await doctor("--json", "-d", served.address);
    expect(told(result).diagnosis?.overShell).toBe(true);
    expect(about(result, "answer")?.message).toMatch(/console framing through its shell/);
  });
});

test.each([[256, /^CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE=2048$/]])(
  "a board with buffers of %i bytes",
  async (bufSize, setting) => {
    const served = await boardOnTcp("good", { bufSize, bufCount: 4 });
    try {
      const result = await doctor("--json", "-d", served.address);
      expect(told(result).diagnosis?.server.bufSize).toBe(bufSize);
      expect(told(result).diagnosis?.advice?.setting).toMatch(setting);
    } finally {
      await served.close();
    }
  },
);
