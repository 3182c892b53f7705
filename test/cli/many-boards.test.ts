import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { fittedLine } from "../../src/cli/many-boards/board-lines.js";
import { startBoard } from "../../src/emulator/start.js";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, json, start, tempFolder } from "../support/cli-run.js";
import { freePort } from "../support/free-port.js";
import { whyMissing } from "../support/on-path.js";
import { noSmpclientReason, readBySmpclient } from "../support/smpclient.js";
import { image as signed, trustedKey } from "../support/workflow-board.js";

const made = mkdtempSync(join(tmpdir(), "bootproof-many-"));
afterAll(() => rmSync(made, { recursive: true, force: true }));

const image = join(made, "update.bin");
const publicKey = join(made, "public.der");
beforeAll(async () => {
  await ensureBuilt();
  writeFileSync(image, await signed("good-b"));
  writeFileSync(publicKey, (await trustedKey()).publicDer);
});

interface Line {
  board?: string;
  kind: string;
  [field: string]: unknown;
}

const words = (...more: string[]) => ["flash", image, "--key", publicKey, "--soak", "0", ...more];

const ISO_TIME = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;

const linesOf = (stdout: string): Line[] =>
  stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);

const flashFile = (folder: string, name: string) => `wasm:good?flash=${join(folder, name)}`;

/** What a board with this flash file runs, asked anew. */
async function stands(address: string) {
  const { value } = await json(["image", "list", "-d", address]);
  const [image] = value.images as { slots: { content: { version: string; confirmed: boolean } }[] }[];
  const { version, confirmed } = image!.slots[0]!.content;
  return { version, confirmed };
}

