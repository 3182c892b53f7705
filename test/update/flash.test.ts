import { describe, expect, it } from "vitest";
import { fromHex } from "../../src/bytes.js";
import { restart } from "../../src/session/restart.js";
import { run } from "../../src/session/run.js";
import { shellExec } from "../../src/smp/groups/shell.js";
import { type FlashOptions, flash, type HealthCheck, HealthError } from "../../src/update/flash.js";
import { bench, image, stands, tell, trustedKey } from "../support/workflow-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";
import { isReset } from "../support/workflow-wire.js";

const OLD = { version: "1.0.0", confirmed: true, counter: 1 };

/** The self-test in the shell of our images. */
const selfTest: HealthCheck = {
  name: "self-test",
  async check(session, signal) {
    const { ret, o } = await session.client.send(shellExec, { argv: ["health"] }, { signal });
    if (ret !== 0) throw new HealthError(o.trim());
    return o.trim();
  },
};

describe("a good update", () => {
  it("is sent, tried, judged by the hash that runs, found well, confirmed and read back", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const file = await image("good-b");
      const { result, events, steps } = await tell(session, file, { health: [selfTest] });
      expect(steps).toEqual([
        ..."board preflight plan sent uploaded marked reset back judged health confirmed".split(" "),
      ]);
      expect(result).toMatchObject({ outcome: "confirmed", version: "2.0.0", uploadedBytes: file.length });
      // The board does not report how large the running image is: whether every power cut is safe stays open.
      expect(result.preflight.map(({ result: one }) => one)).toEqual([...Array(13).fill("pass"), "unknown"]);
      expect(events.filter(({ step }) => step === "health")).toEqual([
        { step: "health", name: "echo", ok: true, message: expect.any(String) },
        { step: "health", name: "self-test", ok: true, message: "healthy" },
      ]);
      const sent = events.flatMap((event) => (event.step === "sent" ? [event.sent] : []));
      expect(sent).toEqual([...sent].sort((a, b) => a - b));
      expect([sent[0], sent.at(-1)]).toEqual([0, file.length]);
      expect(await stands(session)).toEqual({ version: "2.0.0", confirmed: true, counter: 1 });
      await run(restart(session));
      expect(await stands(session)).toEqual({ version: "2.0.0", confirmed: true, counter: 2 });
    }));

  it("is protected from older images only after one more restart, which the result says and --settle does", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const file = await image("good-b");
      const { result } = await tell(session, file);
      expect(result).toMatchObject({
        outcome: "confirmed",
        counter: { image: 2, stored: 1, settled: false },
        message: expect.stringContaining(
          "stores 2 at its next restart: until then images from 1 on are accepted",
        ),
        hint: expect.stringContaining("--settle"),
      });
      // The stored counter would still let the old image pass; the pending step is counted.
      const old = await tell(session, await image("good-a"), { dryRun: true });
      expect(old.result).toMatchObject({ outcome: "refused-by-preflight" });
      expect(old.result.message).toContain(
        "Security counter 1 is below the 2 of the confirmed image that runs",
      );
      const settled = await tell(session, file, { settle: true });
      expect(settled.result).toMatchObject({
        outcome: "already-running",
        counter: { image: 2, stored: 2, settled: true },
        message: expect.stringContaining("has security counter 2 stored"),
      });
      expect(settled.steps).toEqual("board preflight reset back settled".split(" "));
      expect(await stands(session)).toEqual({ version: "2.0.0", confirmed: true, counter: 2 });
      const again = await tell(session, file, { settle: true });
      expect(again.steps).toEqual(["board", "preflight"]);
    }));

  it("is settled in the same run", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const { result, steps } = await tell(session, await image("good-b"), { settle: true });
      expect(result).toMatchObject({ outcome: "confirmed", counter: { stored: 2, settled: true } });
      expect(steps.slice(-4)).toEqual(["confirmed", "reset", "back", "settled"]);
    }));

  it("is not called settled on a board that stores no counter", () =>
    inVirtualTime(async () => {
      const { session } = await bench({ variant: "no-counter" });
      const file = await image("good-b", { variant: "no-counter" });
      const { result } = await tell(session, file, { settle: true });
      expect(result).toMatchObject({
        outcome: "confirmed",
        message: expect.stringContaining("does not report its stored security counter"),
      });
      expect(result.counter).toBeUndefined();
    }));

  it("is called not settled when the board goes on with the old counter after one more restart", () =>
    inVirtualTime(async () => {
      // Its bootloader keeps the counter in memory that cannot be written any more: it reports the old one for ever.
      const { session } = await bench({
        fault: ({ direction, header, fields }) =>
          direction === "to-host" && header.group === 200 && header.id === 0
            ? { fields: { ...fields, images: [{ image: 0, counter: 1, slots: [] }] } }
            : "pass",
      });
      const { result } = await tell(session, await image("good-b"), { settle: true });
      expect(result).toMatchObject({
        outcome: "not-settled",
        counter: { image: 2, stored: 1, settled: false },
        message: expect.stringContaining("still has security counter 1 stored after one more restart, not 2"),
        hint: expect.stringContaining("downgrade prevention"),
      });
      expect((await stands(session)).version).toBe("2.0.0");
    }));

  it("is not sent twice: what runs and is confirmed is left alone", () =>
    inVirtualTime(async () => {
      const { session, trace } = await bench();
      const file = await image("good-a");
      const { result, steps } = await tell(session, file);
      expect(result).toMatchObject({ outcome: "already-running" });
      expect(steps).toEqual(["board", "preflight"]);
      expect(trace.filter(({ header }) => header?.op === "write" && header.group === 1)).toEqual([]);
    }));

  it("can be left on trial; the next reset reverts it", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const { result } = await tell(session, await image("good-b"), { confirm: false });
      expect(result).toMatchObject({ outcome: "on-trial", hint: expect.stringContaining("confirm") });
      expect(await stands(session)).toEqual({ version: "2.0.0", confirmed: false, counter: 1 });
      await run(restart(session));
      expect(await stands(session)).toEqual(OLD);
    }));

  it("goes to a board whose one buffer holds 256 bytes", () =>
    inVirtualTime(async () => {
      const { session } = await bench({ variant: "small-buffer" });
      const { result } = await tell(session, await image("good-b", { variant: "small-buffer" }));
      expect(result).toMatchObject({ outcome: "confirmed", before: { bufSize: 256 } });
    }));

  it.each(["p256", "rsa2048", "rsa3072", "two-keys"])("goes to the %s board with its own key", (variant) =>
    inVirtualTime(async () => {
      const { session } = await bench({ variant });
      const keys = [await trustedKey(variant)];
      const { result } = await tell(session, await image("good-b", { variant }), { keys });
      expect(result).toMatchObject({ outcome: "confirmed" });
    }),
  );

  it("of the second image leaves the first one alone", () =>
    inVirtualTime(async () => {
      const { session } = await bench({ variant: "two-images" });
      const file = await image("part-b", { variant: "two-images" });
      const { result } = await tell(session, file, { imageNumber: 1 });
      expect(result).toMatchObject({ outcome: "confirmed", version: "2.0.0" });
      await run(restart(session));
      expect(await stands(session, 1)).toEqual({ version: "2.0.0", confirmed: true, counter: 2 });
      expect(await stands(session, 0)).toEqual(OLD);
    }));

  it("on an overwrite board is told to have no way back, and runs", () =>
    inVirtualTime(async () => {
      const { session } = await bench({ variant: "overwrite" });
      const { result } = await tell(session, await image("good-b", { variant: "overwrite" }));
      expect(result.preflight.find(({ name }) => name === "revert-possible")).toMatchObject({
        result: "warn",
      });
      expect(result).toMatchObject({ outcome: "running", message: "Version 2.0.0 runs." });
      expect(await stands(session)).toMatchObject({ version: "2.0.0", counter: 2 });
    }));
});

