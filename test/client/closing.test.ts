import { AsyncLocalStorage, createHook } from "node:async_hooks";
import { type AddressInfo, createServer } from "node:net";
import { expect, test } from "vitest";
import { Client } from "../../src/client/client.js";
import { connect } from "../../src/client/connect.js";
import { osEcho } from "../../src/smp/groups/os.js";
import { openSerial } from "../../src/transport/serial.js";
import { openTcp } from "../../src/transport/tcp.js";
import { noPtyReason, openPty } from "../support/pipe-pty.js";
import { ScriptedPipe } from "../support/pipe-script.js";

const isOurs = new AsyncLocalStorage<true>();

/** What the work leaves alive. The test runner's own timers come and go beside it, and are not counted. */
async function leftBy(work: () => Promise<void>): Promise<string[]> {
  const timers: { readonly _destroyed?: boolean }[] = [];
  const watch = createHook({
    init(_id, type, _trigger, resource) {
      if (type === "Timeout" && isOurs.getStore()) timers.push(resource);
    },
  });
  const before = handles();
  watch.enable();
  await isOurs.run(true, work);
  watch.disable();
  // A closed handle takes a few rounds of the event loop to go.
  while (added(before).length > 0) await new Promise((resolve) => setImmediate(resolve));
  return timers.filter(({ _destroyed }) => !_destroyed).map(() => "Timeout");
}

/** What else keeps this process alive: sockets, servers, ports, work that is under way. */
const handles = () => process.getActiveResourcesInfo().filter((kind) => kind !== "Timeout");

function added(before: readonly string[]): string[] {
  const rest = [...before];
  return handles().filter((kind) => {
    const known = rest.indexOf(kind);
    if (known >= 0) rest.splice(known, 1);
    return known < 0;
  });
}

test("a timer that was forgotten is noticed", async () => {
  let timer: NodeJS.Timeout | undefined;
  const left = await leftBy(async () => {
    timer = setTimeout(() => {}, 600_000);
  });
  clearTimeout(timer);
  expect(left).toEqual(["Timeout"]);
});

test("an answered, a timed-out and an aborted request leave nothing alive", async () => {
  const left = await leftBy(async () => {
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
  });
  expect(left).toEqual([]);
});

test("a client over TCP, closed in the middle of a request, leaves nothing alive", async () => {
  const left = await leftBy(async () => {
    const server = createServer((socket) => socket.on("error", () => {}).resume());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const client = new Client(await openTcp("127.0.0.1", (server.address() as AddressInfo).port));
    const sending = client.send(osEcho, { d: "" }).catch(() => {});
    await client.close();
    await sending;
    server.close();
  });
  expect(left).toEqual([]);
});

test("a client over a serial port that found nobody leaves nothing alive", async ({ skip }) => {
  if (noPtyReason) skip(noPtyReason);
  const pty = await openPty();
  const left = await leftBy(async () => {
    const connecting = openSerial({ path: pty.path, baudRate: 115200 }).then((stream) =>
      connect(stream, { probes: 1, probeTimeoutMs: 20 }),
    );
    expect(await connecting.catch((error: { code: string }) => error.code)).toBe("timeout");
  });
  expect(left).toEqual([]);
  await pty.unplug();
});
