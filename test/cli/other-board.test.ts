import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, json } from "../support/cli-run.js";
import {
  benchFiles,
  isQuiet,
  noPtyBoardReason,
  type PtyBoard,
  startPtyBoard,
  startStation,
  tilesOnce,
} from "../support/station.js";
import { image as signed } from "../support/workflow-board.js";
import { isUpload, type Passing } from "../support/workflow-wire.js";

beforeAll(ensureBuilt);

const OTHER = { version: "1.5.0" };
const skips = noPtyBoardReason === undefined ? "" : ` (${noPtyBoardReason})`;

/** Two boards behind links whose uploads wait in their midst, however fast this machine is, until they are let go on. */
async function twoBoards(second: { version?: string } = OTHER) {
  const files = await benchFiles();
  const links = { left: join(files.folder, "left.tty"), right: join(files.folder, "right.tty") };
  let isHeld = true;
  const sent = { left: 0, right: 0 };
  let wake = () => {};
  const cable = (name: "left" | "right") => (message: Passing) => {
    if (message.direction !== "to-board" || !isUpload(message)) return "pass";
    if (isHeld && sent[name] >= 4) {
      wake();
      return "drop";
    }
    sent[name]++;
    return "pass";
  };
  const start = async (name: "left" | "right", how: { version?: string }) =>
    startPtyBoard("good", await signed("good-a", how), { link: links[name], cable: cable(name) });
  const boards: Record<"left" | "right", PtyBoard> = {
    left: await start("left", {}),
    right: await start("right", second),
  };
  return {
    ...files,
    links,
    boards,
    sent,
    letGo: () => {
      isHeld = false;
    },
    /** Until the uploads of these boards wait. */
    async held(...names: ("left" | "right")[]) {
      while (!names.every((name) => sent[name] >= 4))
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    },
    /** Each board comes to the port of the other. */
    async swap() {
      await Promise.all([boards.left.unplug(), boards.right.unplug()]);
      isHeld = false;
      boards.left = await boards.left.plugIn({ link: links.right });
      boards.right = await boards.right.plugIn({ link: links.left });
    },
    /** The left board is unplugged, and the right one comes to its port. */
    async replace() {
      await Promise.all([boards.left.unplug(), boards.right.unplug()]);
      isHeld = false;
      boards.right = await boards.right.plugIn({ link: links.left });
    },
    /** What smpclient reads of the left board, which needs a port for it. */
    async readLeft() {
      boards.left = await boards.left.plugIn({ link: links.right });
      return boards.left.readByOthers();
    },
  };
}