describe("images that behave badly", () => {
  it.each([
    ["crash", /reverted/],
    ["hang", /reverted/],
  ])("%s: the old image is back, and the reason is told", (id, reason) =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const { result, steps } = await tell(session, await image(id));
      expect(result).toMatchObject({
        outcome: "not-running",
        cause: "reverted",
        message: expect.stringMatching(reason),
      });
      expect(steps).not.toContain("confirmed");
      expect(await stands(session)).toEqual(OLD);
    }),
  );

  it("no-confirm: it runs, refuses to stay, and the next reset reverts it", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const { result } = await tell(session, await image("no-confirm"));
      expect(result).toMatchObject({ outcome: "not-confirmed" });
      expect(await stands(session)).toEqual({ version: "2.1.0", confirmed: false, counter: 1 });
      await run(restart(session));
      expect(await stands(session)).toEqual(OLD);
    }));

  it("self-confirm: it is told that no health check came first", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const { result } = await tell(session, await image("self-confirm"));
      expect(result).toMatchObject({
        outcome: "confirmed",
        message: expect.stringMatching(/confirmed itself, before any health check/),
      });
    }));

  it("fail-health: it is not confirmed, and the board goes back", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const { result, steps } = await tell(session, await image("fail-health"), { health: [selfTest] });
      expect(result).toMatchObject({
        outcome: "unhealthy",
        reverted: true,
        message: expect.stringMatching(/sick/),
      });
      expect(steps).not.toContain("confirmed");
      expect(await stands(session)).toEqual(OLD);
    }));

  it("a check that fails in a way of its own counts as one that fails", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const clumsy: HealthCheck = {
        name: "clumsy",
        check: () => Promise.reject(new TypeError("lamp of null")),
      };
      const { result } = await tell(session, await image("good-b"), { health: [clumsy] });
      expect(result).toMatchObject({
        outcome: "unhealthy",
        reverted: true,
        message: expect.stringMatching(/^Health check "clumsy" failed: lamp of null\. The board was reset/),
      });
    }));

  it("fail-health on a board that never reverts: it says that the image stayed", () =>
    inVirtualTime(async () => {
      const { session } = await bench({ variant: "no-revert" });
      const { result } = await tell(session, await image("fail-health"), { health: [selfTest] });
      expect(result).toMatchObject({ outcome: "unhealthy", reverted: false });
      expect(await stands(session)).toMatchObject({ version: "2.5.0" });
    }));

  it("slow-start: it is waited for", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const { result, events } = await tell(session, await image("slow-start"));
      expect(result).toMatchObject({ outcome: "confirmed", version: "2.6.0" });
      const back = events.find((event) => event.step === "back");
      expect(back?.step === "back" && back.afterMs).toBeGreaterThan(1000);
    }));

  it("a longer soak finds what a short one does not: a reset in the middle of it", () =>
    inVirtualTime(async () => {
      const { session, board } = await bench();
      const resetting = board.log.waitFor(/good-b 2\.0\.0 started/, { from: 0 }).then(async () => {
        setTimeout(() => void board.reset(), 3000);
      });
      const { result, steps } = await tell(session, await image("good-b"), { soakMs: 5000 });
      await resetting;
      expect(steps).toContain("restarted");
      expect(result).toMatchObject({ outcome: "not-running", message: expect.stringMatching(/reverted/) });
      expect(await stands(session)).toEqual(OLD);
    }));

  it("a hang in the middle of the health check ends on the old image", () =>
    inVirtualTime(async () => {
      const { session, board } = await bench();
      const unplug: HealthCheck = {
        name: "unplugs the board",
        async check({ client }, signal) {
          await board.powerOff();
          setTimeout(() => void board.powerOn(), 2000);
          await client.send(shellExec, { argv: ["health"] }, { signal });
          return "never";
        },
      };
      const { result } = await tell(session, await image("good-b"), { health: [unplug] });
      expect(result).toMatchObject({ outcome: "unhealthy", reverted: true });
      expect(await stands(session)).toEqual(OLD);
    }));
});

