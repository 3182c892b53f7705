import { spawnSync } from "node:child_process";
import { createServer, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { connect } from "../../src/client/connect.js";
import { startBoard } from "../../src/emulator/start.js";
import { osEcho } from "../../src/smp/groups/os.js";
import { openStream } from "../../src/transport/open-stream.js";
import { parseAddress } from "../../src/transport/parse-address.js";
import { openRfc2217 } from "../../src/transport/rfc2217.js";
import type { ByteStream } from "../../src/transport/transport.js";
import { noPtyReason, openPty } from "../support/pipe-pty.js";
import { noSer2netReason, startSer2net } from "../support/ser2net.js";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function address(port: number, baudRate: number) {
  return { kind: "rfc2217", host: "127.0.0.1", port, baudRate } as const;
}

async function take(stream: ByteStream, length: number): Promise<Buffer> {
  let all = Buffer.alloc(0);
  for await (const chunk of stream.chunks) {
    all = Buffer.concat([all, chunk]);
    if (all.length >= length) return all;
  }
  return all;
}

describe.skipIf(noSer2netReason ?? noPtyReason)("through Debian's ser2net", () => {
  async function line(accepter = "telnet(rfc2217)") {
    const pty = await openPty();
    closing.push(() => pty.unplug());
    const server = await startSer2net(pty.path, accepter);
    closing.push(() => server.stop());
    return { pty, server };
  }

  test.each([9600, 115200, 1_000_000])("%i baud is set over there", async (baudRate) => {
    const { pty, server } = await line();
    const stream = await openRfc2217(address(server.port, baudRate));
    closing.push(() => stream.close());
    expect(stream.baudRate).toBe(baudRate);
    const speed = spawnSync("stty", ["-F", pty.path, "speed"], { encoding: "utf8" });
    expect(Number(speed.stdout)).toBe(baudRate);
  });

  test("every byte value passes both ways unchanged", async () => {
    const { pty, server } = await line();
    const stream = await openRfc2217(address(server.port, 115200));
    closing.push(() => stream.close());
    const every = Buffer.from(Array.from({ length: 1024 }, (_, n) => (n < 512 ? n : 255 - n) & 0xff));
    await stream.write(every);
    expect((await pty.heard((all) => all.length >= every.length)).equals(every)).toBe(true);
    pty.say(every);
    expect((await take(stream, every.length)).equals(every)).toBe(true);
  });

  test("a server without RFC 2217 is told from one that has it", async () => {
    const { server } = await line("telnet");
    const error = await openRfc2217(address(server.port, 115200), { answerTimeoutMs: 1000 }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: "failed" });
    expect((error as { hint: string }).hint).toContain("telnet(rfc2217)");
  });

  test("a board answers behind it", async () => {
    const board = await startBoard({ machine: "qemu", variant: "good", pty: true });
    closing.push(() => board.close());
    const server = await startSer2net(board.tty!, "telnet(rfc2217)");
    closing.push(() => server.stop());
    const pipe = parseAddress(`rfc2217:127.0.0.1:${server.port}?baud=115200`);
    if (pipe.kind !== "rfc2217") throw new Error(pipe.kind);
    const client = await connect(await openStream(pipe));
    closing.push(() => client.close());
    const text = "x".repeat(900);
    expect(await client.send(osEcho, { d: text })).toEqual({ r: text });
  });
});

/** A server that says what it is told to say to the first bytes it hears, and then to each further chunk. */
async function scripted(answer: (heard: Buffer, socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (heard) => answer(heard, socket));
    closing.push(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => server.close());
  const where = server.address();
  return typeof where === "object" && where ? where.port : 0;
}

/** Whoever is to answer has all the time that a busy machine needs; what says nothing is waited for no longer than it is said to. */
const failure = (port: number, answerTimeoutMs = 60_000) =>
  openRfc2217(address(port, 115200), { answerTimeoutMs }).then(
    () => expect.unreachable("it opened"),
    (reason: unknown) => reason,
  );

describe("a server that", () => {
  test("says nothing is given up", async () => {
    expect(await failure(await scripted(() => {}), 200)).toMatchObject({
      code: "failed",
      message: expect.stringContaining("does not offer"),
    });
  });

  test("refuses the option is believed", async () => {
    const port = await scripted((_, socket) => socket.write(Buffer.from("fffe2c", "hex")));
    expect(await failure(port)).toMatchObject({ message: expect.stringContaining("refuses") });
  });

  test("sets another baud rate is found out", async () => {
    const port = await scripted((_, socket) =>
      socket.write(Buffer.from("fffd2cfffa2c6500002580fff0", "hex")),
    );
    expect(await failure(port)).toMatchObject({
      message: expect.stringContaining("set 9600 baud instead of 115200"),
    });
  });

  test("hangs up meanwhile is lost", async () => {
    expect(await failure(await scripted((_, socket) => socket.end()))).toMatchObject({ code: "lost" });
  });

  test("offers and asks for options without end is answered once for each", async () => {
    // Five offers of ours and four refusals, three bytes each.
    const whole = 27;
    let heard = 0;
    let sayClosed = () => {};
    const closed = new Promise<void>((resolve) => {
      sayClosed = resolve;
    });
    const port = await scripted((bytes, socket) => {
      if (heard === 0) socket.once("close", () => sayClosed());
      heard += bytes.length;
      socket.write(Buffer.from("fffb18fffd18fffb01fffd01", "hex"));
      // It offers once more all the same, and then ends what would go on for ever: it refuses our option.
      if (heard >= whole) socket.write(Buffer.from("fffe2c", "hex"));
    });
    expect(await failure(port)).toMatchObject({ message: expect.stringContaining("refuses") });
    await closed;
    expect(heard).toBe(whole);
  });
});

test("abort throws the reason", async () => {
  const controller = new AbortController();
  const reason = new Error("stop");
  const opening = openRfc2217(address(await scripted(() => controller.abort(reason)), 115200), {
    signal: controller.signal,
  }).catch((error: unknown) => error);
  expect(await opening).toBe(reason);
});
