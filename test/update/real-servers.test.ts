import { describe, expect, test } from "vitest";
import { Random } from "../../hil/random.js";
import { connect } from "../../src/client/connect.js";
import { readFacts } from "../../src/session/board-facts.js";
import type { BoardFacts } from "../../src/session/facts.js";
import { restart } from "../../src/session/restart.js";
import { run } from "../../src/session/run.js";
import { Session } from "../../src/session/session.js";
import { BOOT_MODES } from "../../src/smp/groups/os.js";
import { type FlashOptions, flash } from "../../src/update/flash.js";
import { upload } from "../../src/update/upload.js";
import {
  JUST_STARTED,
  type RealServer,
  realServers,
  serverName,
  startServer,
} from "../support/real-servers.js";
import { otherVersion } from "../support/workflow-real.js";

/** The update on Zephyr servers and MCUboot builds that nobody here wrote. */
const servers = realServers();
const withMcuboot = servers.filter(({ mcuboot, target }) => mcuboot && target !== "native_sim");
/** These load the image with the higher version into RAM, from whichever slot; their emulator rewrites slot 0 at each reset. */
const everyRamLoad = withMcuboot.filter(({ config }) => config.startsWith("serial_recovery"));
/** A whole update of each takes minutes of processor time: some, other ones in each run. All: BOOTPROOF_EVERY_SERVER=1. */
const SAMPLED = process.env.BOOTPROOF_EVERY_SERVER === undefined ? 3 : everyRamLoad.length;
const seed = Number(process.env.BOOTPROOF_SEED ?? Date.now() % 1_000_000);
const dice = new Random(seed);
const ramLoad = [...everyRamLoad];
while (ramLoad.length > SAMPLED) ramLoad.splice(dice.whole(0, ramLoad.length - 1), 1);
console.log(`whole updates of ${ramLoad.map(serverName).join(", ")} (BOOTPROOF_SEED=${seed})`);
/** This one swaps; its emulator rewrites slot 0 at each reset too. */
const swapping = withMcuboot.filter(({ target }) => target === "qemu_cortex_m0");

async function onServer(server: RealServer, act: (session: Session) => Promise<void>): Promise<void> {
  const running = await startServer(server);
  try {
    const session = await Session.open(async (signal) =>
      connect(await running.open(), { ...JUST_STARTED, signal }),
    );
    await act(session);
    await session.close();
  } finally {
    await running.stop();
  }
}

/** Nobody signed these images. */
const UNSIGNED: FlashOptions = { skip: ["signature"] };

async function tell(session: Session, file: Uint8Array, options: FlashOptions = UNSIGNED) {
  const steps: string[] = [];
  const result = await run(flash(session, file, options), (event) => {
    if (event.step !== steps.at(-1)) steps.push(event.step);
  });
  return { ...result, steps };
}

const slots = (facts: BoardFacts) =>
  facts.images.flatMap((image) =>
    image.slots.flatMap(({ slot, content }) =>
      content ? [{ slot, version: content.version, active: content.active }] : [],
    ),
  );

describe("every server", () => {
  for (const server of servers)
    test(`${serverName(server)} says what it says, and what it does not is left open`, () =>
      onServer(server, async (session) => {
        const facts = await readFacts(session);
        expect(facts).toMatchObject({
          server: "application",
          reportsTrust: false,
          bufSize: expect.any(Number),
        });
        if (server.buf_size >= 128) expect(facts.info).toMatch(/Zephyr/);
        for (const absent of ["trustedKeys", "boot", "events"]) expect(facts).not.toHaveProperty(absent);
        if (!server.mcuboot) expect(facts.images).toEqual([]);
      }));
});

describe("bootloaders that load the higher version into RAM", () => {
  for (const server of ramLoad)
    test(serverName(server), { timeout: 600_000 }, () =>
      onServer(server, async (session) => {
        expect(slots(await readFacts(session))).toEqual([{ slot: 0, version: "0.0.0", active: true }]);
        const second = otherVersion(server, 2);
        const refused = await tell(session, second, {});
        expect(refused).toMatchObject({
          outcome: "refused-by-preflight",
          message: expect.stringMatching(/not signed/),
        });

        const newer = await tell(session, second);
        expect(newer).toMatchObject({ outcome: "running", message: "Version 2.0.0 runs." });
        expect(newer.steps).toEqual(
          expect.arrayContaining(["uploaded", "marked", "reset", "judged", "health"]),
        );
        expect((await tell(session, second)).outcome).toBe("already-running");

        const older = await tell(session, otherVersion(server, 1));
        expect(older).toMatchObject({
          outcome: "not-running",
          message: expect.stringMatching(
            /^Version 1\.0\.0 is lower than the running 2\.0\.0: this bootloader starts the higher/,
          ),
        });

        await run(restart(session, { bootMode: BOOT_MODES.recovery }));
        expect(session.client.server.mode).toBe("recovery");
        expect((await tell(session, otherVersion(server, 3))).message).toMatch(
          /^Serial recovery writes the image straight over/,
        );
        await run(upload(session, otherVersion(server, 3)));
        expect(slots(await readFacts(session))).toContainEqual({ slot: 0, version: "3.0.0" });
        await run(restart(session));
        expect(session.client.server.mode).toBe("application");
        expect(slots(await readFacts(session))).toContainEqual({ slot: 1, version: "2.0.0", active: true });
      }),
    );
});

describe("a bootloader that swaps", () => {
  for (const server of swapping)
    test(serverName(server), { timeout: 600_000 }, () =>
      onServer(server, async (session) => {
        const file = otherVersion(server, 2);
        const trial = await tell(session, file, { ...UNSIGNED, confirm: false });
        expect(trial).toMatchObject({ outcome: "on-trial" });
        const kept = await tell(session, file);
        expect(kept).toMatchObject({ outcome: "confirmed" });
        expect(kept.steps).not.toContain("sent");
        // Its emulator puts the old image back at the next reset; what runs then is told as it is.
        expect(await run(restart(session))).toBe(true);
        expect(slots(await readFacts(session))).toContainEqual({ slot: 0, version: "0.0.0", active: true });
      }),
    );
});
