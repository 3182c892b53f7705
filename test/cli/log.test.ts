import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { EventInput } from "../../src/trust/events.js";
import { AuditLog } from "../../src/trust-store/audit-log.js";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, json, start, tempFolder } from "../support/cli-run.js";

beforeAll(ensureBuilt);

const hash = "c0ffee".padEnd(64, "0");

const EVENTS: EventInput[] = [
  {
    type: "upload.done",
    job: "a",
    tool: "t 1",
    board: { id: "B1" },
    image: { hash, version: "1.4.0", counter: 7 },
  },
  {
    type: "confirm",
    job: "a",
    tool: "t 1",
    board: { id: "B1" },
    image: { hash, version: "1.4.0" },
    result: "ok",
  },
  {
    type: "refusal",
    job: "b",
    tool: "t 1",
    board: { id: "B2" },
    rule: "signature",
    result: "refused",
    detail: { why: '=HYPERLINK("x"), a "quoted"\nline' },
  },
];

async function filled() {
  const folder = tempFolder();
  const log = new AuditLog({ folder });
  await log.append(EVENTS);
  const env = { BOOTPROOF_LOG_FOLDER: folder };
  return { folder, log, run: (words: string) => bootproof(["log", ...words.split(" ")], { env }), env };
}

describe("bootproof log", () => {
  it("shows events by board, image and job", async () => {
    const { env, run } = await filled();
    const all = await json(["log", "show"], { env });
    expect(all.value).toMatchObject([
      { seq: 0, type: "upload.done" },
      { seq: 1 },
      { seq: 2, rule: "signature" },
    ]);
    expect((await json(["log", "show", "--board", "B1"], { env })).value).toHaveLength(2);
    expect((await json(["log", "show", "--image", "C0FFEE"], { env })).value).toHaveLength(2);
    expect((await json(["log", "show", "--job", "b"], { env })).value).toHaveLength(1);
    const { stdout } = await run("tail -n 1");
    expect(stdout).toMatch(/refusal +refused \(signature\) +B2 +- +why==HYPERLINK.*\\x0aline/);
    expect(stdout).not.toMatch(/confirm/);
  });

  it("follows a log into the next", async () => {
    const { log, env } = await filled();
    const tail = start(["log", "tail", "--follow", "--json"], { env });
    await tail.waitFor(/refusal/);
    await log.append([{ type: "reset", job: "c", tool: "t 1" }]);
    await tail.waitFor(/"reset"/);
    await log.close("c", "t 1");
    await log.append([{ type: "erase", job: "c", tool: "t 1" }]);
    await tail.waitFor(/"erase"/);
    tail.child.kill("SIGINT");
    expect(
      (await tail.ended).stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).type),
    ).toEqual(["upload.done", "confirm", "refusal", "reset", "log.close", "log.open", "erase"]);
  });

  it("verifies, is witnessed by an exported checkpoint, and finds a log that was put back", async () => {
    const { folder, log, run } = await filled();
    expect(await run("verify")).toMatchObject({ status: 0, stdout: /3 entries: consistent, not witnessed/ });
    const before = tempFolder();
    cpSync(folder, before, { recursive: true });
    await log.append(EVENTS);
    const witness = join(tempFolder(), "witness");
    expect((await run(`export --format checkpoint -o ${witness}`)).status).toBe(0);
    expect(await run(`verify --against ${witness}`)).toMatchObject({
      status: 0,
      stdout: /consistent with what was kept/,
    });
    const restored = await run(`verify --folder ${before} --against ${witness}`);
    expect(restored).toMatchObject({ status: 44, stdout: /truncated.*had 6 entries.*entry 3 is the first/ });
  });

  it("writes a proof that checks with the verifier key alone, and refuses a changed one", async () => {
    const { run, env } = await filled();
    const proof = join(tempFolder(), "entry.tlog-proof");
    expect((await run(`prove 1 -o ${proof}`)).status).toBe(0);
    const key = (await run("key")).stdout.trim();
    const elsewhere = { env: { BOOTPROOF_LOG_FOLDER: tempFolder() } };
    const checked = await bootproof(["log", "check", proof, "--key", key], elsewhere);
    expect(checked).toMatchObject({ status: 0, stdout: /Entry 1 of .*"type":"confirm"/s });
    expect((await bootproof(["log", "verify", "--against", proof], { env })).stdout).toMatch(/1 compared/);
    writeFileSync(proof, readFileSync(proof, "utf8").replace("index 1", "index 2"));
    const changed = await bootproof(["log", "check", proof, "--key", key], elsewhere);
    expect(changed).toMatchObject({ status: 44, stderr: /Entry 2 is not the one/ });
  });

  it("exports CSV that no spreadsheet takes for a formula, and JSON lines", async () => {
    const { run } = await filled();
    const file = join(tempFolder(), "events");
    await run(`export --format csv --board B2 -o ${file}`);
    const csv = readFileSync(file, "utf8").split("\r\n");
    expect(csv[0]).toMatch(/^index,time,type,result,rule,job/);
    expect(csv[1]).toMatch(/^2,.*Z,refusal,refused,signature,b,,,B2,,,,,,,t 1,"\{""why"":""=HYPERLINK/);
    await run(`export --job a -o ${file}`);
    expect(
      readFileSync(file, "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).seq),
    ).toEqual([0, 1]);
  });

  it("says once what is wrong and what to do", async () => {
    const { folder, run } = await filled();
    const other = new AuditLog({ folder: tempFolder() });
    await other.append(EVENTS);
    expect(await run("show --type nonsense")).toMatchObject({ status: 2, stderr: /Kinds: / });
    expect(await run("prove 3 -o /dev/null")).toMatchObject({ status: 44, stderr: /no entry 3/ });
    expect(await run("show --number 9")).toMatchObject({ status: 20, stderr: /no log 9.*\n.*There are: 1/ });
    expect(await run("verify --key nonsense")).toMatchObject({ status: 24, stderr: /not a verifier key/ });
    const empty = await run(`show --folder ${tempFolder()}`);
    expect(empty).toMatchObject({ status: 20, stderr: /no audit log.*\n {2}try: / });
    const aFile = await run(`verify --folder ${join(folder, "key.pem")}`);
    expect(aFile).toMatchObject({ status: 20, stderr: /key\.pem is a file; .*\n {2}try: Name the folder / });
    cpSync(join(other.folder, "key.pem"), join(folder, "key.pem"));
    expect(await run("verify")).toMatchObject({ status: 44, stderr: /is signed by .*; expected / });
  });
});