describe("the board refuses what the preflight was told to let through", () => {
  it.each<[string, Parameters<typeof image>[1], RegExp]>([
    ["an older counter", { version: "5.0.0", counter: 0 }, /security counter is below .* \(anti-rollback\)/],
    ["a foreign key", { key: "foreign-ed25519" }, /signed with a key that the board does not trust/],
  ])("%s", (_what, signing, reason) =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const { result } = await tell(session, await image("good-b", signing), { skip: "all" });
      expect(result).toMatchObject({ outcome: "not-running", message: expect.stringMatching(reason) });
      expect(await stands(session)).toEqual(OLD);
    }),
  );

  it("one changed bit", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const spoilt = Uint8Array.from(await image("good-b"));
      spoilt[0x1000]! ^= 1;
      const { result } = await tell(session, spoilt, { skip: ["hash", "signature"] });
      expect(result).toMatchObject({
        outcome: "not-running",
        message: expect.stringMatching(/hash does not match/),
      });
      expect(await stands(session)).toEqual(OLD);
    }));

  it("and weak boards do not, which is told as it is", () =>
    inVirtualTime(async () => {
      const { session } = await bench({ variant: "no-signature" });
      const foreign = await image("good-b", { key: "foreign-ed25519" });
      const { result } = await tell(session, foreign, { skip: "all" });
      expect(result).toMatchObject({ outcome: "confirmed", version: "2.0.0" });
    }));
});

