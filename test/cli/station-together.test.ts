import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { tempFolder } from "../support/cli-run.js";
import { MANY_STEPS_MS } from "../support/limits.js";
import {
  isQuiet,
  noPtyBoardReason,
  type PtyBoard,
  type RunningStation,
  startPtyBoard,
  startStation,
  type TileShown,
  tilesOnce,
} from "../support/station.js";
import { image as signed, trustedKey } from "../support/workflow-board.js";
import { isReset, isUpload, type Passing } from "../support/workflow-wire.js";

const isMark = ({ header, fields }: Passing) =>
  header.group === 1 && header.id === 0 && header.op === "write" && fields.confirm !== true;
const isConfirm = ({ header, fields }: Passing) =>
  header.group === 1 && header.id === 0 && header.op === "write" && fields.confirm === true;
const isState = ({ header }: Passing) => header.group === 1 && header.id === 0 && header.op === "read";
const toBoard = (is: (message: Passing) => boolean) => (message: Passing) =>
  message.direction === "to-board" && is(message);

type Name = "left" | "right";

/** A moment of the update: a message on the wire of one board, which the other side still gets. `after`: counted from there on. */
interface Moment {
  readonly on: Name;
  readonly is: (message: Passing) => boolean;
  readonly after?: (message: Passing) => boolean;
}

/** Between each pair of steps, as the boards themselves see them. */
const MOMENTS: Readonly<Record<string, Moment>> = {
  "the first question": { on: "right", is: toBoard(isState) },
  "the first piece": { on: "right", is: toBoard(isUpload) },
  "a piece in the middle": {
    on: "right",
    is: toBoard((one) => isUpload(one) && Number(one.fields.off) > 8000),
  },
  "the mark": { on: "right", is: toBoard(isMark) },
  "the restart": { on: "right", is: toBoard(isReset) },
  "the first look after the restart": { on: "right", is: toBoard(isState), after: toBoard(isReset) },
  "the first confirmation": { on: "left", is: toBoard(isConfirm) },
  "the second confirmation": { on: "right", is: toBoard(isConfirm) },
  "the look after the second confirmation": { on: "right", is: toBoard(isState), after: toBoard(isConfirm) },
};

/** How it ends for all when the right board is unplugged then, and what the left one runs; each stands for one way to end. */
const UNPLUGGED_AT: Readonly<Record<string, readonly [outcome: string, left: string]>> = {
  "the first question": ["refused", "1.0.0"],
  "a piece in the middle": ["not-reverted", "1.0.0"],
  "the restart": ["not-reverted", "1.0.0"],
  "the first confirmation": ["partly-committed", "2.0.0"],
  "the second confirmation": ["partly-committed", "2.0.0"],
};

interface Files {
  readonly update: string;
  readonly publicKey: string;
}

/** Two boards on cables that tell when a moment has come, and a station over them. */
class Pair {
  readonly #links: Readonly<Record<Name, string>>;
  readonly #files: Files;
  readonly #env: Record<string, string>;
  readonly #folder: string;
  #waitsFor: Moment | undefined;
  #isPast = false;
  #act: () => void = () => {};
  boards!: Record<Name, PtyBoard>;

