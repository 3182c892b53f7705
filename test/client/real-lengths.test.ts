import { describe, expect, test } from "vitest";
import { Random } from "../../hil/random.js";
import { connect } from "../../src/client/connect.js";
import { run } from "../../src/session/run.js";
import { Session } from "../../src/session/session.js";
import { osEcho, osReset } from "../../src/smp/groups/os.js";
import { upload } from "../../src/update/upload.js";
import { JUST_STARTED, realServers, serverName, startServer } from "../support/real-servers.js";

const servers = realServers();

/** All lengths take an hour over all servers: BOOTPROOF_EVERY_LENGTH=1. Else some, other ones in each run. */
const everyLength = process.env.BOOTPROOF_EVERY_LENGTH !== undefined;
const seed = Number(process.env.BOOTPROOF_SEED ?? Date.now() % 1_000_000);
const SAMPLED = 24;

/** The shortest, the longest, where the head of a text grows, and some between. */
function lengthsUpTo(longest: number, dice: Random): number[] {
  if (everyLength) return Array.from({ length: longest + 1 }, (_, length) => length);
  const edges = [0, 1, 23, 24, 255, 256, longest - 2, longest - 1, longest];
  const some = Array.from({ length: SAMPLED }, () => dice.whole(0, longest));
  return [...new Set([...edges, ...some])].filter((length) => length >= 0 && length <= longest);
}

/** What a message spends around the echoed text: header, map, key, and the head of a text of this length. */
const around = (length: number) => 8 + 1 + 2 + (length < 24 ? 1 : length < 256 ? 2 : 3);

describe("a text of every length up to the server's limit comes back", () => {
  for (const server of servers) {
    test(serverName(server), { timeout: 1_200_000 }, async () => {
      const running = await startServer(server);
      try {
        const client = await connect(await running.open(), JUST_STARTED);
        const limit = client.largestMessage - (client.framing.name === "console" ? 0 : 1);
        let longest = limit - around(limit);
        while (longest + 1 + around(longest + 1) <= limit) longest++;
        const lengths = lengthsUpTo(longest, new Random(seed));
        // Servers that lose bursts of lines take a pause after each: the longest of them some ten minutes for all lengths.
        for (const length of lengths) {
          const d = "x".repeat(length);
          expect(await client.send(osEcho, { d }, { retries: 8 })).toEqual({ r: d });
        }
        const { repeated, faults } = client.counts;
        console.log(
          `${serverName(server)}: ${lengths.length} lengths (BOOTPROOF_SEED=${seed}), ${client.framing.name}, ${repeated} repeated, ${faults} faults`,
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
      test(`${serverName(server)}${recovery ? ", in serial recovery" : ""}`, async () => {
        const running = await startServer(server);
        try {
          const session = await Session.open(async (signal) =>
            connect(await running.open(), { ...JUST_STARTED, signal }),
          );
          if (recovery) await intoRecovery(session);
          const file = image(40_000);
          const { elapsedMs } = await run(upload(session, file));
          const { counts, pacing, framing } = session.client;
          const { memory } = pacing;
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
