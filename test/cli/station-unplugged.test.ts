import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LAYOUT, slotOffset } from "../../src/emulator/layout.js";
import { ensureBuilt } from "../support/cli-build.js";
import { tempFolder } from "../support/cli-run.js";
import {
  isQuiet,
  noPtyBoardReason,
  type PtyBoard,
  startPtyBoard,
  startStation,
  type TileShown,
  tilesOnce,
} from "../support/station.js";
import { image as signed, trustedKey } from "../support/workflow-board.js";
import { isReset, isUpload, type Passing } from "../support/workflow-wire.js";

const isState = ({ header }: Passing) => header.group === 1 && header.id === 0 && header.op === "read";
const isMark = ({ header, fields }: Passing) =>
  header.group === 1 && header.id === 0 && header.op === "write" && fields.confirm !== true;
const isConfirm = ({ header, fields }: Passing) =>
  header.group === 1 && header.id === 0 && header.op === "write" && fields.confirm === true;
const isAnything = () => true;
const isFrom = (offset: number) => (one: Passing) => isUpload(one) && Number(one.fields.off) >= offset;

/** A moment of a job: messages on their way to the board, one after the other; it has come with the last, which the board gets. */
type Moment = readonly ((message: Passing) => boolean)[];

/** The steps of an update, in their order. */
const FLASH: Readonly<Record<string, Moment>> = {
  "the first question": [isAnything],
  "the look": [isState],
  "the first piece": [isUpload],
  "a piece in the middle": [isFrom(20_000)],
  "one of the last pieces": [isFrom(48_000)],
  "the mark": [isMark],
  "the reset": [isReset],
  "the first question after the restart": [isReset, isAnything],
  "the confirmation": [isConfirm],
  "the reading back": [isConfirm, isState],
};

/** The steps of a recovery of a board that still runs. */
const RECOVER: Readonly<Record<string, Moment>> = {
  "the first question": [isAnything],
  "the look": [isState],
  "the restart into recovery": [isReset],
  "the first question in recovery": [isReset, isAnything],
  "the first piece": [isUpload],
  "a piece in the middle": [isFrom(20_000)],
  "one of the last pieces": [isFrom(48_000)],
  "the restart out of recovery": [isUpload, isReset],
  "the look at what runs then": [isUpload, isReset, isState],
};

/** The same of one that has no image. */
const RECOVER_EMPTY: Readonly<Record<string, Moment>> = {
  "the first question (empty)": [isAnything],
  "a piece in the middle (empty)": [isFrom(20_000)],
  "the restart out of recovery (empty)": [isUpload, isReset],
};

const skips = noPtyBoardReason === undefined ? "" : ` (${noPtyBoardReason})`;

