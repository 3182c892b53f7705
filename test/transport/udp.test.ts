import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { afterEach, describe, expect, test } from "vitest";
import type { ByteStream } from "../../src/transport/transport.js";
import { openUdp } from "../../src/transport/udp.js";

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

/** A peer that hands every datagram to `answer`. */
async function peer(
  host: string,
  answer: (datagram: Buffer, reply: (bytes: Uint8Array) => void, from: RemoteInfo) => void,
): Promise<{ port: number; socket: Socket }> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  socket.on("message", (datagram, from) =>
    answer(datagram, (bytes) => socket.send(bytes, from.port, from.address), from),
  );
  await new Promise<void>((resolve) => socket.bind(0, host, resolve));
  open.push(() => void socket.close());
  return { port: socket.address().port, socket };
}

async function pipe(host: string, port: number): Promise<ByteStream> {
  const stream = await openUdp(host, port);
  open.push(() => stream.close());
  return stream;
}

async function take(stream: ByteStream, count: number): Promise<Uint8Array[]> {
  const taken: Uint8Array[] = [];
  for await (const chunk of stream.chunks) if (taken.push(Uint8Array.from(chunk)) === count) return taken;
  return taken;
}

describe.each(["127.0.0.1", "::1"])("%s", (host) => {
  test("every write is a datagram and every datagram a chunk, borders kept", async () => {
    const { port } = await peer(host, (datagram, reply) => {
      reply(Uint8Array.of(datagram.length));
      reply(datagram);
    });
    const stream = await pipe(host, port);
    await stream.write(Uint8Array.of(1, 2, 3));
    await stream.write(Uint8Array.of(4));
    expect((await take(stream, 4)).map((chunk) => [...chunk])).toEqual([[3], [1, 2, 3], [1], [4]]);
    expect(stream.maxDatagram).toBe(host.includes(":") ? 1452 : 1472);
  });
});

test("what a stranger sends is not heard", async () => {
  const stranger = await peer("127.0.0.1", () => {});
  // The stranger's datagram is on its way before the friend's.
  const friend = await peer("127.0.0.1", (_, reply, from) =>
    stranger.socket.send(Uint8Array.of(66), from.port, from.address, () => reply(Uint8Array.of(1))),
  );
  const stream = await pipe("127.0.0.1", friend.port);
  await stream.write(Uint8Array.of(0));
  expect([...(await take(stream, 1))[0]!]).toEqual([1]);
});

test("a port where nobody listens is refused, with the port to try", async () => {
  const { port, socket } = await peer("127.0.0.1", () => {});
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  open.pop();
  const stream = await pipe("127.0.0.1", port);
  await stream.write(Uint8Array.of(0));
  const error = await take(stream, 1).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "refused", pipe: `127.0.0.1:${port}` });
  expect((error as { hint: string }).hint).toContain("1337");
});

test("closed: nothing more is sent, chunks end, twice is harmless", async () => {
  const { port } = await peer("127.0.0.1", () => {});
  const stream = await openUdp("127.0.0.1", port);
  await stream.close();
  await stream.close();
  expect(await take(stream, 1)).toEqual([]);
  await expect(stream.write(Uint8Array.of(0))).rejects.toMatchObject({ code: "failed" });
});
