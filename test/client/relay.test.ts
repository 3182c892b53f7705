import { spawn } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { connect as connectSocket } from "node:net";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { connect } from "../../src/client/connect.js";
import { Relay } from "../../src/client/relay.js";
import { openPipe } from "../../src/devices/open.js";
import { boardVariant } from "../../src/emulator/catalog.js";
import { slotOffset } from "../../src/emulator/layout.js";
import { signedFixture } from "../../src/emulator/signed-fixture.js";
import { startBoard } from "../../src/emulator/start.js";
import { run } from "../../src/session/run.js";
import { Session } from "../../src/session/session.js";
import { rawFraming } from "../../src/smp/framing/raw.js";
import { imageList } from "../../src/smp/groups/image.js";
import { osEcho, osParams } from "../../src/smp/groups/os.js";
import { isPipe } from "../../src/transport/address.js";
import { parseAddress } from "../../src/transport/parse-address.js";
import { listenTcp } from "../../src/transport/tcp.js";
import type { TransportError } from "../../src/transport/transport.js";
import { listenUdp } from "../../src/transport/udp.js";
import { upload } from "../../src/update/upload.js";
import { whyMissing } from "../support/on-path.js";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A board, and a bridge to it on free ports of this machine. */
async function bridge(
  token?: string,
  udpAt: { host: string; port: number } = { host: "127.0.0.1", port: 0 },
  idleMs?: number,
) {
  const board = await startBoard({ machine: "wasm", variant: "good" });
  closing.push(() => board.close());
  const client = await connect(await board.connect());
  closing.push(() => client.close());
  const lost: TransportError[] = [];
  const relay = new Relay(client, (error) => lost.push(error));
  const ends: string[] = [];
  const serve = (pipe: Parameters<Relay["serve"]>[0]) =>
    void relay.serve(pipe, { token, idleMs }).then((end) => ends.push(end));
  const tcp = await listenTcp("127.0.0.1", 0, serve);
  closing.push(() => tcp.close());
  const udp = await listenUdp(udpAt.host, udpAt.port, serve);
  closing.push(() => udp.close());
  return { board, client, tcp: tcp.port, udp: udp.port, ends, lost };
}

async function guest(address: string) {
  const pipe = parseAddress(address);
  if (!isPipe(pipe)) throw new Error(address);
  const framing = "framing" in pipe && pipe.framing === "raw" ? rawFraming : undefined;
  const client = await connect(await openPipe(pipe), { framing, probeTimeoutMs: 2000 });
  closing.push(() => client.close());
  return client;
}

/** A guest with the token in the environment, where addresses may take it from. */
async function tokenGuest(address: string, token: string) {
  vi.stubEnv("BOOTPROOF_TOKEN", token);
  onTestFinished(() => void vi.unstubAllEnvs());
  return guest(`${address}?token=env`);
}

test("guests by UDP, console and raw framing speak to one board at the same time, each hears his own", async () => {
  const { tcp, udp } = await bridge();
  const guests = await Promise.all([
    guest(`udp:127.0.0.1:${udp}`),
    guest(`udp:127.0.0.1:${udp}`),
    guest(`tcp:127.0.0.1:${tcp}`),
    guest(`tcp:127.0.0.1:${tcp}?framing=raw`),
  ]);
  const talk = async (client: (typeof guests)[number], name: number) => {
    for (let n = 0; n < 30; n++) {
      const d = `guest ${name} says ${n}`;
      expect(await client.send(osEcho, { d })).toEqual({ r: d });
    }
  };
  await Promise.all(guests.map(talk));
  expect(guests.map((client) => client.framing.name)).toEqual(["datagram", "datagram", "console", "raw"]);
});

test("each is told of a buffer that holds in his own framing, and can fill it", async () => {
  const { client, tcp, udp } = await bridge();
  for (const address of [
    `udp:127.0.0.1:${udp}`,
    `tcp:127.0.0.1:${tcp}`,
    `tcp:127.0.0.1:${tcp}?framing=raw`,
  ]) {
    const one = await guest(address);
    expect(one.largestMessage).toBe(client.largestMessage);
    const d = "x".repeat(one.largestMessage - 8 - 1 - 2 - 3);
    expect(await one.send(osEcho, { d })).toEqual({ r: d });
  }
  expect((await client.send(osParams, {})).buf_size).toBe(1024);
});

test("an upload by UDP arrives byte for byte while another guest asks", async () => {
  const { board, tcp, udp } = await bridge();
  const other = await guest(`tcp:127.0.0.1:${tcp}`);
  const session = await Session.open(() => guest(`udp:127.0.0.1:${udp}`));
  const file = await signedFixture("good-b", "wasm", boardVariant("good"));
  let asked = 0;
  await run(upload(session, file), () => {
    void other.send(imageList, {}).then(
      () => asked++,
      () => {},
    );
  });
  expect(asked).toBeGreaterThan(0);
  expect(Buffer.compare(board.readFlash(slotOffset(0, 1), file.length), file)).toBe(0);
});

