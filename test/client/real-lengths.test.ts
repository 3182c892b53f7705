import { describe, expect, test } from "vitest";
import { connect } from "../../src/client/connect.js";
import { osEcho, osReset } from "../../src/smp/groups/os.js";
import { run } from "../../src/workflow/run.js";
import { Session } from "../../src/workflow/session.js";
import { upload } from "../../src/workflow/upload.js";
import { JUST_STARTED, realServers, serverName, startServer } from "../support/real-servers.js";

const servers = realServers();

/** What a message spends around the echoed text: header, map, key, and the head of a text of this length. */
const around = (length: number) => 8 + 1 + 2 + (length < 24 ? 1 : length < 256 ? 2 : 3);

describe("a text of every length up to the server's limit comes back", () => {
  for (const server of servers) {
    test(serverName(server), { timeout: 1_200_000 }, async () => {
      const running = await startServer(server);
      try {
        const client = await connect(await running.open(), JUST_STARTED);
        const limit = client.largestMessage - (client.framing.name === "console" ? 0 : 1);
        let tried = 0;
        // Servers that lose bursts of lines take a pause after each: the longest of them some ten minutes for all lengths.
        for (let length = 0; length + around(length) <= limit; length++, tried++) {
          const d = "x".repeat(length);
          expect(await client.send(osEcho, { d }, { retries: 8 })).toEqual({ r: d });
        }
        const { repeated, faults } = client.counts;
        console.log(
          `${serverName(server)}: ${tried} lengths, ${client.framing.name}, ${repeated} repeated, ${faults} faults`,
        );
        await client.close();
      } finally {
        await running.stop();
      }
    });
  }
});

const MAGIC = 0x96f3b83d;

function image(size: number): Uint8Array {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at++) bytes[at] = (at * 31 + (at >> 8)) & 0xff;
  bytes.fill(0, 0, 32);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt16LE(32, 8);
  bytes.writeUInt32LE(size - 32, 12);
  bytes[20] = 7;
  return bytes;
}

describe("an upload ends with the server's own hash agreeing", () => {
  for (const server of servers.filter(({ groups }) => groups.includes("img"))) {
    for (const recovery of server.config.startsWith("serial_recovery") ? [false, true] : [false]) {
      test(`${serverName(server)}${recovery ? ", in serial recovery" : ""}`, {
        timeout: 300_000,
      }, async () => {
        const running = await startServer(server);
        try {
          const session = await Session.open(async (signal) =>
            connect(await running.open(), { ...JUST_STARTED, signal }),
          );
          if (recovery) await intoRecovery(session);
          const file = image(40_000);
          const { elapsedMs } = await run(upload(session, file));
          const { counts, memory, framing } = session.client;
          console.log(
            `${serverName(server)}${recovery ? " recovery" : ""}: ${framing.name}, ${Math.round((file.length * 1000) / elapsedMs)} B/s, ` +
              `window ${memory.window ?? 1}, length ${memory.maxMessage ?? session.client.largestMessage}, ${counts.repeated} repeated`,
          );
          await session.close();
        } finally {
          await running.stop();
        }
      });
    }
  }
});

async function intoRecovery(session: Session): Promise<void> {
  await session.client.send(osReset, { boot_mode: 1 });
  for (let tries = 0; session.client.server.mode !== "recovery"; tries++) {
    if (tries === 50) throw new Error("it never came to recovery");
    await session.reopen();
  }
}
