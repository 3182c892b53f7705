import { afterEach, beforeEach, expect, test } from "vitest";
import type { Client, RequestTimeout } from "../../src/client/client.js";
import { connect, identify, letBoot } from "../../src/client/connect.js";
import type { Board } from "../../src/emulator/board.js";
import { startBoard } from "../../src/emulator/start.js";
import { imageList } from "../../src/smp/groups/image.js";
import { BOOT_MODES, osEcho, osInfo, osParams, osReset } from "../../src/smp/groups/os.js";
import { trustBoot } from "../../src/smp/groups/trust.js";

/** Our own firmware, in this process: what a real server does to the client, without a server to be had. */
let board: Board;
let client: Client;

beforeEach(async () => {
  board = await startBoard({ machine: "wasm", variant: "good" });
  client = await connect(await board.connect());
});
afterEach(async () => {
  await client.close();
  await board.close();
});

test("the application is recognised and answers, up to its largest message", async () => {
  expect(client.server).toEqual({
    version: 2,
    mode: "application",
    bufSize: 1024,
    bufCount: 4,
    bufSizeFrom: "server",
  });
  expect(await client.send(osParams, {})).toMatchObject({ buf_size: 1024, buf_count: 4 });
  const longest = "x".repeat(client.largestMessage - 14);
  expect(await client.send(osEcho, { d: longest })).toEqual({ r: longest });
  expect((await client.send(osInfo, { format: "a" })).output).not.toBe("");
  expect(client.counts).toMatchObject({ repeated: 0, late: 0, faults: 0 });
});

test("a message that is too long is not sent; the next one is answered", async () => {
  const tooLong = { d: "x".repeat(client.largestMessage - 13) };
  const error = await client
    .send(osEcho, tooLong, { timeoutMs: 50, retries: 0 })
    .catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "too-long" });
  expect(await client.send(osEcho, { d: "still here" })).toEqual({ r: "still here" });
});

test("over a reset into recovery and back, the same client finds out who answers", async () => {
  await client.send(osReset, { boot_mode: BOOT_MODES.recovery });
  await until("recovery");
  expect(client.server).toMatchObject({ mode: "recovery", bufCount: 1, bufSizeFrom: "server" });
  expect((await client.send(imageList, {})).images.length).toBeGreaterThan(0);
  expect(await client.send(trustBoot, {})).toMatchObject({ state: "recovery" });

  await client.send(osReset, {});
  await until("application");
  expect(await client.send(osEcho, { d: "back" })).toEqual({ r: "back" });
});

test("a board without power is silent, and answers when it has power again", async () => {
  await board.powerOff();
  const error = (await client
    .send(osEcho, { d: "" }, { timeoutMs: 20, retries: 1 })
    .catch((reason: unknown) => reason)) as RequestTimeout;
  expect(error).toMatchObject({ code: "timeout", attempts: 2, received: "nothing" });
  await board.powerOn();
  expect(await client.send(osEcho, { d: "on" })).toEqual({ r: "on" });
});

test("a board that is taken away in the middle of a request is lost", async () => {
  await board.powerOff();
  const sending = client.send(osEcho, { d: "" }).catch((reason: unknown) => reason);
  await board.close();
  expect(await sending).toMatchObject({ code: "lost" });
});

async function until(mode: string): Promise<void> {
  do {
    await letBoot(client);
    await identify(client);
  } while (client.server.mode !== mode);
}
