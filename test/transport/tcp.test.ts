import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { connect } from "../../src/client/connect.js";
import { openStream } from "../../src/transport/open-stream.js";
import { openTcp } from "../../src/transport/tcp.js";
import { type ByteStream, TransportError } from "../../src/transport/transport.js";
import { freePort } from "../support/free-port.js";

let cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const act of cleanUp) await act();
  cleanUp = [];
});

async function serve(onSocket: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer((socket) => {
    socket.on("error", () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanUp.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function open(port: number): Promise<ByteStream> {
  const stream = await openTcp("127.0.0.1", port);
  cleanUp.push(() => stream.close());
  return stream;
}

async function read(stream: ByteStream, length: number): Promise<Buffer> {
  let all = Buffer.alloc(0);
  for await (const chunk of stream.chunks) {
    all = Buffer.concat([all, chunk]);
    if (all.length >= length) break;
  }
  return all;
}

const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable("it succeeded"),
    (error: unknown) => error as TransportError,
  );

describe("a server that serves somebody else", () => {
  test("says so before it hangs up: the port is busy", async () => {
    // As ser2net does.
    const stream = await open(await serve((socket) => socket.end("Port already in use\r\n")));
    const error = await failureOf(connect(stream));
    expect(error).toMatchObject({ code: "busy", message: expect.stringContaining('"Port already in use"') });
  });

  test("hangs up without a byte: another client is the likely reason", async () => {
    const stream = await open(await serve((socket) => socket.end()));
    const error = await failureOf(connect(stream));
    expect(error).toMatchObject({ code: "lost", message: expect.stringContaining("without sending a byte") });
    expect(error.hint).toContain("Is another program connected?");
  });

  test("lets others wait, as QEMU does: the silence is explained", async () => {
    const stream = await open(await serve(() => {}));
    const error = await failureOf(connect(stream, { probes: 2, probeTimeoutMs: 50 }));
    expect(error).toMatchObject({
      code: "timeout",
      message: expect.stringContaining("accepted the connection and sent nothing"),
    });
    expect(error.hint).toContain("is another program connected");
  });
});

test("bytes go there and back", async () => {
  const stream = await open(await serve((socket) => socket.pipe(socket)));
  const sent = Buffer.from(Array.from({ length: 100_000 }, (_, n) => n % 251));
  await stream.write(sent);
  expect((await read(stream, sent.length)).equals(sent)).toBe(true);
  expect(stream.name).toMatch(/^127\.0\.0\.1:\d+$/);
});

test("what was said before the other side closed is read, then it is lost", async () => {
  const stream = await open(await serve((socket) => socket.end("bye")));
  const said: Uint8Array[] = [];
  const error = await failureOf(
    (async () => {
      for await (const chunk of stream.chunks) said.push(chunk);
    })(),
  );
  expect(Buffer.concat(said).toString()).toBe("bye");
  expect(error).toBeInstanceOf(TransportError);
  expect(error.code).toBe("lost");
  await expect(stream.write(Uint8Array.of(1))).rejects.toMatchObject({ code: "lost" });
});

test("closing this side ends the reading; closing twice is harmless", async () => {
  const stream = await open(await serve(() => {}));
  const reading = read(stream, 1);
  await stream.close();
  await stream.close();
  expect(await reading).toHaveLength(0);
  await expect(stream.write(Uint8Array.of(1))).rejects.toMatchObject({ code: "failed" });
});

test("a port where nobody listens is refused", async () => {
  const port = await freePort();
  const error = await failureOf(openStream({ kind: "tcp", host: "127.0.0.1", port }));
  expect(error).toMatchObject({ code: "refused", pipe: `127.0.0.1:${port}` });
  expect(error.hint).toContain("Start the emulator");
});

test("a host that does not exist is not found", async () => {
  const error = await failureOf(openTcp("no-such-host.invalid", 1));
  expect(error.code).toBe("not-found");
});

test("an aborted connect throws the reason", async () => {
  const reason = new Error("stop");
  await expect(openTcp("127.0.0.1", 9, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  const controller = new AbortController();
  const connecting = openTcp("127.0.0.1", await serve(() => {}), { signal: controller.signal });
  controller.abort(reason);
  await expect(connecting).rejects.toBe(reason);
});

test("a bridge that refuses the token and hangs up is told of by whatever fails first", async () => {
  const port = await serve((socket) => {
    socket.on("data", () => socket.end("bootproof bridge: wrong token\n"));
  });
  const stream = await openStream({ kind: "tcp", host: "127.0.0.1", port, token: "of another bridge" });
  cleanUp.push(() => stream.close());
  expect(await failureOf(read(stream, 1))).toMatchObject({ code: "wrong-token" });
  // Sooner or later the socket is closed too; what is written then fails for the same reason.
  const writeUntilItFails = async (): Promise<never> => {
    for (;;) {
      await stream.write(Uint8Array.of(0));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  expect(await failureOf(writeUntilItFails())).toMatchObject({ code: "wrong-token" });
});