describe("flash with several -d", () => {
  it("updates all that are there, and tells the one that is not by the exit status and the table", async () => {
    const folder = tempFolder();
    const [a, b] = ["a", "b"].map((name) => flashFile(folder, name));
    const silent = `tcp:127.0.0.1:${await freePort()}`;
    const run = await bootproof(words("-d", a!, "-d", silent, "-d", b!));
    expect(run.status, run.stderr).toBe(60);
    expect(run.stdout.replace(/ +/g, " ")).toContain(`${silent} refused - 14 `);
    expect(run.stdout.match(/ confirmed +2\.0\.0 +0 /g)).toHaveLength(2);
    expect(run.stdout).toMatch(/2 of 3 boards succeeded\.\n$/);
    expect(run.stderr).toMatch(/uploading +\[#+\.*\] +\d+ % +\d+\.\d kB\/s +\d+:\d\d left/);
    for (const board of [a!, b!]) expect(await stands(board)).toEqual({ version: "2.0.0", confirmed: true });
  });

  it("has a status of its own when no board was updated", async () => {
    const ports = await Promise.all([freePort(), freePort()]);
    const run = await bootproof(words(...ports.flatMap((port) => ["-d", `tcp:127.0.0.1:${port}`])));
    expect(run.status).toBe(61);
  });

  it("gives programs one JSON value a line, the last one about all", async () => {
    const run = await bootproof(words("-d", "wasm:good", "-d", "wasm:good", "--json"));
    const lines = linesOf(run.stdout);
    const summary = lines.at(-1)!;
    expect(run.status, run.stderr).toBe(0);
    expect(summary).toMatchObject({
      kind: "summary",
      outcome: "all",
      exitStatus: 0,
      boards: [
        { board: "wasm:good", outcome: "confirmed", exitStatus: 0, version: "2.0.0" },
        { board: "wasm:good#2", outcome: "confirmed", exitStatus: 0, version: "2.0.0" },
      ],
    });
    expect(
      lines
        .filter(({ kind }) => kind === "done")
        .map(({ board }) => board)
        .sort(),
    ).toEqual(["wasm:good", "wasm:good#2"]);
    expect(new Set(lines.map(({ kind }) => kind))).toEqual(new Set(["event", "done", "summary"]));
  });

  it("refuses two names for one board before either is touched", async () => {
    const folder = tempFolder();
    const board = flashFile(folder, "a");
    const run = await bootproof(words("-d", board, "-d", board));
    expect(run.status).toBe(2);
    expect(run.stderr).toMatch(/are one board: .*\n {2}try: Name each board once\./);
  });

  it.each([
    [["--together", "--each"], /--together and --each cannot be combined/],
    [["--count", "3", "-d", "wasm:good"], /--count counts boards of --each\./],
    [["--isolate", "a", "-d", "wasm:good", "-d", "wasm:good"], /--isolate names boards of --together\./],
  ])("%j is refused: one of them would be ignored", async (more, message) => {
    const run = await bootproof(words(...more));
    expect(run).toMatchObject({ status: 2, stderr: expect.stringMatching(message) });
  });

  it("is refused by a verb of one board, which took the last one in silence", async () => {
    const run = await bootproof(["info", "-d", "wasm:good", "-d", "wasm:weak"]);
    expect(run.status).toBe(2);
    expect(run.stderr).toContain('This command takes one board; -d names "wasm:good" and "wasm:weak".');
  });
});

describe("a board's line in a terminal", () => {
  const progress = { done: 1, total: 3, rate: 11_800 };

  it.each([
    ["/dev/ttyACM0", 80],
    ["066DFF383733594E43193530", 80],
    ["usb-SEGGER_J-Link_000683001122-if00-and-a-long-tail-that-differs-7", 80],
    ["/dev/ttyACM0", 60],
  ])("has the time left: %s in %i columns", (name, columns) => {
    const line = fittedLine(name, "uploading", progress, columns);
    expect(line).toMatch(/ {2}uploading {4}\[#+\.+\] +33 % {2}11\.8 kB\/s {2}0:01 left$/);
    expect(line.length).toBeLessThan(columns);
    const [shown] = line.split(" ");
    expect([shown!.slice(0, 2), shown!.at(-1)]).toEqual([name.slice(0, 2), name.at(-1)]);
  });
});

describe("recover with several boards", () => {
  it("recovers those of the board file with a tag, each told by its row; boards that are alive are left alone", async () => {
    const folder = tempFolder();
    const rack = join(folder, "rack.yaml");
    const row = (name: string) => `  - { name: ${name}, kind: wasm, flash: ${name}.flash, tags: [bench] }`;
    writeFileSync(rack, `boards:\n${["left", "right"].map(row).join("\n")}\n`);
    const recover = (...more: string[]) =>
      bootproof(["recover", image, "--key", publicKey, "--boards", rack, ...more, "--json"]);
    const alive = await recover("--tag", "bench", "--yes");
    expect(alive.status, alive.stderr).toBe(61);
    expect(linesOf(alive.stdout).at(-1)).toMatchObject({
      outcome: "none",
      boards: [
        { board: "left", outcome: "alive", exitStatus: 3 },
        { board: "right", outcome: "alive", exitStatus: 3 },
      ],
    });
    const told = await bootproof(["recover", image, "--key", publicKey, "--boards", rack, "--quiet"]);
    expect(told.stdout).toMatch(
      /\nleft, right:\n {2}try: .*--although-alive.*\n0 of 2 boards succeeded\.\n$/,
    );
    const done = await recover("--yes", "--although-alive");
    expect(done.status, done.stderr).toBe(0);
    const lines = linesOf(done.stdout);
    expect(lines.at(-1)).toMatchObject({ kind: "summary", outcome: "all" });
    const results = lines.filter(({ kind }) => kind === "done");
    expect(results).toHaveLength(2);
    for (const { board, result } of results)
      expect(result).toMatchObject({
        tool: { name: "bootproof" },
        startedAt: expect.stringMatching(ISO_TIME),
        finishedAt: expect.stringMatching(ISO_TIME),
        board: { address: expect.stringContaining(`${board}.flash`) },
      });
    for (const name of ["left", "right"])
      expect(await stands(flashFile(folder, `${name}.flash`))).toMatchObject({ version: "2.0.0" });
  });
});

describe("prove with several boards", () => {
  const telling = ["--case", "authenticity/unsigned", "--case", "integrity/flip-hash", "--seed", "1"];

  it("has a row, a line and a status for each board, and one report of all", async () => {
    const folder = tempFolder();
    const report = join(folder, "all.json");
    const boards = ["-d", "wasm:good", "-d", "wasm:no-signature", "-d", "wasm:good"];
    const run = await bootproof(["prove", ...telling, ...boards, "--json", "--report", report]);
    const lines = linesOf(run.stdout);
    expect(run.status, run.stderr).toBe(60);
    expect(lines.at(-1)).toMatchObject({
      kind: "summary",
      outcome: "some",
      boards: [
        { board: "wasm:good", outcome: "passed", exitStatus: 0, version: "3.1.4" },
        {
          board: "wasm:no-signature",
          outcome: "claim-broken",
          exitStatus: 26,
          message: expect.stringContaining("Does not hold: signature."),
        },
        { board: "wasm:good#2", outcome: "passed", exitStatus: 0 },
      ],
    });
    expect(lines.filter(({ kind }) => kind === "done")).toHaveLength(3);
    const { boards: told } = JSON.parse(readFileSync(report, "utf8")) as { boards: { board: string }[] };
    expect(told.map(({ board }) => board)).toEqual(["wasm:good", "wasm:no-signature", "wasm:good#2"]);
  });

  it("takes the boards of a board file with a tag, for people with a table", async () => {
    const folder = tempFolder();
    const rack = join(folder, "rack.yaml");
    writeFileSync(
      rack,
      "boards:\n  - { name: left, kind: wasm, tags: [new] }\n  - { name: right, kind: wasm, variant: no-signature }\n",
    );
    const run = await bootproof(["prove", ...telling, "--boards", rack, "--tag", "new"]);
    expect(run.status, run.stderr).toBe(0);
    expect(run.stdout).toMatch(/^left +passed +3\.1\.4 +0 +Holds: .*\n1 of 1 boards succeeded\.\n$/m);
    expect(run.stderr).toMatch(/^left +authenticity\/unsigned/m);
    const none = await bootproof(["prove", ...telling, "--boards", rack, "--tag", "old"]);
    const says = expect.stringMatching(/No board of \S+ has the tag "old"\.\n {2}try: Its tags: new\./);
    expect(none).toMatchObject({ status: 10, stderr: says });
    const flashed = await bootproof(words("--boards", rack, "--tag", "old"));
    expect(flashed).toMatchObject({ status: 10, stderr: says });
  });
});

describe("flash --boards", () => {
  const file = (folder: string) => {
    const path = join(folder, "rack.yaml");
    writeFileSync(
      path,
      `boards:
  - { name: left, kind: wasm, flash: left.flash, tags: [bench, new] }
  - { name: right, kind: wasm, flash: right.flash, tags: [bench] }
  - { name: lab, kind: labgrid, place: shelf, tags: [far] }
`,
    );
    return path;
  };

  it("takes the boards with a tag, and explains what it cannot reach or find", async () => {
    const folder = tempFolder();
    const rack = file(folder);
    const tagged = await bootproof(words("--boards", rack, "--tag", "bench", "--tag", "new"));
    expect(tagged.status, tagged.stderr).toBe(0);
    expect(tagged.stdout).toMatch(/^left +confirmed/m);
    expect(tagged.stdout).not.toContain("right");
    const far = await bootproof(words("--boards", rack));
    expect(far).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/lab: a board of the kind "labgrid" can only/),
    });
    const unknown = await bootproof(words("--boards", rack, "--board", "middle"));
    expect(unknown).toMatchObject({
      status: 10,
      stderr: expect.stringMatching(/no board "middle"[\s\S]*Its boards: left, right, lab\./),
    });
  });

  it("--all takes the boards of the config file", async () => {
    const folder = tempFolder();
    const boards = { one: flashFile(folder, "1"), two: flashFile(folder, "2") };
    writeFileSync(join(folder, ".bootproof.json"), JSON.stringify({ boards }));
    const run = await bootproof(words("--all"), { cwd: folder });
    expect(run.status, run.stderr).toBe(0);
    expect(run.stdout).toMatch(/^one +confirmed[\s\S]*^two +confirmed/m);
  });
});

it("names each board in the audit log", async () => {
  const folder = tempFolder();
  const env = { XDG_STATE_HOME: join(folder, "state") };
  const boards = ["a", "b"].map((name) => flashFile(folder, name));
  const run = await bootproof(words(...boards.flatMap((board) => ["-d", board])), { env });
  expect(run.status, run.stderr).toBe(0);
  const shown = await bootproof(["log", "show", "--json"], { env });
  const events = shown.stdout.split(/"type": ?"/).filter((event) => event.startsWith("install"));
  expect(events).toHaveLength(2);
  const named = [...shown.stdout.matchAll(/"address": ?"([^"]+)"/g)].map(([, address]) => address);
  expect(new Set(named)).toEqual(new Set(boards));
});

describe("flash --together", () => {
  it("confirms on all, or lets all go back when a health check fails", async () => {
    const folder = tempFolder();
    const boards = ["a", "b"].map((name) => flashFile(folder, name));
    const devices = boards.flatMap((board) => ["-d", board]);
    const unwell = await bootproof(words("--together", ...devices, "--health", "exit 3"));
    expect(unwell.status, unwell.stderr).toBe(62);
    expect(unwell.stdout.match(/ old-image +1\.0\.0 +.*ended with 3/g)).toHaveLength(2);
    expect(unwell.stdout).toContain("reverted: Not every board passed: all run their old images again.");
    const run = await bootproof(words("--together", ...devices, "--json"));
    expect(run.status, run.stderr).toBe(0);
    expect(linesOf(run.stdout).at(-1)).toMatchObject({
      kind: "summary",
      outcome: "committed",
      exitStatus: 0,
      boards: boards.map((board) => ({ board, state: "confirmed", version: "2.0.0" })),
    });
    for (const board of boards) expect(await stands(board)).toEqual({ version: "2.0.0", confirmed: true });
  });

  it("refuses to leave boards on trial", async () => {
    const run = await bootproof(words("--together", "--no-confirm", "-d", "wasm:good", "-d", "wasm:good"));
    expect(run).toMatchObject({ status: 2, stderr: expect.stringContaining("decides by itself") });
  });

  const noJudgeReason = whyMissing("qemu-system-arm") ?? noSmpclientReason ?? "";

  it.skipIf(noJudgeReason !== "")(
    `killed after the first confirmation, is finished by the same command, as smpclient reads it afterwards ${noJudgeReason}`,
    async () => {
      const boards = await Promise.all(
        ["left", "right"].map(() => startBoard({ machine: "qemu", variant: "good", pty: true })),
      );
      onTestFinished(async () => void (await Promise.all(boards.map((board) => board.close()))));
      const file = join(tempFolder(), "qemu.bin");
      writeFileSync(file, await signed("good-b", { machine: "qemu" }));
      const devices = boards.flatMap(({ tty }) => ["-d", `serial:${tty}`]);
      const all = ["flash", file, "--key", publicKey, "--soak", "0", "--together", ...devices, "--json"];
      const killed = start(all);
      await killed.waitFor(/"step":"confirmed"/);
      killed.child.kill("SIGKILL");
      await killed.ended;
      // The second board is as it was: on trial, or already taken forward.
      expect(await readBySmpclient(boards[0]!.tty!)).toEqual({ version: "2.0.0", confirmed: true });
      expect((await readBySmpclient(boards[1]!.tty!)).version).toBe("2.0.0");
      const again = await bootproof(all);
      expect(again.status, again.stderr).toBe(0);
      for (const board of boards) {
        await board.reset();
        await board.log.waitFor(/started/);
        expect(await readBySmpclient(board.tty!)).toEqual({ version: "2.0.0", confirmed: true });
      }
    },
  );
});
