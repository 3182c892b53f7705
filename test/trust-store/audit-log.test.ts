import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { useOpenssl } from "../../src/crypto-node/openssl.js";
import type { EventInput, LogEvent } from "../../src/trust/events.js";
import { parseVerifierKey } from "../../src/trust/signed-note.js";
import { formatProof, parseProof, verifyProof } from "../../src/trust/tlog-proof.js";
import { AuditLog, type AuditLogOptions } from "../../src/trust-store/audit-log.js";
import { realDisk } from "../../src/trust-store/disk.js";
import { noteVerifier } from "../../src/trust-store/log-key.js";
import { ensureBuilt } from "../support/cli-build.js";
import { type Cut, cutDisk, Killed, type NamesAfterCut, PowerDisk } from "../support/cut-disk.js";
import { buildLogJudge, type LogJudge } from "../support/log-judge.js";

// As the program does, which would else spend most of its time on hashes in JavaScript.
useOpenssl();

const events = (count: number, name = "e"): EventInput[] =>
  Array.from({ length: count }, (_, at) => ({
    type: "command",
    job: `job-${at % 7}`,
    tool: "test 1",
    board: { id: "board-1" },
    detail: { name: `${name}${at}` },
  }));

function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "bootproof-log-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A process that is gone when the next one looks. */
const gone = { host: "h", pid: 1, start: "", isAlive: () => false };

const noSpace = (syscall: string) =>
  Object.assign(new Error(`ENOSPC: no space left on device, ${syscall}`), { code: "ENOSPC", syscall });

const sizeOf = async (log: AuditLog, number = log.newest()) => (await log.checkpoint(number)).checkpoint.size;
const names = (log: AuditLog, number: number, size: number) =>
  [...log.events(number, size)].map((event) => event.detail?.name ?? event.type);