  private constructor(files: Files) {
    const folder = tempFolder();
    this.#files = files;
    this.#folder = folder;
    this.#links = { left: join(folder, "left.tty"), right: join(folder, "right.tty") };
    this.#env = { XDG_STATE_HOME: join(folder, "state") };
    const boards = Object.fromEntries(
      Object.entries(this.#links).map(([name, link]) => [name, `serial:${link}`]),
    );
    writeFileSync(join(folder, ".bootproof.json"), JSON.stringify({ boards }));
  }

  static async start(files: Files): Promise<Pair> {
    const pair = new Pair(files);
    const old = await signed("good-a");
    const start = (name: Name) =>
      startPtyBoard("good", old, { link: pair.#links[name], cable: (message) => pair.#watch(name, message) });
    pair.boards = { left: await start("left"), right: await start("right") };
    return pair;
  }

  station(): Promise<RunningStation> {
    const words = ["--key", this.#files.publicKey, "--update", this.#files.update, "--soak", "0"];
    return startStation([...words, "--wait", "3000", "--timeout", "1000", "--no-look"], {
      env: this.#env,
      cwd: this.#folder,
    });
  }

  /** Does something once, in the moment. */
  at(moment: Moment): Promise<void> {
    this.#waitsFor = moment;
    this.#isPast = moment.after === undefined;
    return new Promise((resolve) => {
      this.#act = resolve;
    });
  }

  async plugIn(name: Name): Promise<void> {
    this.boards[name] = await this.boards[name].plugIn({ link: this.#links[name] });
  }

  /** Every tile says what smpclient reads from its board. */
  async isAsTold(station: RunningStation): Promise<string[]> {
    await submit(station, "look");
    const tiles = await tilesOnce(station, isQuiet);
    const versions: string[] = [];
    for (const [name, board] of Object.entries(this.boards)) {
      const { version, confirmed } = tiles[name]!.facts!;
      expect(await board.readByOthers(), name).toEqual({ version, confirmed });
      versions.push(`${version}${confirmed ? "" : "?"}`);
    }
    return versions;
  }

  #watch(name: Name, message: Passing): "pass" {
    const moment = this.#waitsFor;
    if (moment?.on !== name) return "pass";
    if (!this.#isPast) this.#isPast = moment.after!(message);
    else if (moment.is(message)) {
      this.#waitsFor = undefined;
      this.#act();
    }
    return "pass";
  }
}

/** Fails when the work is done before the moment came. */
async function neverCame(station: RunningStation): Promise<never> {
  const isOver = (now: Record<string, TileShown>) => isQuiet(now) && now.left!.last !== undefined;
  const tiles = await tilesOnce(station, isOver).catch(() => undefined);
  // A station that was killed in the moment tells nothing any more.
  if (!tiles) return new Promise(() => undefined);
  throw new Error(`the moment never came: ${JSON.stringify(tiles)}`);
}

async function submit(station: RunningStation, kind: string): Promise<{ id: string }[]> {
  const { value } = await station.ask("api/state");
  const update = (value as { updates: { sha256: string }[] }).updates[0]!.sha256;
  const answer = await station.ask("api/jobs", { body: { kind, boards: ["left", "right"], update } });
  expect(answer.status, answer.text).toBe(201);
  return (answer.value as { jobs: { id: string }[] }).jobs;
}

const skips = noPtyBoardReason === undefined ? "" : ` (${noPtyBoardReason})`;

describe.skipIf(noPtyBoardReason !== undefined)(
  `boards that are flashed together by a station${skips}`,
  () => {
    const made = mkdtempSync(join(tmpdir(), "bootproof-together-"));
    const files = { update: join(made, "update.bin"), publicKey: join(made, "public.der") };
    beforeAll(async () => {
      await ensureBuilt();
      writeFileSync(files.update, await signed("good-b"));
      writeFileSync(files.publicKey, (await trustedKey()).publicDer);
    });
    afterAll(() => rmSync(made, { recursive: true, force: true }));

    it.each(Object.entries(MOMENTS))(
      "are finished by the next station when one is killed at %s",
      { timeout: MANY_STEPS_MS },
      async (_name, moment) => {
        const pair = await Pair.start(files);
        const first = await pair.station();
        const killed = pair.at(moment).then(() => first.kill());
        await submit(first, "together");
        await Promise.race([killed, neverCame(first)]);
        const second = await pair.station();
        const tiles = await tilesOnce(second, (now) => isQuiet(now) && now.left!.last !== undefined);
        for (const name of ["left", "right"])
          expect(tiles[name]!.last, name).toMatchObject({
            kind: "together",
            verdict: "pass",
            outcome: "committed",
          });
        expect(await pair.isAsTold(second)).toEqual(["2.0.0", "2.0.0"]);
        await second.end();
      },
    );

    it.each(Object.entries(UNPLUGGED_AT))(
      "are told as they stand when one is unplugged at %s, and can be finished",
      { timeout: MANY_STEPS_MS },
      async (name, [outcome, left]) => {
        const pair = await Pair.start(files);
        const station = await pair.station();
        const unplugged = pair.at(MOMENTS[name]!).then(() => pair.boards.right.unplug());
        await submit(station, "together");
        await Promise.race([unplugged, neverCame(station)]);
        const tiles = await tilesOnce(station, (now) => isQuiet(now) && now.left!.last !== undefined);
        for (const board of ["left", "right"])
          expect(tiles[board]!.last, `${board}: ${JSON.stringify(tiles[board])}`).toMatchObject({
            verdict: "fail",
            outcome,
          });
        await pair.plugIn("right");
        expect((await pair.isAsTold(station))[0]).toBe(left);
        await submit(station, "together");
        await tilesOnce(station, (now) => isQuiet(now) && now.left!.last!.outcome === "committed");
        expect(await pair.isAsTold(station)).toEqual(["2.0.0", "2.0.0"]);
        await station.end();
      },
    );

    it("are taken back when a person stops the job on one, and then wait for each other", {
      timeout: MANY_STEPS_MS,
    }, async () => {
      const pair = await Pair.start(files);
      const station = await pair.station();
      const isThere = pair.at(MOMENTS["the first look after the restart"]!);
      const jobs = await submit(station, "together");
      await Promise.race([isThere, neverCame(station)]);
      expect((await station.ask(`api/jobs/${jobs[1]!.id}`, { method: "DELETE" })).status).toBe(200);
      const tiles = await tilesOnce(station, (now) => isQuiet(now) && now.left!.last !== undefined);
      for (const name of ["left", "right"]) {
        expect(tiles[name]!.last, name).toMatchObject({ verdict: "stopped", outcome: "reverted" });
        expect(tiles[name]!.last!.message).toContain("stopped by a user");
      }
      expect(await pair.isAsTold(station)).toEqual(["1.0.0", "1.0.0"]);
      await pair.boards.right.unplug();
      await tilesOnce(station, (now) => now.right!.state === "away");
      const [waiting] = await submit(station, "together");
      const now = await tilesOnce(station, ({ left }) => left!.queue.length === 1);
      expect(now.left).toMatchObject({ waitsFor: ["right"] });
      expect((await station.ask(`api/jobs/${waiting!.id}`, { method: "DELETE" })).status).toBe(200);
      expect((await tilesOnce(station, isQuiet)).right!.queue).toEqual([]);
      await station.end();
    });
  },
);
