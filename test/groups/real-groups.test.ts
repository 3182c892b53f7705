import { appendFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Client, RequestTimeout } from "../../src/client/client.js";
import { connect } from "../../src/client/connect.js";
import { getFile, putFile } from "../../src/file-transfer/files.js";
import { listGroups } from "../../src/session/groups.js";
import { run } from "../../src/session/run.js";
import { Session } from "../../src/session/session.js";
import { encodeCbor } from "../../src/smp/cbor.js";
import { commandByNumber } from "../../src/smp/command.js";
import { fsHashTypes } from "../../src/smp/groups/fs.js";
import {
  osDatetimeRead,
  osDatetimeWrite,
  osEcho,
  osInfo,
  osParams,
  osTaskStats,
} from "../../src/smp/groups/os.js";
import { settingsCommit, settingsLoad, settingsRead, settingsSave } from "../../src/smp/groups/settings.js";
import { shellExec } from "../../src/smp/groups/shell.js";
import { statList, statRead } from "../../src/smp/groups/stat.js";
import { storageErase } from "../../src/smp/groups/zephyr.js";
import { DeviceError, decodePayload } from "../../src/smp/message.js";
import {
  JUST_STARTED,
  type RealServer,
  realServers,
  serverName,
  startServer,
} from "../support/real-servers.js";

/** Group names of the manifest -> numbers. */
const NUMBERS: Readonly<Record<string, number>> = {
  os: 0,
  img: 1,
  stat: 2,
  settings: 3,
  fs: 8,
  shell: 9,
  enum: 10,
  zbasic: 63,
};

const servers = realServers();

/** Builds whose file system does not work, whoever asks: seen with plain single requests too. */
const BROKEN_FILES: Readonly<Record<string, string>> = {
  "mps2_an385.serial_recovery_buf1024": "every upload and download is refused with UNKNOWN",
  "mps2_an385.serial_recovery_buf2048": "the server stops for good when a file of 300 bytes is read",
};

/** What each server did, for a report: a line of JSON to the file named by BOOTPROOF_GROUPS_REPORT. */
function report(server: RealServer, did: Record<string, string>): void {
  const file = process.env.BOOTPROOF_GROUPS_REPORT;
  if (file) appendFileSync(file, `${JSON.stringify({ server: serverName(server), ...did })}\n`);
}

/** `ok`, or the name of the refusal: some builds leave single commands out. */
async function outcome(ask: Promise<unknown>): Promise<string> {
  return ask.then(
    () => "ok",
    (error: unknown) => {
      if (error instanceof DeviceError) return error.rcName;
      throw error;
    },
  );
}

const content = (length: number) =>
  Uint8Array.from({ length }, (_, index) => (index * 73 + (index >> 6)) & 0xff);

/** Every group that a server says it has is asked what it can do without harm; the answers have the declared shapes. */
// Servers that lose bursts of lines are waited for each time.
// native_sim has no pacing: on a busy machine it loses so many bytes that a transfer is given up, rightly.
describe("every group of every server", { retry: 2 }, () => {
  for (const server of servers) {
    test(serverName(server), async () => {
      const running = await startServer(server);
      const session = await Session.open(async (signal) =>
        connect(await running.open(), { ...JUST_STARTED, signal }),
      );
      const did: Record<string, string> = {};
      try {
        const { client } = session;
        const found = await listGroups(session);
        expect(found.from).toBe("device");
        const numbers = found.groups.map(({ group }) => group);
        // The manifest tells what was asked for; one build has less (native_sim.serial_raw no group 63).
        expect(server.groups.map((name) => NUMBERS[name])).toEqual(expect.arrayContaining(numbers));
        expect(numbers).toEqual(expect.arrayContaining([0, 2, 10]));
        did.groups = numbers.join(" ");
        did.os = await osGroup(client, server);
        did.raw = await rawEcho(client);
        if (numbers.includes(2)) did.stat = await statGroup(client);
        if (numbers.includes(3)) did.settings = await settingsGroup(client);
        if (numbers.includes(9)) did.shell = await shellGroup(client);
        if (numbers.includes(8)) did.fs = BROKEN_FILES[serverName(server)] ?? (await fsGroup(session));
        if (numbers.includes(63))
          did.zbasic = `erase ${await outcome(client.send(storageErase, {}, { timeoutMs: 60_000 }))}`;
        expect(client.counts.faults).toBe(0);
      } finally {
        await session.close();
        await running.stop();
      }
      report(server, did);
    });
  }
});

async function osGroup(client: Client, server: RealServer): Promise<string> {
  expect(await client.send(osEcho, { d: "hi" })).toEqual({ r: "hi" });
  const params = await outcome(client.send(osParams, {}));
  expect(params).toBe(server.config.includes("noparams") ? "ENOTSUP" : "ok");
  const info = await outcome(client.send(osInfo, { format: "s" }));
  const tasks = await outcome(client.send(osTaskStats, {}));
  expect(["ok", "EMSGSIZE", "ENOTSUP"]).toContain(tasks);
  const before = await outcome(client.send(osDatetimeRead, {}));
  const set = await outcome(client.send(osDatetimeWrite, { datetime: "2031-02-03T04:05:06" }));
  const after = await client.send(osDatetimeRead, {}).then(
    ({ datetime }) => datetime,
    (error: unknown) => (error as DeviceError).rcName,
  );
  if (set === "ok") expect(after).toMatch(/^2031-02-03T04:05:\d\d/);
  return `params ${params}, info ${info}, tasks ${tasks}, time ${before}/${set}/${set === "ok" ? "ok" : after}`;
}