describe.skipIf(noPtyBoardReason !== undefined)(`a board that came to another one's port${skips}`, () => {
  it("is not written to when two boards change places during their uploads", async () => {
    const bench = await twoBoards();
    const devices = Object.values(bench.links).flatMap((link) => ["-d", `serial:${link}`]);
    const words = ["flash", bench.update, "--key", bench.publicKey, "--soak", "0", "--timeout", "1000"];
    const running = bootproof([...words, ...devices, "--json"]);
    await bench.held("left", "right");
    await bench.swap();
    const run = await running;
    expect(run.status, run.stderr).toBe(61);
    const summary = JSON.parse(run.stdout.trim().split("\n").at(-1)!) as { boards: object[] };
    const row = (is: string, was: string) => ({
      outcome: "other-board",
      exitStatus: 67,
      message: expect.stringMatching(
        `^Another board answers on /\\S+: it runs version ${is} \\(\\w+\\); the board there before ran version ${was} \\(\\w+\\)\\. Nothing was written to it\\.$`,
      ),
      hint: expect.stringMatching(/Plug the board of before in again/),
    });
    expect(summary.boards).toMatchObject([row("1.5.0", "1.0.0"), row("1.0.0", "1.5.0")]);
    expect(bench.sent).toEqual({ left: 4, right: 4 });
    expect(await bench.boards.left.readByOthers()).toEqual({ version: "1.0.0", confirmed: true });
    expect(await bench.boards.right.readByOthers()).toEqual({ version: "1.5.0", confirmed: true });
  });

  it("runs the same and reports no identity: that is said, and it is updated", async () => {
    const bench = await twoBoards({});
    const words = ["flash", bench.update, "--key", bench.publicKey, "--soak", "0", "--timeout", "1000"];
    const running = bootproof([...words, "-d", `serial:${bench.links.left}`]);
    await bench.held("left");
    await bench.replace();
    const run = await running;
    expect(run.status, run.stderr).toBe(0);
    expect(run.stderr).toMatch(
      /The link to \S+left\.tty was opened again\. The board there reports no identity of its own: only what it runs shows that it is the same one\./,
    );
    expect(await bench.boards.right.readByOthers()).toEqual({ version: "2.0.0", confirmed: true });
    expect(await bench.readLeft()).toEqual({ version: "1.0.0", confirmed: true });
  });

  it("runs the same and reports another identity: it is not written to", async () => {
    const bench = await twoBoards({});
    const env = { XDG_STATE_HOME: bench.state };
    for (const [name, link] of Object.entries(bench.links))
      expect(
        (await json(["settings", "set", "app/name", `${name}-0042`, "-d", `serial:${link}`])).status,
      ).toBe(0);
    const boards = { desk: { address: `serial:${bench.links.left}`, identity: { setting: "app/name" } } };
    writeFileSync(join(bench.folder, ".bootproof.json"), JSON.stringify({ boards }));
    expect((await bootproof(["allow"], { env, cwd: bench.folder })).status).toBe(0);
    const words = ["flash", bench.update, "--key", bench.publicKey, "--soak", "0", "--timeout", "1000"];
    const running = bootproof([...words, "-d", "desk", "--json"], { env, cwd: bench.folder });
    await bench.held("left");
    await bench.replace();
    const run = await running;
    expect(run.status, run.stderr).toBe(67);
    expect(run.stdout).toMatch(
      /it reports the identity smp-right-0042; the board there before reported smp-left-0042/,
    );
    expect(bench.sent.right).toBe(0);
  });

  it("is not written to by a station's jobs that were meant for the other, and is by the next one", async () => {
    const bench = await twoBoards();
    await bench.boards.right.unplug();
    const boards = { desk: `serial:${bench.links.left}` };
    writeFileSync(join(bench.folder, ".bootproof.json"), JSON.stringify({ boards }));
    const env = { XDG_STATE_HOME: bench.state };
    const words = ["--key", bench.publicKey, "--update", bench.update, "--soak", "0", "--timeout", "1000"];
    const station = await startStation(words, { env, cwd: bench.folder });
    await tilesOnce(station, (now) => isQuiet(now) && now.desk!.facts !== undefined);
    const { updates } = (await station.ask("api/state")).value as { updates: { sha256: string }[] };
    const submit = async (kind: string) => {
      const body = { kind, boards: ["desk"], update: updates[0]!.sha256 };
      const answer = await station.ask("api/jobs", { body });
      expect(answer.status, answer.text).toBe(201);
    };
    await submit("flash");
    await submit("flash");
    await submit("prove-quick");
    await bench.held("left");
    await bench.replace();
    await tilesOnce(station, (now) => isQuiet(now) && now.desk!.facts?.version === "1.5.0");
    const { records } = (await station.ask("api/history")).value as { records: object[] };
    expect(records).toMatchObject(
      ["prove-quick", "flash", "flash"].map((kind) => ({ kind, verdict: "fail", outcome: "other-board" })),
    );
    expect(await bench.boards.right.readByOthers()).toEqual({ version: "1.5.0", confirmed: true });
    expect(bench.sent.right).toBe(0);
    await submit("flash");
    const { desk } = await tilesOnce(station, (now) => isQuiet(now) && now.desk!.facts?.version === "2.0.0");
    expect(desk!.last).toMatchObject({ verdict: "pass", outcome: "confirmed" });
    await station.end();
    expect(await bench.readLeft()).toEqual({ version: "1.0.0", confirmed: true });
  });

  it("is not written to by the station that finishes what a killed one began", async () => {
    const bench = await twoBoards();
    await bench.boards.right.unplug();
    const boards = { desk: `serial:${bench.links.left}` };
    writeFileSync(join(bench.folder, ".bootproof.json"), JSON.stringify({ boards }));
    const env = { XDG_STATE_HOME: bench.state };
    const words = ["--key", bench.publicKey, "--update", bench.update, "--soak", "0", "--timeout", "1000"];
    const first = await startStation(words, { env, cwd: bench.folder });
    await tilesOnce(first, (now) => isQuiet(now) && now.desk!.facts !== undefined);
    const { updates } = (await first.ask("api/state")).value as { updates: { sha256: string }[] };
    const body = { kind: "flash", boards: ["desk"], update: updates[0]!.sha256 };
    expect((await first.ask("api/jobs", { body })).status).toBe(201);
    await bench.held("left");
    await first.kill();
    await bench.replace();
    const second = await startStation([...words, "--no-look"], { env, cwd: bench.folder });
    const { desk } = await tilesOnce(second, (now) => isQuiet(now) && now.desk!.last !== undefined);
    expect(desk).toMatchObject({ last: { outcome: "other-board" }, facts: { version: "1.5.0" } });
    await second.end();
    expect(bench.sent.right).toBe(0);
  });
});