describe("the audit log", () => {
  it("keeps events in order over tile borders, in one append or many", async () => {
    const log = new AuditLog({ folder: tempFolder() });
    await log.append(events(3, "a"));
    await log.append(events(254, "b"));
    for (let at = 0; at < 4; at++) await log.append(events(1, `c${at}-`));
    expect(await log.append(events(600, "d"))).toContainEqual({ log: 1, index: 860 });
    const size = await sizeOf(log);
    expect(size).toBe(861);
    expect(names(log, 1, size).slice(255, 262)).toEqual([
      "b252",
      "b253",
      "c0-0",
      "c1-0",
      "c2-0",
      "c3-0",
      "d0",
    ]);
    expect(await log.verify(1)).toMatchObject({ problems: [], witnessedBy: 0, clockSetBack: [] });
    const [first, second] = [...log.events(1, 2)];
    expect(first).toMatchObject({ v: 1, seq: 0, type: "command", board: { id: "board-1" } });
    expect(first?.prev).toBeUndefined();
    expect(second?.prev).toMatch(/^[0-9a-f]{64}$/);
  });

  it("closes a full log and begins the next with its checkpoint; old ones are removed whole", async () => {
    const log = new AuditLog({ folder: tempFolder(), entriesPerLog: 10, closedLogsKept: 2 });
    for (let at = 0; at < 12; at++) await log.append(events(3, `${at}-`));
    expect(log.numbers().length).toBe(3);
    for (const number of log.numbers()) expect((await log.verify(number)).problems).toEqual([]);
    const [before, after] = log.numbers().slice(-2) as [number, number];
    const { note, checkpoint } = await log.checkpoint(before);
    const [opening] = log.events(after, 1);
    expect(opening).toMatchObject({ type: "log.open", detail: { checkpoint: note } });
    expect(names(log, before, checkpoint.size).at(-1)).toBe("log.close");
    const closed = await log.close("job", "test 1");
    expect(closed).toBe(after);
    expect(await log.append(events(1))).toEqual([{ log: after + 1, index: 1 }]);
  });

  it("tells when a log does not follow the one before", async () => {
    const folder = tempFolder();
    const log = new AuditLog({ folder, entriesPerLog: 5 });
    await log.append(events(2));
    await log.append(events(4));
    const elsewhere = tempFolder();
    cpSync(join(folder, "key.pem"), join(elsewhere, "key.pem"));
    const other = new AuditLog({ folder: elsewhere, entriesPerLog: 5 });
    await other.append(events(2, "other"));
    await other.close("job", "test");
    rmSync(log.pathOf(1), { recursive: true });
    cpSync(other.pathOf(1), log.pathOf(1), { recursive: true });
    expect((await log.verify(2)).problems).toMatchObject([{ kind: "rewritten", index: 0 }]);
  });

  it("notes that the clock was set back, and loses nothing by it", async () => {
    const times = ["2031-01-01T00:00:00Z", "2031-01-01T00:00:09Z", "2030-05-05T00:00:00Z"];
    const clock = () => ({ time: new Date(times.shift()!).toISOString(), monotonicMs: 1 });
    const log = new AuditLog({ folder: tempFolder(), clock });
    await log.append(events(3));
    expect(await log.verify(1)).toMatchObject({ problems: [], clockSetBack: [2] });
  });

  it("refuses to go on with a log that another key signed, or whose tiles were changed", async () => {
    const folder = tempFolder();
    const log = new AuditLog({ folder });
    await log.append(events(5));
    const key = readFileSync(join(folder, "key.pem"));
    const other = new AuditLog({ folder: tempFolder() });
    await other.append(events(1));
    cpSync(join(other.folder, "key.pem"), join(folder, "key.pem"));
    await expect(log.append(events(1))).rejects.toMatchObject({ code: "log-bad-signature" });
    writeFileSync(join(folder, "key.pem"), key);
    const tile = join(log.pathOf(1), "tile/0/000.p/5");
    const hashes = readFileSync(tile);
    hashes[40]! ^= 1;
    writeFileSync(tile, hashes);
    await expect(log.append(events(1))).rejects.toMatchObject({ code: "log-damaged" });
    rmSync(join(folder, "key.pem"));
    await expect(log.append(events(1))).rejects.toThrow(/signing key.*is gone/);
  });

  it.each(["while it writes", "once it waits for the disk"])(
    "says that the disk is full %s, keeps what it has, and goes on when there is room",
    async (when) => {
      const folder = tempFolder();
      const log = new AuditLog({ folder });
      await log.append(events(5));
      const full = new AuditLog({
        folder,
        disk: {
          ...realDisk,
          write(path, content, options) {
            if (when !== "while it writes" || path.includes("/lock/"))
              return realDisk.write(path, content, options);
            realDisk.write(path, content.subarray(0, 3), { sync: false });
            throw noSpace("write");
          },
          async syncAll() {
            throw noSpace("fsync");
          },
        },
      });
      await expect(full.append(events(1))).rejects.toMatchObject({
        code: "log-unwritable",
        hint: /Make room/,
      });
      expect(await sizeOf(log)).toBe(5);
      await log.append(events(1));
      expect(await log.verify(1)).toMatchObject({ problems: [], checkpoint: { size: 6 } });
    },
  );

  it("waits for a living holder, and takes over from one that is gone", async () => {
    const folder = tempFolder();
    const log = new AuditLog({ folder, waitMs: 40 });
    await log.append(events(1));
    const living = { ...gone, isAlive: () => true };
    const held = cutDisk(realDisk, 4, "before");
    await expect(new AuditLog({ folder, owner: living, disk: held }).append(events(1))).rejects.toThrow(
      Killed,
    );
    const waits = new AuditLog({ folder, owner: living, waitMs: 40 });
    await expect(waits.append(events(1))).rejects.toMatchObject({ code: "log-busy" });
    await new AuditLog({ folder, owner: gone, waitMs: 40 }).append(events(1));
    expect(await sizeOf(log)).toBe(2);
  });
});

