import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LAYOUT, slotOffset } from "../../src/emulator/layout.js";
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
  tilesOnce,
} from "../support/station.js";
import { image as signed, trustedKey } from "../support/workflow-board.js";
import { isReset, isUpload, type Passing } from "../support/workflow-wire.js";

const isState = ({ header }: Passing) => header.group === 1 && header.id === 0 && header.op === "read";
const isAnything = () => true;
const isMiddle = (one: Passing) => isUpload(one) && Number(one.fields.off) > 8000;

/** A moment of the recovery: messages on their way to the board, one after the other; it has come with the last. */
type Moment = readonly ((message: Passing) => boolean)[];

/** Between each pair of steps, with a board that boots and is written over, and with one that has no image. */
const MOMENTS: readonly [name: string, board: "alive" | "empty", moment: Moment][] = [
  ["the first question", "alive", [isAnything]],
  ["the look at what runs", "alive", [isState]],
  ["the restart into recovery", "alive", [isReset]],
  ["the first question in recovery", "alive", [isReset, isAnything]],
  ["the first piece", "alive", [isUpload]],
  ["a piece in the middle", "alive", [isMiddle]],
  ["the restart out of recovery", "alive", [isUpload, isReset]],
  ["the look at what runs then", "alive", [isUpload, isReset, isState]],
  ["the first question", "empty", [isAnything]],
  ["a piece in the middle", "empty", [isMiddle]],
  ["the restart out of recovery", "empty", [isUpload, isReset]],
];

const skips = noPtyBoardReason === undefined ? "" : ` (${noPtyBoardReason})`;

describe.skipIf(noPtyBoardReason !== undefined)(`a recovery by a station that is killed${skips}`, () => {
  const made = mkdtempSync(join(tmpdir(), "bootproof-recover-"));
  const update = join(made, "update.bin");
  const publicKey = join(made, "public.der");
  beforeAll(async () => {
    await ensureBuilt();
    writeFileSync(update, await signed("good-b"));
    writeFileSync(publicKey, (await trustedKey()).publicDer);
  });
  afterAll(() => rmSync(made, { recursive: true, force: true }));

  it.each(MOMENTS)(
    "at %s (a board that is %s) is finished by the next station",
    { timeout: MANY_STEPS_MS },
    async (_name, kind, moment) => {
      const folder = tempFolder();
      const link = join(folder, "board.tty");
      let [left, act]: [Moment, () => void] = [[], () => {}];
      const watch = (message: Passing): "pass" => {
        if (message.direction === "to-host" || !left[0]?.(message)) return "pass";
        left = left.slice(1);
        if (left.length === 0) act();
        return "pass";
      };
      const board = await startPtyBoard("good", await signed("good-a"), { link, cable: watch });
      if (kind === "empty") await takeImage(board);
      writeFileSync(join(folder, ".bootproof.json"), JSON.stringify({ boards: { only: `serial:${link}` } }));
      const station = () =>
        startStation(
          ["--key", publicKey, "--update", update, "--wait", "5000", "--timeout", "1000", "--no-look"],
          { env: { XDG_STATE_HOME: join(folder, "state") }, cwd: folder },
        );

      const first = await station();
      const killed = new Promise<void>((resolve) => {
        left = moment;
        act = resolve;
      }).then(() => first.kill());
      await submitRecovery(first, kind === "alive");
      await killed;
      const second = await station();
      await second.run.waitFor(/only: recover was in progress when the station stopped/);
      const { only } = await tilesOnce(second, (now) => isQuiet(now) && now.only!.last !== undefined);
      expect(only!.last).toMatchObject({ kind: "recover", verdict: "pass", outcome: "recovered" });
      const { version, confirmed } = only!.facts!;
      expect(version).toBe("2.0.0");
      expect(await board.readByOthers()).toEqual({ version, confirmed });
      const { records } = (await second.ask("api/history")).value as { records: { begunBefore: number }[] };
      expect(records).toMatchObject([{ begunBefore: 1 }]);
      await second.end();
    },
  );
});

/** It starts into serial recovery from here on. */
async function takeImage({ board }: PtyBoard): Promise<void> {
  await board.powerOff();
  board.writeFlash(slotOffset(0, 0), new Uint8Array(LAYOUT.slotSize).fill(0xff));
  await board.powerOn();
}

async function submitRecovery(station: RunningStation, agreed: boolean): Promise<void> {
  const { value } = await station.ask("api/state");
  const { sha256 } = (value as { updates: { sha256: string }[] }).updates[0]!;
  const body = { kind: "recover", boards: ["only"], update: sha256, agreed };
  const answer = await station.ask("api/jobs", { body });
  expect(answer.status, answer.text).toBe(201);
}
