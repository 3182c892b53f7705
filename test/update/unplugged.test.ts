import { describe, expect, it } from "vitest";
import { BootproofError } from "../../src/errors.js";
import { retryUntilBack } from "../../src/session/retry-until-back.js";
import { TransportError } from "../../src/transport/transport.js";
import type { FlashResult } from "../../src/update/flash.js";
import { MANY_STEPS_MS, STILL_MS } from "../support/limits.js";
import { bench, image, stands, tell } from "../support/workflow-board.js";
import { inVirtualTime, withinRealTime } from "../support/workflow-clock.js";

/** Chunks of the upload are all alike: the first, the last and some between stand for them. */
const CHUNKS_LOOKED_AT = [0, 1, 2, 40, 200];

/** Where the cable was pulled, in words; undefined when the update had ended before. */
async function updateWithPull(moment: number): Promise<{ pulled: string | undefined; result: FlashResult }> {
  const chunks = { "to-board": 0, "to-host": 0 };
  let count = 0;
  let isArmed = false;
  let pulled: string | undefined;
  const on = await bench({
    fault: ({ direction, header }) => {
      if (!isArmed || pulled !== undefined) return "pass";
      if (header.group === 1 && header.id === 1 && !CHUNKS_LOOKED_AT.includes(chunks[direction]++))
        return "pass";
      if (count++ < moment) return "pass";
      pulled = `${direction}, ${header.op} ${header.group}/${header.id}`;
      return "pull-cable";
    },
  });
  isArmed = true;
  const { result } = await tell(on.session, await image("good-b"));
  isArmed = false;
  expect(await stands(await on.anotherSession())).toMatchObject({ version: "2.0.0", confirmed: true });
  return { pulled, result };
}

describe("the cable is pulled, the board keeps its power, and the cable comes back", () => {
  it(
    "at whatever request or answer of an update it was: the update goes on, and the image is confirmed",
    () =>
      inVirtualTime(async () => {
        const pulls: string[] = [];
        for (let moment = 0; ; moment++) {
          const { pulled, result } = await withinRealTime(STILL_MS, `pull ${moment}`, updateWithPull(moment));
          expect(result.outcome, `${moment}: ${pulled}: ${result.message}`).toBe("confirmed");
          if (pulled === undefined) break;
          pulls.push(pulled);
        }
        // Reading what the board is, sending, marking, restarting, watching, confirming: both ways each.
        expect(pulls.length).toBeGreaterThan(60);
        for (const what of ["write 1/1", "write 1/0", "write 0/5", "read 1/0"])
          expect(pulls).toContain(`to-board, ${what}`);
      }),
    MANY_STEPS_MS,
  );
});

describe("a board that goes away while it is asked for the first time", () => {
  const lost = () => new TransportError("lost", "ttyACM0", "ttyACM0 went away.");
  const missing = () => new TransportError("not-found", "ttyACM0", "There is no ttyACM0.");
  const failed = () => new TransportError("failed", "ttyACM0", "It cannot be opened.");

  /** Fails as told, then works. */
  function attempts(...errors: readonly Error[]): { tries: number; attempt: () => Promise<string> } {
    const run = {
      tries: 0,
      attempt: async () => {
        const error = errors[Math.min(run.tries++, errors.length)];
        if (error) throw error;
        return "open";
      },
    };
    return run;
  }

  it("is waited for, through whatever its port says meanwhile", () =>
    inVirtualTime(async () => {
      const permission = new TransportError("permission", "ttyACM0", "You may not.");
      const run = attempts(lost(), missing(), permission, failed(), lost());
      const said: string[] = [];
      expect(await retryUntilBack(run.attempt, { onLost: (why) => said.push(why) })).toBe("open");
      expect(said).toEqual(["ttyACM0 went away."]);
    }));

  it("is given up after the time that was given", () =>
    inVirtualTime(async () => {
      const run = attempts(...Array.from({ length: 1000 }, lost));
      await expect(retryUntilBack(run.attempt, { withinMs: 3000 })).rejects.toMatchObject({
        code: "away",
        message: "ttyACM0 has not answered for 3 s.",
      });
      expect(run.tries).toBeLessThan(50);
    }));

  it("that was never there is not waited for, unless the system has listed it a moment ago", () =>
    inVirtualTime(async () => {
      const absent = attempts(missing());
      await expect(retryUntilBack(absent.attempt)).rejects.toMatchObject({ code: "not-found" });
      expect(absent.tries).toBe(1);
      const vanished = attempts(missing());
      expect(await retryUntilBack(vanished.attempt, { wasListed: true })).toBe("open");
    }));

  it("that is there and cannot be opened is given up soon", () =>
    inVirtualTime(async () => {
      const run = attempts(...Array.from({ length: 1000 }, failed));
      await expect(retryUntilBack(run.attempt, { wasListed: true })).rejects.toMatchObject({
        code: "failed",
      });
      expect(run.tries).toBe(3);
    }));

  it("that is silent is not asked again: silence is no lost link", () =>
    inVirtualTime(async () => {
      const run = attempts(new BootproofError("timeout", "No answer."));
      await expect(retryUntilBack(run.attempt, { wasListed: true })).rejects.toMatchObject({
        code: "timeout",
      });
    }));

  it("Ctrl-C ends the wait with the signal's own reason", () =>
    inVirtualTime(async () => {
      const stop = new AbortController();
      const run = attempts(...Array.from({ length: 1000 }, lost));
      const waiting = retryUntilBack(run.attempt, { signal: stop.signal });
      setTimeout(() => stop.abort("enough"), 500);
      await expect(waiting).rejects.toBe("enough");
    }));
});