describe("an append that is cut", () => {
  /** Sizes before the append under test, and its length: inside a tile, over its end, over two, and into the next log. */
  const cases = [
    { before: 5, more: 1 },
    { before: 255, more: 1 },
    { before: 250, more: 10 },
    { before: 18, more: 3, entriesPerLog: 20 },
    { before: 0, more: 2 },
  ];

  it.each(cases)(
    "by kill -9 at any change of the disk, begun or half done: $before and $more entries",
    async ({ before, more, ...limits }) => {
      const { base, options } = await begun(before, limits);
      let cuts = 0;
      for (const cut of ["before", "half"] as Cut[])
        for (let at = 0; ; at++) {
          const disk = base.afterPowerCut("all");
          const killed = cutDisk(disk, at, cut);
          const logged = await new AuditLog({ ...options, disk: killed })
            .append(events(more, "cut"))
            .catch(isKilled);
          await goesOn({ ...options, disk }, { before, more, wasLogged: logged !== undefined });
          if (logged !== undefined) break;
          cuts++;
        }
      expect(cuts).toBeGreaterThan(15);
    },
  );

  it.each(cases.filter(({ more }) => more < 10))(
    "by the power, with and without the names that were not synced: $before and $more entries",
    async ({ before, more, ...limits }) => {
      const { base, options } = await begun(before, limits);
      for (const names of ["synced", "all"] as NamesAfterCut[])
        for (let at = 0; ; at++) {
          const disk = base.afterPowerCut("all");
          const killed = cutDisk(disk, at, "half");
          const logged = await new AuditLog({ ...options, disk: killed })
            .append(events(more, "cut"))
            .catch(isKilled);
          const after = disk.afterPowerCut(names);
          await goesOn({ ...options, disk: after }, { before, more, wasLogged: logged !== undefined });
          if (logged !== undefined) break;
        }
    },
  );

  /** A disk with a log of that many entries. */
  async function begun(before: number, limits: { entriesPerLog?: number }) {
    const base = new PowerDisk();
    const options = { folder: "/log", owner: gone, ...limits };
    if (before > 0) await new AuditLog({ ...options, disk: base }).append(events(before, "before"));
    return { base, options };
  }

  const isKilled = (error: unknown): undefined => {
    if (!(error instanceof Killed)) throw error;
  };

  /** Everything that was acknowledged is there, all or nothing of the rest, and the log goes on. */
  async function goesOn(
    options: AuditLogOptions,
    { before, more, wasLogged }: { before: number; more: number; wasLogged: boolean },
  ): Promise<void> {
    const log = new AuditLog(options);
    await log.append(events(1, "next"));
    const all: unknown[] = [];
    for (const number of log.numbers()) {
      const { problems, checkpoint } = await log.verify(number);
      expect(problems).toEqual([]);
      all.push(...names(log, number, checkpoint.size).filter((name) => !`${name}`.startsWith("log.")));
    }
    const cut = all.filter((name) => `${name}`.startsWith("cut")).length;
    expect(all).toEqual([
      ...events(before, "before").map(({ detail }) => detail?.name),
      ...events(cut, "cut").map(({ detail }) => detail?.name),
      "next0",
    ]);
    expect(wasLogged ? [more] : [0, more]).toContain(cut);
  }
});