describe("a dry run", () => {
  it("writes nothing to the board: every message is a question", () =>
    inVirtualTime(async () => {
      const { session, trace, board } = await bench();
      const before = board.readFlash(0, 0x100000);
      const { result, steps } = await tell(session, await image("good-b"), { dryRun: true });
      expect(result).toMatchObject({ outcome: "dry-run" });
      expect(steps).toEqual(["board", "preflight", "plan"]);
      const writes = trace.filter(({ direction, header }) => direction === "sent" && header?.op === "write");
      // The console-echo switch tells an application from a bootloader; neither keeps anything of it.
      expect(writes.filter(({ header }) => !(header?.group === 0 && header.id === 1))).toEqual([]);
      expect(Buffer.compare(board.readFlash(0, 0x100000), before)).toBe(0);
    }));
});

describe("an update that was cut short is taken up where it stands", () => {
  it("marked, never reset: it is not sent again", () =>
    inVirtualTime(async () => {
      const { session, anotherSession, trace } = await bench();
      const file = await image("good-b");
      await abandonAt("marked", file, session);
      trace.length = 0;
      const { result, steps } = await tell(await anotherSession(), file);
      expect(steps).not.toContain("sent");
      expect(result).toMatchObject({ outcome: "confirmed", version: "2.0.0" });
    }));

  it("on trial: it is watched, found well and confirmed, without a reset", () =>
    inVirtualTime(async () => {
      const { session, anotherSession } = await bench();
      const file = await image("good-b");
      await tell(session, file, { confirm: false });
      const { result, steps } = await tell(await anotherSession(), file);
      expect(steps).toEqual(["board", "preflight", "plan", "judged", "health", "confirmed"]);
      expect(result).toMatchObject({ outcome: "confirmed", version: "2.0.0" });
    }));

  it.each(["uploaded", "reset", "judged", "health"])("abandoned at %s: a second run ends well", (step) =>
    inVirtualTime(async () => {
      const { session, anotherSession } = await bench();
      const file = await image("good-b");
      await abandonAt(step, file, session);
      const { result } = await tell(await anotherSession(), file);
      expect(result).toMatchObject({ outcome: "confirmed" });
      expect(await stands(await anotherSession())).toMatchObject({ version: "2.0.0", confirmed: true });
    }),
  );
});

