import { type AddressInfo, createServer } from "node:net";
import { expect, test } from "vitest";
import { Client } from "../../src/client/client.js";
import { connect } from "../../src/client/connect.js";
import { osEcho } from "../../src/smp/groups/os.js";
import { openSerial } from "../../src/transport/serial.js";
import { openTcp } from "../../src/transport/tcp.js";
import { noPtyReason, openPty } from "../support/pipe-pty.js";
import { ScriptedPipe } from "../support/pipe-script.js";

/** What keeps this process alive. */
const alive = () => process.getActiveResourcesInfo();

/** What is alive beyond what was before; the test runner's own things come and go. */
function added(before: readonly string[]): string[] {
  const rest = [...before];
  return alive().filter((kind) => {
    const known = rest.indexOf(kind);
    if (known >= 0) rest.splice(known, 1);
    return known < 0;
  });
}

/**
 * A closed handle takes a few rounds of the event loop to go. A forgotten timer would last for seconds; it is waited for
 * no longer than the test runner's own short ones need.
 */
async function afterClosing(before: readonly string[]): Promise<string[]> {
  while (added(before).some((kind) => kind !== "Timeout"))
    await new Promise((resolve) => setImmediate(resolve));
  if (added(before).length > 0) await new Promise((resolve) => setTimeout(resolve, 200));
  return added(before);
}

test("an answered, a timed-out and an aborted request leave nothing alive", async () => {
  const before = alive();
  const client = new Client(
    new ScriptedPipe((request, pipe) => request.index === 0 && pipe.answer(request, { r: "" })),
  );
  await client.send(osEcho, { d: "" });
  await client.send(osEcho, { d: "" }, { timeoutMs: 5, retries: 1 }).catch(() => {});
  const controller = new AbortController();
  const sending = client.send(osEcho, { d: "" }, { signal: controller.signal }).catch(() => {});
  controller.abort();
  await sending;
  await client.close();
  expect(await afterClosing(before)).toEqual([]);
});

test("a client over TCP, closed in the middle of a request, leaves nothing alive", async () => {
  const before = alive();
  const server = createServer((socket) => socket.on("error", () => {}).resume());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = new Client(await openTcp("127.0.0.1", (server.address() as AddressInfo).port));
  const sending = client.send(osEcho, { d: "" }).catch(() => {});
  await client.close();
  await sending;
  server.close();
  expect(await afterClosing(before)).toEqual([]);
});

test("a client over a serial port that found nobody leaves nothing alive", async ({ skip }) => {
  if (noPtyReason) skip(noPtyReason);
  const pty = await openPty();
  const before = alive();
  const connecting = openSerial({ path: pty.path, baudRate: 115200 }).then((stream) =>
    connect(stream, { probes: 1, probeTimeoutMs: 20 }),
  );
  expect(await connecting.catch((error: { code: string }) => error.code)).toBe("timeout");
  expect(await afterClosing(before)).toEqual([]);
  await pty.unplug();
});