describe("verification", () => {
  /** A log of 600 entries, a checkpoint exported at 300 with its leaf hashes, and a proof of entry 210. */
  async function exported() {
    const log = new AuditLog({ folder: tempFolder() });
    await log.append(events(300));
    const earlier = {
      name: "old.checkpoint",
      checkpoint: (await log.checkpoint(1)).note,
      leaves: await log.leaves(1),
    };
    const proof = await log.prove({ log: 1, index: 210 });
    await log.append(events(300, "later"));
    return { log, earlier, proof };
  }

  const bundle = (log: AuditLog, tile: string) => join(log.pathOf(1), "tile/entries", tile);

  it("finds a log that went on consistent with what was exported", async () => {
    const { log, earlier, proof } = await exported();
    const { name, checkpoint } = earlier;
    const asProof = { name: "report.tlog-proof", checkpoint: proof.checkpoint, proof };
    const verdict = await log.verify(1, [earlier, { name, checkpoint }, asProof]);
    expect(verdict).toMatchObject({ problems: [], witnessedBy: 3 });
  });

  it("names an edited entry", async () => {
    const { log } = await exported();
    const file = bundle(log, "001");
    writeFileSync(file, readFileSync(file, "latin1").replace('"later7"', '"LATER7"'), "latin1");
    expect((await log.verify(1)).problems[0]).toMatchObject({ kind: "edited", index: 307 });
  });

  it("names where entries were deleted, and where two changed places", async () => {
    const { log } = await exported();
    const file = bundle(log, "000");
    const whole = readFileSync(file);
    const at = (index: number) => {
      let offset = 0;
      for (let entry = 0; entry < index; entry++) offset += 2 + whole.readUInt16BE(offset);
      return offset;
    };
    writeFileSync(file, Buffer.concat([whole.subarray(0, at(100)), whole.subarray(at(110))]));
    const deleted = await log.verify(1);
    expect(deleted.problems[0]).toMatchObject({ index: 100 });
    expect(deleted.problems).toContainEqual(expect.objectContaining({ kind: "out-of-order", index: 100 }));
    const [a, b, c] = [at(50), at(51), at(52)];
    writeFileSync(
      file,
      Buffer.concat([whole.subarray(0, a), whole.subarray(b, c), whole.subarray(a, b), whole.subarray(c)]),
    );
    expect((await log.verify(1)).problems[0]).toMatchObject({ index: 50 });
    rmSync(file);
    expect((await log.verify(1)).problems[0]).toMatchObject({ kind: "missing", index: 0 });
  });

  it("names damaged tiles above the entries", async () => {
    const { log } = await exported();
    const file = join(log.pathOf(1), "tile/1/000.p/2");
    const hashes = readFileSync(file);
    hashes[33]! ^= 1;
    writeFileSync(file, hashes);
    expect((await log.verify(1)).problems[0]).toMatchObject({ kind: "tiles-damaged", index: 256 });
  });

  it("finds a log put back to an earlier state: the first entry that is gone", async () => {
    const log = new AuditLog({ folder: tempFolder() });
    await log.append(events(40));
    const copy = tempFolder();
    cpSync(log.folder, copy, { recursive: true });
    await log.append(events(30));
    const later = { name: "later.checkpoint", checkpoint: (await log.checkpoint(1)).note };
    const restored = new AuditLog({ folder: copy });
    expect(await restored.verify(1)).toMatchObject({ problems: [], witnessedBy: 0 });
    expect((await restored.verify(1, [later])).problems).toMatchObject([{ kind: "truncated", index: 40 }]);
  });

  /** Somebody who has folder and key: entries through `change`, tiles rebuilt, signed again under the same origin. */
  async function rewritten(log: AuditLog, change: (all: LogEvent[]) => LogEvent[]): Promise<AuditLog> {
    const all = change([...log.events(1, await sizeOf(log))]);
    const folder = tempFolder();
    cpSync(join(log.folder, "key.pem"), join(folder, "key.pem"));
    const times = all.map(({ time, monotonicMs, boot }) => ({ time, monotonicMs, ...(boot && { boot }) }));
    const forged = new AuditLog({ folder, clock: () => times.shift()! });
    await forged.append(all.map(({ v, seq, prev, time, monotonicMs, boot, ...input }) => input));
    return forged;
  }

  it("finds a thief of the key who drops ten entries and signs again, naming the entry", async () => {
    const { log, earlier, proof } = await exported();
    const forged = await rewritten(log, (all) => [...all.slice(0, 200), ...all.slice(210)]);
    expect(await forged.verify(1)).toMatchObject({ problems: [], witnessedBy: 0 });
    const found = await forged.verify(1, [earlier]);
    expect(found.problems).toMatchObject([{ kind: "rewritten", index: 200 }]);
    expect(found.witnessedBy).toBe(0);
    const byProof = await forged.verify(1, [{ name: "p", checkpoint: proof.checkpoint, proof }]);
    expect(byProof.problems).toMatchObject([{ kind: "rewritten", index: 210 }]);
    const { name, checkpoint } = earlier;
    const [bare] = (await forged.verify(1, [{ name, checkpoint }])).problems;
    expect(bare).toMatchObject({ kind: "rewritten", message: expect.stringContaining("before entry 300") });
  });

  it("refuses leaf hashes that are not the checkpoint's, and checkpoints of another log", async () => {
    const { log, earlier } = await exported();
    const leaves = earlier.leaves.slice();
    leaves[7]! ^= 1;
    await expect(log.verify(1, [{ ...earlier, leaves }])).rejects.toMatchObject({ code: "bad-checkpoint" });
    const other = new AuditLog({ folder: tempFolder() });
    await other.append(events(1));
    const foreign = { name: "foreign", checkpoint: (await other.checkpoint(1)).note };
    await expect(log.verify(1, [foreign])).rejects.toMatchObject({ code: "other-log" });
  });
});

