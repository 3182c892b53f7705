import { execFile, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, expect, test } from "vitest";
import type { Board } from "../../src/emulator/board.js";
import { startBoard } from "../../src/emulator/start.js";
import { freePort } from "../support/free-port.js";
import { type CliRun, ownFolder, runCli, startCli } from "../support/groups-cli.js";

const home = ownFolder();
const env = { HOME: home.path };
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
afterAll(() => home.remove());

/** A board on a serial server that can be pulled out and put back at the same address. */
class Plugged {
  readonly port: number;
  #board: Board | undefined;
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();

  constructor(port: number) {
    this.port = port;
  }

  async plugIn(): Promise<void> {
    this.#board = await startBoard({ machine: "wasm", variant: "good" });
    const uart = await this.#board.connect();
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("data", (chunk: Uint8Array) => void uart.write(chunk));
    });
    void (async () => {
      for await (const chunk of uart.chunks) for (const socket of this.#sockets) socket.write(chunk);
    })().catch(() => {});
    await new Promise<void>((resolve) => this.#server?.listen(this.port, "127.0.0.1", resolve));
  }

  async pull(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server?.close(resolve) ?? resolve(undefined));
    await this.#board?.close();
    this.#server = undefined;
    this.#board = undefined;
  }
}

interface Bridged {
  board: Plugged;
  run: CliRun;
  udp: string;
  tcp: string;
}

async function bridge(...args: string[]): Promise<Bridged> {
  const board = new Plugged(await freePort());
  await board.plugIn();
  closing.push(() => board.pull());
  const run = startCli(["bridge", "-d", `tcp:127.0.0.1:${board.port}`, "--port", "0", ...args], { env });
  closing.push(async () => {
    run.child.kill("SIGTERM");
    await run.done;
  });
  const [, port] = await run.said(/is at udp:\S+:(\d+) and tcp:/);
  return { board, run, udp: `udp:127.0.0.1:${port}`, tcp: `tcp:127.0.0.1:${port}` };
}

const echo = async (address: string, text: string, ...more: string[]) => {
  const { status, out, err } = await runCli(["echo", text, "-d", address, ...more], { env });
  return { status, out: out.trim(), err };
};

test("several programs at once, over UDP and TCP, each with his own answers", async () => {
  const { udp, tcp } = await bridge();
  const texts = ["one", "two", "three", "four", "five", "six"];
  const heard = await Promise.all(texts.map((text, index) => echo(index % 2 ? tcp : udp, text)));
  expect(heard.map(({ out }) => out)).toEqual(texts);
});

test("a board that is pulled out is waited for, and answers again at the same addresses", async () => {
  const { board, run, udp, tcp } = await bridge();
  expect((await echo(udp, "before")).out).toBe("before");
  await board.pull();
  expect((await echo(udp, "away", "--timeout", "600")).status).toBe(16);
  await board.plugIn();
  await run.said(/answers again/);
  expect((await echo(udp, "by UDP")).out).toBe("by UDP");
  expect((await echo(tcp, "by TCP")).out).toBe("by TCP");
  expect(run.child.exitCode).toBeNull();
});

test("a token is taken from no command line, and is not repeated", async () => {
  for (const words of [
    ["bridge", "-d", "wasm:good", "--token", "0123456789abcdef"],
    ["echo", "x", "-d", "tcp:127.0.0.1:9?token=0123456789abcdef&framing=raw"],
    ["echo", "x", "-d", "udp:127.0.0.1:9?token=0123456789abcdef"],
  ]) {
    const { status, out, err } = await runCli(words, { env });
    expect(status).toBe(2);
    expect(err).toMatch(/token-file/);
    expect(`${out}${err}`).not.toContain("0123456789abcdef");
  }
  const letter = join(home.path, "letter");
  writeFileSync(letter, "Dear bridge,\nthis is not a token.\n");
  const { err } = await runCli(["echo", "x", "-d", `udp:127.0.0.1:9?token-file=${letter}`], { env });
  expect(err).toContain("a token is one word");
});

test("beyond this machine only with a token, which has to be said", async () => {
  const refused = await runCli(["bridge", "-d", "wasm:good", "--listen", "0.0.0.0", "--port", "0"], { env });
  expect(refused.status).toBe(2);
  expect(refused.err).toMatch(/could change the board's firmware.*\n.*--token/);

  const tokenFile = join(home.path, "token");
  writeFileSync(tokenFile, "0123456789abcdef\n", { mode: 0o600 });
  const wrongFile = join(home.path, "wrong");
  writeFileSync(wrongFile, "0123456789abcdeX\n", { mode: 0o600 });
  const { run, udp, tcp } = await bridge("--listen", "0.0.0.0", "--token-file", tokenFile);
  for (const address of [udp, tcp]) {
    expect((await echo(`${address}?token-file=${tokenFile}`, "in")).out).toBe("in");
    const fromEnvironment = { ...env, BOOTPROOF_TOKEN: "0123456789abcdef" };
    expect((await runCli(["echo", "in", "-d", `${address}?token=env`], { env: fromEnvironment })).out).toBe(
      "in\n",
    );
    const wrong = await echo(`${address}?token-file=${wrongFile}`, "out");
    expect([wrong.status, wrong.err]).toEqual([13, expect.stringContaining("this token is wrong")]);
    const none = await echo(address, "out");
    expect([none.status, none.err]).toEqual([13, expect.stringContaining("requires a token")]);
  }
  await run.said(/sent a wrong token/);
  const config = { boards: { far: `${tcp}?token-file=${tokenFile}` } };
  writeFileSync(join(home.path, ".bootproof.json"), JSON.stringify(config));
  const planted = await runCli(["echo", "x", "-d", "far"], { env, cwd: home.path });
  expect(planted.err).toContain('token of "far"');
  expect(planted.status).toBe(2);
});

/** Says a text to the port given, and prints what comes back. */
const SMPCLIENT = `
import asyncio, sys
from smpclient import SMPClient
from smpclient.requests.os_management import EchoWrite
from smpclient.transport.udp import SMPUDPTransport
class There(SMPUDPTransport):
    async def connect(self, address, timeout_s):
        await super().connect(address, timeout_s, int(sys.argv[1]))
async def main():
    async with SMPClient(There(), "127.0.0.1") as client:
        print((await client.request(EchoWrite(d=sys.argv[2]))).r)
asyncio.run(main())
`;
const noSmpclientReason =
  spawnSync("python3", ["-c", "import smpclient.transport.udp"]).status === 0
    ? undefined
    : "smpclient is not installed";

test.skipIf(noSmpclientReason)("a client that nobody here wrote is served beside ours", async () => {
  const { udp, tcp } = await bridge();
  const port = udp.slice(udp.lastIndexOf(":") + 1);
  const theirs = promisify(execFile)("python3", ["-c", SMPCLIENT, port, "from elsewhere"]);
  const ours = await echo(tcp, "from here");
  expect((await theirs).stdout.trim()).toBe("from elsewhere");
  expect(ours.out).toBe("from here");
});