async function rawEcho(client: Client): Promise<string> {
  const raw = commandByNumber({ group: 0, id: 0, op: "write" });
  const answer = await client.send(raw, encodeCbor({ d: "raw" }));
  expect(decodePayload(answer)).toEqual({ r: "raw" });
  const missing = commandByNumber({ group: 99, id: 1, op: "read" });
  expect(await outcome(client.send(missing, encodeCbor({})))).toBe("ENOTSUP");
  return "ok";
}

async function statGroup(client: Client): Promise<string> {
  const { stat_list } = await client.send(statList, {});
  const refused: string[] = [];
  for (const name of stat_list) {
    // The flash simulator's counters are more than a Zephyr server's CBOR encoder is built for, whatever the buffer.
    const read = await outcome(client.send(statRead, { name }));
    if (read !== "ok") refused.push(`${name} ${read}`);
  }
  expect(refused.every((refusal) => /^flash_sim_\w+ EMSGSIZE$/.test(refusal))).toBe(true);
  const none = await outcome(client.send(statRead, { name: "no-such-group" }));
  expect(["INVALID_GROUP", "INVALID_STAT_NAME"]).toContain(none);
  return [`${stat_list.length} groups`, ...refused, `unknown ${none}`].join(", ");
}

async function settingsGroup(client: Client): Promise<string> {
  const none = await outcome(client.send(settingsRead, { name: "no/such" }));
  expect(["KEY_NOT_FOUND", "ROOT_KEY_NOT_FOUND"]).toContain(none);
  const long = await outcome(client.send(settingsRead, { name: "x".repeat(60) }));
  const [commit, save, load] = [
    await outcome(client.send(settingsCommit, {})),
    await outcome(client.send(settingsSave, {}, { timeoutMs: 20_000 })),
    await outcome(client.send(settingsLoad, {}, { timeoutMs: 20_000 })),
  ];
  return `unknown ${none}, long name ${long}, commit ${commit}, save ${save}, load ${load}`;
}

async function shellGroup(client: Client): Promise<string> {
  const uptime = await client.send(shellExec, { argv: ["kernel uptime"] });
  expect(uptime.o).toMatch(/uptime/i);
  expect(uptime.ret).toBe(0);
  const unknown = await client.send(shellExec, { argv: ["no-such-command"] });
  expect(unknown.ret).not.toBe(0);
  expect(await outcome(client.send(shellExec, { argv: [] }))).toBe("EMPTY_COMMAND");
  const help = await client.send(shellExec, { argv: ["help"] }).then(
    ({ o }) => `${o.length} characters of help`,
    (error: unknown) =>
      error instanceof RequestTimeout ? "help silent" : `help ${(error as DeviceError).rcName}`,
  );
  return `uptime ok, unknown ${unknown.ret}, ${help}`;
}

async function fsGroup(session: Session): Promise<string> {
  const { client } = session;
  const types = await client.send(fsHashTypes, {}).then(
    (answer) => Object.keys(answer.types).join("+"),
    (error: unknown) => (error as DeviceError).rcName,
  );
  const name = "/lfs1/groups.bin";
  const proofs = new Set<string>();
  for (const size of [0, 1, 300, 2000]) {
    const file = content(size);
    const sent = await run(putFile(session, name, file, { resume: false }));
    proofs.add(String(sent.proof));
    expect((await run(getFile(session, name))).data).toEqual(file);
  }
  // A part that an earlier program left, closed: what Zephyr appends to.
  const file = content(2000);
  await run(putFile(session, name, file.subarray(0, 1500), { resume: false }));
  const resumed = await run(putFile(session, name, file));
  expect(resumed.resumedAt).toBe(1500);
  expect((await run(getFile(session, name))).data).toEqual(file);
  const fetched = await run(getFile(session, name, { have: file.slice(0, 1000) }));
  expect(fetched.data).toEqual(file);
  expect(fetched.resumedAt).toBe(1000);
  const again = await run(putFile(session, name, file));
  expect(again.movedBytes).toBe(0);
  // Two files of more than half the room each: some file systems hold both until the second is whole.
  const made = new Set<string>();
  for (const seed of [1, 2, 3]) {
    const next = content(4500).map((byte) => byte ^ seed);
    const work = putFile(session, name, next, { replace: true });
    expect((await run(work, (event) => made.add(event.step))).proof).toBe("sha256");
    expect((await run(getFile(session, name))).data).toEqual(next);
  }
  const replaced = made.has("made-room") ? "the old one given up first" : "beside the old one";
  return `types ${types}, put/get ok by ${[...proofs].join("+")}, put resumed at ${resumed.resumedAt}, get at ${fetched.resumedAt}, again moved ${again.movedBytes}, 4500 bytes over 4500 ${replaced}`;
}