describe.skipIf(noPtyBoardReason !== undefined)(
  `boards of a station that are unplugged for a moment${skips}`,
  () => {
    const made = mkdtempSync(join(tmpdir(), "bootproof-unplugged-"));
    const update = join(made, "update.bin");
    const publicKey = join(made, "public.der");
    beforeAll(async () => {
      await ensureBuilt();
      writeFileSync(update, await signed("good-b"));
      writeFileSync(publicKey, (await trustedKey()).publicDer);
    });
    afterAll(() => rmSync(made, { recursive: true, force: true }));

    /** Does a job on a board for each moment, and pulls each board's cable, once, in its own moment; some live on it. */
    async function pullAt(
      kind: "flash" | "recover",
      moments: Readonly<Record<string, Moment>>,
      livesOnCable: boolean,
    ) {
      const folder = tempFolder();
      const names = Object.keys(moments);
      const links = Object.fromEntries(names.map((name, at) => [name, join(folder, `${at}.tty`)]));
      const boards: Record<string, PtyBoard> = {};
      const pulls: Promise<void>[] = [];
      let hasBegun = false;
      const cable = (name: string) => {
        let left = moments[name]!;
        return (message: Passing): "pass" => {
          if (!hasBegun || message.direction === "to-host" || !left[0]?.(message)) return "pass";
          left = left.slice(1);
          if (left.length === 0) pulls.push(pull(name));
          return "pass";
        };
      };
      const pull = async (name: string) => {
        await boards[name]!.unplug();
        if (livesOnCable) await boards[name]!.board.powerOff();
        if (livesOnCable) await boards[name]!.board.powerOn();
        boards[name] = await boards[name]!.plugIn({ link: links[name]! });
      };
      const old = await signed("good-a");
      for (const [name, link] of Object.entries(links)) {
        boards[name] = await startPtyBoard("good", old, { link, cable: cable(name) });
        if (name.endsWith("(empty)")) await takeImage(boards[name]!);
      }
      const config = Object.fromEntries(names.map((name, at) => [`b${at}`, `serial:${links[name]!}`]));
      writeFileSync(join(folder, ".bootproof.json"), JSON.stringify({ boards: config }));
      const words = ["--key", publicKey, "--update", update, "--soak", "0", "--timeout", "1000", "--no-look"];
      const station = await startStation(words, {
        env: { XDG_STATE_HOME: join(folder, "state") },
        cwd: folder,
      });
      const { updates } = (await station.ask("api/state")).value as { updates: { sha256: string }[] };
      hasBegun = true;
      const body = { kind, boards: Object.keys(config), update: updates[0]!.sha256, agreed: true };
      const answer = await station.ask("api/jobs", { body });
      expect(answer.status, answer.text).toBe(201);
      const hasEnded = (now: Record<string, TileShown>) =>
        isQuiet(now) && names.every((_, at) => now[`b${at}`]!.last !== undefined);
      let tiles = await tilesOnce(station, hasEnded);
      expect(pulls).toHaveLength(names.length);
      await Promise.all(pulls);
      // A board that comes back when its job has ended is unknown until somebody looks: this station does not by itself.
      const unknown = () => Object.keys(config).filter((board) => tiles[board]!.facts === undefined);
      while (unknown().length > 0) {
        const look = await station.ask("api/jobs", { body: { kind: "look", boards: unknown() } });
        expect(look.status, look.text).toBe(201);
        tiles = await tilesOnce(station, hasEnded);
      }
      await station.end();
      const all: Record<string, { tile: TileShown; runs: unknown }> = {};
      for (const [at, name] of names.entries())
        all[name] = { tile: tiles[`b${at}`]!, runs: await boards[name]!.readByOthers() };
      return all;
    }

    it.each([
      ["flash", FLASH, "confirmed"],
      ["recover", { ...RECOVER, ...RECOVER_EMPTY }, "recovered"],
    ] as const)(
      "%s: at each step, the job goes on, and the tile says what smpclient reads",
      async (kind, moments, outcome) => {
        const all = await pullAt(kind, moments, false);
        for (const [name, { tile, runs }] of Object.entries(all)) {
          const { version, confirmed } = tile.facts ?? {};
          expect({ version, confirmed }, name).toEqual(runs);
          expect(tile.last, name).toMatchObject({ verdict: "pass", outcome });
          expect(version, name).toBe("2.0.0");
        }
      },
    );

    it("flash: boards that live on the cable restart, and the tile says what smpclient reads", async () => {
      const all = await pullAt("flash", FLASH, true);
      for (const [name, { tile, runs }] of Object.entries(all)) {
        const { version, confirmed } = tile.facts ?? {};
        expect({ version, confirmed }, name).toEqual(runs);
        // An image on trial is reverted by a board that loses its power: then the job has failed.
        expect(tile.last!.verdict, name).toBe(version === "2.0.0" && confirmed ? "pass" : "fail");
      }
    });
  },
);

/** It starts into serial recovery from here on. */
async function takeImage({ board }: PtyBoard): Promise<void> {
  await board.powerOff();
  board.writeFlash(slotOffset(0, 0), new Uint8Array(LAYOUT.slotSize).fill(0xff));
  await board.powerOn();
}
