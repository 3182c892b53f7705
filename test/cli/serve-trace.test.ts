import { once } from "node:events";
import { connect, Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { serveTrace } from "../../src/cli/serve-trace.js";
import { encodeCbor } from "../../src/smp/cbor.js";
import { joinMessage } from "../../src/smp/header.js";

test("a client that reads nothing fills no memory, and gets all its answers once it reads", async () => {
  const header = { version: 1, group: 0, seq: 0, id: 0 } as const;
  const request = joinMessage({ ...header, op: "write" }, encodeCbor({ d: "x" }));
  const answer = joinMessage({ ...header, op: "write-rsp" }, encodeCbor({ r: "x".repeat(2000) }));
  const records = [
    { direction: "sent" as const, at: 0, hex: "", bytes: request },
    { direction: "received" as const, at: 0, hex: "", bytes: answer },
  ];
  let answered = 0;
  const server = await serveTrace(records, { port: 0, onRequest: () => answered++ });
  const client = connect({ host: "127.0.0.1", port: server.port });
  const write = vi.spyOn(Socket.prototype, "write");
  onTestFinished(async () => {
    write.mockRestore();
    client.destroy();
    await server.close();
  });
  await once(client, "connect");
  client.pause();
  const requests = 20_000;
  client.write(Buffer.concat(Array.from({ length: requests }, () => request)));
  // Until the server has answered all of them, or for some looks none: it waits for its client then.
  for (let before = -1, same = 0; answered < requests && same < 10; before = answered) {
    await delay(20);
    same = answered === before && answered > 0 ? same + 1 : 0;
  }
  const held = write.mock.contexts.map((socket) => socket as Socket).filter((socket) => socket !== client);
  expect(held.length).toBeGreaterThan(0);
  expect(held[0]!.writableLength).toBeLessThan(1_000_000);
  let received = 0;
  await new Promise<void>((resolve) => {
    client.on("data", (chunk: Buffer) => {
      received += chunk.length;
      if (received >= requests * answer.length) resolve();
    });
    client.resume();
  });
  expect(received).toBe(requests * answer.length);
  expect(answered).toBe(requests);
});