/** The host program ends at a step. */
async function abandonAt(step: string, file: Uint8Array, session: Parameters<typeof tell>[0]): Promise<void> {
  for await (const event of flash(session, file, { keys: [await trustedKey()] })) {
    if (event.step === step) return;
  }
  throw new Error(`the update never came to "${step}"`);
}

describe("messages that get lost", () => {
  it("the answer to the reset: the board restarts all the same", () =>
    inVirtualTime(async () => {
      const { session } = await bench({
        fault: (message) => (isReset(message) && message.direction === "to-host" ? "drop" : "pass"),
      });
      const { result } = await tell(session, await image("good-b"));
      expect(result).toMatchObject({ outcome: "confirmed" });
    }));

  it("the request to reset: it is sent again, once the board is known not to have restarted", () =>
    inVirtualTime(async () => {
      let lost = 0;
      const { session } = await bench({
        fault: (message) =>
          isReset(message) && message.direction === "to-board" && lost++ === 0 ? "drop" : "pass",
      });
      const { result } = await tell(session, await image("good-b"));
      expect(lost).toBe(2);
      expect(result).toMatchObject({ outcome: "confirmed" });
    }));

  it("every reset: it says that the board still waits for one", () =>
    inVirtualTime(async () => {
      const { session } = await bench({
        fault: (message) => (isReset(message) && message.direction === "to-board" ? "drop" : "pass"),
      });
      const { result } = await tell(session, await image("good-b"));
      expect(result).toMatchObject({
        outcome: "not-running",
        message: expect.stringMatching(/still waits for the next boot/),
      });
    }));

  it.each(["to-board", "to-host"] as const)("one in every seven, %s", (direction) =>
    inVirtualTime(async () => {
      const { session } = await bench({
        fault: (message) => (message.direction === direction && message.index % 7 === 5 ? "drop" : "pass"),
      });
      const { result } = await tell(session, await image("good-b"));
      expect(result).toMatchObject({ outcome: "confirmed" });
    }),
  );

  it("the cable is pulled just before, or just after, the board hears the confirmation", () =>
    inVirtualTime(async () => {
      for (const direction of ["to-board", "to-host"] as const) {
        let confirmations = 0;
        const { session, anotherSession } = await bench({
          fault: ({ header, fields, direction: way }) => {
            const isMark = header.group === 1 && header.id === 0 && header.op.startsWith("write");
            if (isMark && fields.confirm !== false && way === direction && ++confirmations === nth(direction))
              return "pull-cable";
            return "pass";
          },
        });
        const { result } = await tell(session, await image("good-b"));
        expect(result.outcome).toBe("confirmed");
        const again = await tell(await anotherSession(), await image("good-b"));
        expect(again.result.outcome).toBe("already-running");
      }
    }));
});

/** Answers do not say whether they are to a test or to a confirmation: the confirmation is the second. */
const nth = (direction: string) => (direction === "to-host" ? 2 : 1);

describe("what was asked for is handed on", () => {
  it("Ctrl-C ends it with the signal's own reason, wherever it comes", () =>
    inVirtualTime(async () => {
      const file = await image("good-b");
      for (const step of [
        "preflight",
        "plan",
        "sent",
        "uploaded",
        "marked",
        "reset",
        "back",
        "judged",
        "health",
      ]) {
        const { session, board } = await bench();
        const abort = new AbortController();
        const reason = new Error(`stopped at ${step}`);
        const options: FlashOptions = { keys: [await trustedKey()], signal: abort.signal };
        const update = run(flash(session, file, options), (event) => {
          if (event.step === step) abort.abort(reason);
        });
        await expect(update, step).rejects.toBe(reason);
        await session.close();
        await board.close();
      }
    }));

  it("the hash of the result is the image's", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const { result } = await tell(session, await image("good-b"), { dryRun: true });
      expect(result.imageHash).toHaveLength(fromHex("00".repeat(32)).length);
    }));
});