/** Says something to a TCP port until the other side closes; what was heard. */
function say(port: number, words: string): Promise<string> {
  return new Promise<string>((resolve) => {
    let text = "";
    const socket = connectSocket(port, "127.0.0.1", () => socket.write(words));
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
}

describe("without a token", () => {
  /** An echo request in a console frame, as a web page can put it into a body of type text/plain. */
  const FRAME = "\u0006\u0009AAsIAAABAAABBqBEIw==\n";

  test.each(["POST", "GET", "OPTIONS"])(
    "a browser's %s is dropped before its body is read",
    async (method) => {
      const { tcp, ends, client } = await bridge();
      const sent: unknown[] = [];
      const { relay } = client;
      client.relay = (...words: Parameters<typeof relay>) => {
        sent.push(words[0]);
        return relay.apply(client, words);
      };
      const head = `${method} / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n\r\n`;
      expect(await say(tcp, `${head}${FRAME}${FRAME}`)).toBe("");
      expect(ends).toEqual(["http"]);
      expect(sent).toEqual([]);
      // An SMP client is served as before.
      expect(await (await guest(`tcp:127.0.0.1:${tcp}`)).send(osEcho, { d: "in" })).toEqual({ r: "in" });
    },
  );

  test("who says nothing is sent away", async () => {
    const { tcp, ends } = await bridge(undefined, undefined, 200);
    expect(await say(tcp, "")).toBe("");
    expect(ends).toEqual(["idle"]);
  });
});

describe("stray datagrams", () => {
  test("neither displace a guest who is known nor lock a port", async () => {
    const token = "0123456789abcdef";
    const { udp } = await bridge(token);
    const known = await tokenGuest(`udp:127.0.0.1:${udp}`, token);
    const strays = Array.from({ length: 100 }, () => createSocket("udp4"));
    closing.push(() => strays.map((socket) => socket.close()));
    const sendTo = (socket: Socket, words: string) =>
      new Promise((resolve) => socket.send(words, udp, "127.0.0.1", resolve));
    await Promise.all(strays.map((socket) => sendTo(socket, "stray")));
    expect(await known.send(osEcho, { d: "still here" })).toEqual({ r: "still here" });
    // The same port, first with a wrong token and then with the right one.
    const [late] = strays as [Socket];
    const refused = once(late, "message");
    await sendTo(late, `${token}x`);
    expect(String((await refused)[0])).toBe("bootproof bridge: wrong token\n");
    await sendTo(late, token);
    const answered = once(late, "message");
    late.send(Uint8Array.from([0, 0, 0, 1, 0, 6, 1, 6, 0xa0]), udp, "127.0.0.1");
    expect(((await answered)[0] as Uint8Array)[0]! & 7).toBe(1);
  });
});

describe("with a token", () => {
  const TOKEN = "0123456789abcdef";

  test.each(["tcp", "udp"] as const)("a guest by %s who says it is served", async (kind) => {
    const on = await bridge(TOKEN);
    const one = await tokenGuest(`${kind}:127.0.0.1:${on[kind]}`, TOKEN);
    expect(await one.send(osEcho, { d: "in" })).toEqual({ r: "in" });
  });

  test.each([
    ["a wrong one", `${TOKEN.slice(0, -1)}x\n`],
    ["the beginning of it", `${TOKEN.slice(0, 8)}\n`],
    ["more than it", `${TOKEN}0\n`],
    ["none, but a request", "\u0006\u0009AAsIAAABAAABBqBEIw==\n"],
    ["a line that does not end", "x".repeat(5000)],
  ])("who says %s is shown out, unanswered", async (_, message) => {
    const { tcp, ends } = await bridge(TOKEN);
    const heard = await new Promise<string>((resolve) => {
      let text = "";
      const socket = connectSocket(tcp, "127.0.0.1", () => socket.write(message));
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
      });
      socket.on("error", () => {});
      socket.on("close", () => resolve(text));
    });
    expect(heard).toBe("bootproof bridge: wrong token\n");
    expect(ends).toEqual(["wrong-token"]);
  });

  test("in single bytes, with the first request right behind, it is right too", async () => {
    const { tcp } = await bridge(TOKEN);
    const request = "\u0006\u0009AAsIAAABAAABBqBEIw==\n";
    const heard = await new Promise<string>((resolve) => {
      const socket = connectSocket({ port: tcp, host: "127.0.0.1", noDelay: true }, async () => {
        for (const byte of `${TOKEN}\n${request}`) {
          socket.write(byte);
          await new Promise(setImmediate);
        }
      });
      closing.push(() => socket.destroy());
      socket.once("data", (chunk) => resolve(chunk.toString("latin1")));
    });
    expect(heard.slice(0, 2)).toBe("\u0006\u0009");
  });
});

test("a message longer than the board's buffer is refused and never reaches it", async () => {
  const { client, udp } = await bridge();
  const one = await guest(`udp:127.0.0.1:${udp}`);
  one.server = { ...one.server, bufSize: 4000 };
  const sent = client.counts.sent;
  await expect(one.send(osEcho, { d: "x".repeat(1300) })).rejects.toMatchObject({ rc: 7 });
  expect(client.counts.sent).toBe(sent);
});

test("when the board is gone its keeper is told", async () => {
  const { board, udp, lost } = await bridge();
  const one = await guest(`udp:127.0.0.1:${udp}`);
  await board.close();
  await expect(one.send(osEcho, { d: "" }, { timeoutMs: 100, retries: 0 })).rejects.toMatchObject({
    code: "timeout",
  });
  expect(lost.map(({ code }) => code)).toContain("lost");
});

const noSmpmgrReason = whyMissing("smpmgr");

test.skipIf(noSmpmgrReason)("a client that nobody here wrote reads the images by UDP", async () => {
  // It knows no other port than 1337, so it gets an address of its own, which no other process of this machine has.
  const host = `127.${64 + (process.pid >> 16)}.${(process.pid >> 8) & 0xff}.${process.pid & 0xff}`;
  await bridge(undefined, { host, port: 1337 });
  const child = spawn("smpmgr", ["--ip", host, "image", "state-read"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk) => {
      text += chunk;
    });
  const status = await new Promise((resolve) => child.once("exit", resolve));
  expect(`${status} ${text}`).toMatch(/^0 [\s\S]*slot/i);
});
