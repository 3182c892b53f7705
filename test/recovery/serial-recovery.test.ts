import { describe, expect, it } from "vitest";
import { slotOffset } from "../../src/emulator/layout.js";
import { restart } from "../../src/session/restart.js";
import { run } from "../../src/session/run.js";
import { BOOT_MODES } from "../../src/smp/groups/os.js";
import { flash } from "../../src/update/flash.js";
import { type Bench, bench, image, stands, tell, trustedKey } from "../support/workflow-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";

/** A board that finds nothing to start: its one image has a changed bit. */
async function damaged(variant = "good"): Promise<Bench> {
  const spoilt = Uint8Array.from(await image("good-a", { variant }));
  spoilt[0x1000]! ^= 1;
  return bench({ variant, install: spoilt });
}

describe("a board whose image is damaged", () => {
  it("is in serial recovery, and takes a good image with --recovery", () =>
    inVirtualTime(async () => {
      const { session } = await damaged();
      expect(session.client.server.mode).toBe("recovery");
      const { result, steps } = await tell(session, await image("good-b"), { throughRecovery: true });
      expect(steps).not.toContain("marked");
      expect(result).toMatchObject({
        version: "2.0.0",
        outcome: expect.stringMatching(/^(running|confirmed)$/),
      });
      expect(await stands(session)).toMatchObject({ version: "2.0.0", confirmed: true });
    }));

  it("is not written without that word", () =>
    inVirtualTime(async () => {
      const { session, board } = await damaged();
      const before = board.readFlash(slotOffset(0, 0), 0x1000);
      const { result } = await tell(session, await image("good-b"));
      expect(result).toMatchObject({
        outcome: "refused-by-preflight",
        hint: expect.stringMatching(/--recovery/),
      });
      expect(Buffer.compare(board.readFlash(slotOffset(0, 0), 0x1000), before)).toBe(0);
    }));

  it("stays in recovery when what it is given is no better, and the reason is told", () =>
    inVirtualTime(async () => {
      const { session } = await damaged();
      const foreign = await image("good-b", { key: "foreign-ed25519" });
      const { result } = await tell(session, foreign, { throughRecovery: true, skip: "all" });
      expect(result).toMatchObject({
        outcome: "not-running",
        message: expect.stringMatching(/serial recovery/),
      });
      const { result: second } = await tell(session, await image("good-b"), { throughRecovery: true });
      expect(second).toMatchObject({
        version: "2.0.0",
        outcome: expect.stringMatching(/^(running|confirmed)$/),
      });
    }));

  it("with a small buffer is mended all the same", () =>
    inVirtualTime(async () => {
      const { session } = await damaged("small-buffer");
      const file = await image("good-b", { variant: "small-buffer" });
      const { result } = await tell(session, file, { throughRecovery: true });
      expect(result.outcome).toMatch(/^(running|confirmed)$/);
    }));

  it("whose power fails in the middle of the mending is mended by a second try", () =>
    inVirtualTime(async () => {
      const { session, board, anotherSession } = await damaged();
      const file = await image("good-b");
      const keys = [await trustedKey()];
      for await (const event of flash(session, file, { keys, throughRecovery: true }))
        if (event.step === "sent" && event.sent > 20_000) break;
      await board.powerOff();
      await board.powerOn();
      const { result } = await tell(await anotherSession(), file, { throughRecovery: true });
      expect(result.outcome).toMatch(/^(running|confirmed)$/);
    }));
});

describe("a healthy board", () => {
  it("goes into recovery and back when asked", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      expect(await run(restart(session, { bootMode: BOOT_MODES.recovery }))).toBe(true);
      expect(session.client.server.mode).toBe("recovery");
      expect(await run(restart(session))).toBe(true);
      expect(session.client.server.mode).toBe("application");
    }));

  it("in recovery still refuses an image whose counter is too low", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      await tell(session, await image("good-b"));
      await run(restart(session));
      await run(restart(session, { bootMode: BOOT_MODES.recovery }));
      const old = await image("good-a");
      const gated = await tell(session, old, { throughRecovery: true });
      expect(gated.result).toMatchObject({
        outcome: "refused-by-preflight",
        message: expect.stringMatching(/Security counter 1 is below the 2/),
      });
      const forced = await tell(session, old, { throughRecovery: true, skip: "all" });
      expect(forced.result).toMatchObject({ outcome: "not-running" });
    }));
});
