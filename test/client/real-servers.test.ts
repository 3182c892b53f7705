import { describe, expect, test } from "vitest";
import { Client } from "../../src/client/client.js";
import { connect } from "../../src/client/connect.js";
import { imageList } from "../../src/smp/groups/image.js";
import { BOOT_MODES, osBootloaderInfo, osEcho, osInfo, osParams, osReset } from "../../src/smp/groups/os.js";
import { shellExec } from "../../src/smp/groups/shell.js";
import { DeviceError } from "../../src/smp/message.js";
import {
  JUST_STARTED,
  type RealServer,
  type RunningServer,
  realServers,
  serverName,
  startServer,
} from "../support/real-servers.js";

const servers = realServers();
const withoutParams = (server: RealServer) => server.config.includes("noparams");

async function withServer(server: RealServer, act: (running: RunningServer) => Promise<void>): Promise<void> {
  const running = await startServer(server);
  try {
    await act(running);
  } finally {
    await running.stop();
  }
}

async function refusal(answer: Promise<unknown>): Promise<DeviceError> {
  const error = await answer.then(
    () => expect.unreachable("it was accepted"),
    (reason: unknown) => reason,
  );
  if (error instanceof DeviceError) return error;
  throw error;
}

/** What a message spends on everything but the echoed text: header, map, key, head of a text up to 255 or beyond. */
const echoOverhead = (largest: number) => 8 + 1 + 2 + (largest > 266 ? 3 : 2);

describe("every server is recognised and answers", () => {
  for (const server of servers) {
    test(serverName(server), () =>
      withServer(server, async (running) => {
        const client = await connect(await running.open(), JUST_STARTED);
        expect(client.server).toMatchObject({ version: 2, mode: "application", bufSize: server.buf_size });
        expect(client.server.bufSizeFrom).toBe(withoutParams(server) ? "assumed" : "server");
        expect(client.server.bufCount).toBe(withoutParams(server) ? undefined : server.buf_count);

        expect(await client.send(osEcho, { d: "hello" })).toEqual({ r: "hello" });
        // The answer is one byte longer than the question: its map has an end. Console framing has four to spare.
        const largest = client.largestMessage - (client.framing.name === "console" ? 0 : 1);
        const longest = "x".repeat(largest - echoOverhead(largest));
        expect(await client.send(osEcho, { d: longest })).toEqual({ r: longest });

        if (withoutParams(server)) expect(await refusal(client.send(osParams, {}))).toMatchObject({ rc: 8 });
        else expect(await client.send(osParams, {})).toMatchObject({ buf_size: server.buf_size });
        if (server.buf_size < 100)
          expect(await refusal(client.send(osInfo, { format: "a" }))).toMatchObject({ rc: 7 });
        else expect((await client.send(osInfo, { format: "a" })).output).toMatch(/^Zephyr .* Zephyr$/);
        expect(await refusal(client.send(osBootloaderInfo, {}))).toMatchObject({ rcName: "ENOTSUP" });
        expect(client.counts.faults).toBe(0);
        await client.close();
      }),
    );
  }
});

describe("errors of both versions arrive in words", () => {
  for (const server of servers.filter((row) => row.config === "serial" && row.target === "native_sim")) {
    test(serverName(server), () =>
      withServer(server, async (running) => {
        const client = await connect(await running.open(), JUST_STARTED);
        const request = { argv: ["no-such-command"] };
        expect((await client.send(shellExec, request)).ret).not.toBe(0);
        expect(await refusal(client.send(imageList, {}))).toMatchObject({
          code: "smp-error",
          rcName: "ENOTSUP",
        });
        expect(await refusal(client.send(shellExec, { argv: [] }))).toMatchObject({
          code: "group-error",
          group: 9,
        });
        await client.close();

        const old = new Client(await running.open());
        old.server = { ...old.server, version: 1 };
        expect(await refusal(old.send(shellExec, { argv: [] }))).toMatchObject({ code: "smp-error", rc: 3 });
        await old.close();
      }),
    );
  }
});

describe("serial recovery is told from the application, and back", () => {
  for (const server of servers.filter((row) => row.config.startsWith("serial_recovery"))) {
    test(serverName(server), () =>
      withServer(server, async (running) => {
        const application = await connect(await running.open(), JUST_STARTED);
        expect(application.server.mode).toBe("application");
        await application.send(osReset, { boot_mode: BOOT_MODES.recovery });
        await application.close();

        const recovery = await connectTo(running, "recovery");
        const tells = server.recovery_buf_size !== undefined;
        expect(recovery.server).toMatchObject(
          tells
            ? { bufSize: server.recovery_buf_size, bufCount: 1, bufSizeFrom: "server" }
            : { bufSize: 512, bufSizeFrom: "assumed" },
        );
        expect((await recovery.send(imageList, {})).images).toHaveLength(1);
        expect(await refusal(recovery.send(osEcho, { d: "x" }))).toMatchObject({ rc: 8 });
        await recovery.send(osReset, {});
        await recovery.close();

        const again = await connectTo(running, "application");
        expect(await again.send(osEcho, { d: "back" })).toEqual({ r: "back" });
        await again.close();
      }),
    );
  }
});

/** After a reset the old program still answers for a quarter of a second. */
async function connectTo(running: RunningServer, mode: string): Promise<Client> {
  for (let tries = 0; ; tries++) {
    const client = await connect(await running.open(), JUST_STARTED);
    if (client.server.mode === mode) return client;
    await client.close();
    if (tries === 50) throw new Error(`it never came to ${mode}`);
  }
}

/**
 * Bytes that reach the emulated nRF51's UART while its driver sets it up wedge it until the next reset: the boot has to be
 * waited for, again and again.
 */
describe("a board that is asked straight after it was switched on", () => {
  for (const server of servers.filter(({ target }) => target === "qemu_cortex_m0"))
    test(serverName(server), async () => {
      for (let start = 0; start < 20; start++)
        await withServer(server, async (running) => {
          const client = await connect(await running.open(), JUST_STARTED);
          expect(client.server).toMatchObject({ mode: "application", bufSize: server.buf_size });
          await client.close();
        });
    });
});
