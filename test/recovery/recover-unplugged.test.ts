import { describe, expect, it } from "vitest";
import { BootproofError } from "../../src/errors.js";
import type { RecoveryMethodName } from "../../src/recovery/methods.js";
import type { RecoverResult } from "../../src/recovery/recover-events.js";
import type { RecoveryTarget } from "../../src/recovery/target.js";
import { type ByteStream, TransportError } from "../../src/transport/transport.js";
import { MANY_STEPS_MS, STILL_MS } from "../support/limits.js";
import { ScriptedPipe } from "../support/pipe-script.js";
import { harm, type Patient, patient, recoverTarget } from "../support/recovery-target.js";
import { image } from "../support/workflow-board.js";
import { inVirtualTime, withinRealTime } from "../support/workflow-clock.js";
import { BadCable } from "../support/workflow-wire.js";

/** A board in recovery behind a port that is silent until `wake` is called. */
async function asleep(extra: (wake: () => void) => Partial<RecoveryTarget>): Promise<Patient> {
  const { target, board } = await patient(harm.erasePrimary);
  let awake = false;
  const wake = () => {
    awake = true;
  };
  const dial = async (): Promise<ByteStream> => (awake ? board.connect() : new ScriptedPipe());
  return { board, target: { ...target, dial, ...extra(wake) } };
}

const profile = { id: "own", name: "Own board", enter: [{ rts: true }, { rts: false }], sources: {} };

/** RecoveryMethod -> a board that is reached by it and none before. */
const WAYS: readonly [method: RecoveryMethodName, arrange: () => Promise<Patient>][] = [
  ["smp-reset", () => patient(undefined)],
  ["listen", () => patient(harm.erasePrimary)],
  ["lines", () => asleep((wake) => ({ profile, lines: async () => wake() }))],
  [
    "touch-1200",
    () =>
      asleep((wake) => ({
        profile: { ...profile, enter: [{ baudRate: 1200 }, { close: true }] },
        lines: async () => wake(),
      })),
  ],
  [
    "power-cycle",
    // Its port goes with its power, so whoever held the port before holds nothing.
    () => asleep((wake) => ({ power: { name: "relay", off: async () => wake(), on: async () => {} } })),
  ],
  [
    "person",
    () =>
      asleep((wake) => ({
        person: async () => {
          wake();
          return true;
        },
      })),
  ],
];

/** Chunks of the upload are all alike: these stand for them. */
const CHUNKS_LOOKED_AT = [0, 1, 60];

interface Pull {
  /** Where it was, in words; undefined when the recovery had ended before. */
  readonly what: string | undefined;
  readonly result: RecoverResult | BootproofError;
  readonly again: RecoverResult | undefined;
}

/** Recovers with the cable pulled at one moment. `stays`: it is put back only before the same command is given again. */
async function recoverWithPull(
  { target }: Patient,
  moment: number,
  { stays }: { stays: boolean },
): Promise<Pull> {
  const chunks = { "to-board": 0, "to-host": 0 };
  let count = 0;
  let what: string | undefined;
  let isOut = false;
  const file = await image("good-b");
  const dial = async (): Promise<ByteStream> => {
    if (isOut)
      throw new TransportError("not-found", "ttyACM0", "There is no ttyACM0.", { hint: "Plugged in?" });
    return new BadCable(await target.dial(undefined), ({ direction, header }) => {
      if (what !== undefined) return "pass";
      if (header.group === 1 && header.id === 1 && !CHUNKS_LOOKED_AT.includes(chunks[direction]++))
        return "pass";
      if (count++ < moment) return "pass";
      what = `${direction}, ${header.op} ${header.group}/${header.id}`;
      isOut = stays;
      return "pull-cable";
    });
  };
  const pulled = { ...target, dial };
  const options = { withinMs: 5000, althoughAlive: async () => true };
  const result = await recoverTarget(pulled, file, options).then(
    (climbed) => climbed.result,
    (error: unknown) => {
      if (error instanceof BootproofError) return error;
      throw error;
    },
  );
  isOut = false;
  const isDone = !(result instanceof BootproofError) && result.outcome === "recovered";
  const again = isDone ? undefined : (await recoverTarget(pulled, file, options)).result;
  return { what, result, again };
}

describe.each(WAYS)("a board that is reached by %s, whose cable is pulled", (method, arrange) => {
  it.each([
    ["and comes back at once: the same command ends well, or the next", false],
    ["and stays out: the command ends with words, and the next one recovers the board", true],
  ])(
    "%s",
    (_, stays) =>
      inVirtualTime(async () => {
        const pulls: string[] = [];
        // What follows the way in is the same for all: the first two are looked at closely.
        const step = WAYS.findIndex(([name]) => name === method) < 2 ? 1 : 5;
        for (let moment = 0; ; moment += step) {
          const on = await arrange();
          const pull = recoverWithPull(on, moment, { stays });
          const { what, result, again } = await withinRealTime(STILL_MS, `pull ${moment}`, pull);
          const said =
            result instanceof BootproofError ? `${result.code}: ${result.message}` : result.outcome;
          if (what === undefined) {
            expect(result).toMatchObject({ outcome: "recovered", method });
            break;
          }
          pulls.push(what);
          if (again)
            expect(again, `${moment}: ${what}, ended ${said}`).toMatchObject({ outcome: "recovered" });
          if (result instanceof BootproofError) expect(result.hint, said).toBeTruthy();
          // The bytes that are missing are not called written.
          const isSending = what.endsWith("write 1/1") || what.endsWith("write-rsp 1/1");
          if (stays && isSending) expect(result).toMatchObject({ outcome: "cut-short" });
          await on.board.close();
        }
        expect(pulls.length).toBeGreaterThan(8);
      }),
    MANY_STEPS_MS,
  );
});