describe("judged by golang.org/x/mod", () => {
  let judge: LogJudge | undefined;
  beforeAll(() => {
    judge = buildLogJudge();
  });
  afterAll(() => judge?.remove());

  const keyOf = (log: AuditLog, number: number) =>
    readFileSync(join(log.pathOf(number), "log.vkey"), "utf8").trim();

  it("checkpoints, every entry, an earlier tree, and proofs", async (context) => {
    if (!judge) return context.skip("the Go judge cannot be built here");
    const log = new AuditLog({ folder: tempFolder() });
    await log.append(events(700));
    const old = join(log.folder, "old");
    writeFileSync(old, (await log.checkpoint(1)).note);
    await log.append(events(71));
    expect(judge.log(log.pathOf(1), keyOf(log, 1), old)).toBe(771);
    const file = join(log.folder, "entry.tlog-proof");
    for (const index of [0, 255, 256, 699, 770]) {
      const proof = formatProof(await log.prove({ log: 1, index }));
      writeFileSync(file, proof);
      expect(judge.proof(file, keyOf(log, 1))).toBe(index);
      const parsed = parseProof(proof);
      const verifier = noteVerifier(parseVerifierKey(keyOf(log, 1)));
      expect((await verifyProof(parsed, [verifier])).checkpoint.size).toBe(771);
      const wrong = { ...parsed, index: index === 0 ? 1 : index - 1 };
      await expect(verifyProof(wrong, [verifier])).rejects.toMatchObject({ code: "bad-proof" });
      writeFileSync(file, formatProof(wrong));
      expect(judge.proof(file, keyOf(log, 1))).toMatch(/invalid|malformed|proof/i);
    }
  });

  it("a log that many processes wrote at once, some of them killed", async (context) => {
    await ensureBuilt();
    const folder = tempFolder();
    const writer = fileURLToPath(new URL("../support/log-writer.mjs", import.meta.url));
    const ends = Array.from({ length: 6 }, async (_, at) => {
      const child = spawn(process.execPath, [writer, folder, `w${at}`, "12"], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let said = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        said += text;
        // Two of them die in the middle of their work, wherever that is.
        if (at < 2 && said.split("\n").length > 5 + 3 * at) child.kill("SIGKILL");
      });
      await new Promise((done) => child.once("close", done));
      return said.split("\n").slice(0, -1);
    });
    const acknowledged = (await Promise.all(ends)).flat();
    const log = new AuditLog({ folder });
    const all: unknown[] = [];
    for (const number of log.numbers()) {
      const { problems, checkpoint } = await log.verify(number);
      expect(problems).toEqual([]);
      all.push(...names(log, number, checkpoint.size));
      if (judge) expect(judge.log(log.pathOf(number), keyOf(log, number))).toBe(checkpoint.size);
    }
    expect(log.numbers().length).toBeGreaterThan(1);
    expect(acknowledged.length).toBeGreaterThan(48);
    expect(all).toEqual(expect.arrayContaining(acknowledged));
    if (!judge) context.skip("the Go judge cannot be built here");
  });
});
