import { createHash } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import { boardVariant, fixtureKey } from "../../src/emulator/catalog.js";
import { signedFixture } from "../../src/emulator/signed-fixture.js";
import { type Body, FirmwareSession, STATE, uploadImage } from "../support/firmware-session.js";

/** Group 200, as firmware-fixtures/README.md documents it, from the application and from serial recovery. */

let session: FirmwareSession;
afterEach(() => session.close());

const trust = (id: number) => session.ask({ group: 200, id });
const reset = (body: Body = {}) =>
  session.boot(async () => void (await session.ask({ group: 0, id: 5, op: "write", body })));

async function requestUpdate(id: string, confirm: boolean, options = {}, variant = "good"): Promise<void> {
  await uploadImage(session, await signedFixture(id, "wasm", boardVariant(variant), options));
  const images = (await session.ask(STATE)).images as { slot: number; hash: Uint8Array }[];
  const { hash } = images.find(({ slot }) => slot === 1)!;
  await session.ask({ group: 1, id: 0, op: "write", body: { hash, confirm } });
}

describe.each(["application", "recovery"])("from the %s", (state) => {
  const open = async (variant: string) => {
    session = await FirmwareSession.open({ variant });
    if (state === "recovery") await reset({ boot_mode: 1 });
  };

  test("counters: stored, and of each slot", async () => {
    await open("good");
    expect(await trust(0)).toEqual({
      images: [{ image: 0, counter: 1, slots: [{ slot: 0, counter: 1 }, { slot: 1 }] }],
    });
  });

  test("counters: none stored, none told", async () => {
    await open("no-counter");
    expect(await trust(0)).toEqual({ images: [{ image: 0, slots: [{ slot: 0, counter: 1 }, { slot: 1 }] }] });
  });

  test("counters: how often the stored one can still be raised, where it ends", async () => {
    await open("finite-counter");
    expect(await trust(0)).toEqual({
      images: [{ image: 0, counter: 1, "steps-left": 63, slots: [{ slot: 0, counter: 1 }, { slot: 1 }] }],
    });
  });

  test("keys: the hash that images name", async () => {
    await open("two-keys");
    const names = boardVariant("two-keys").keys;
    const keys = await Promise.all(names.map((name) => fixtureKey(name)));
    expect(await trust(1)).toEqual({
      keys: keys.map(({ type, publicDer }) => ({
        type,
        hash: createHash("sha256").update(publicDer).digest(),
      })),
    });
  });

  test("boot: mode, who answers, why and how often it booted", async () => {
    await open("overwrite");
    const boots = state === "recovery" ? 2 : 1;
    expect(await trust(2)).toEqual({ mode: 2, state, cause: boots === 2 ? "software" : "power-on", boots });
  });

  test("a write is not supported", async () => {
    await open("good");
    expect(await session.ask({ group: 200, id: 0, op: "write" })).toEqual({ rc: 8 });
  });
});

test("a counter of fuses can be raised to its last, and no further", async () => {
  session = await FirmwareSession.open({ variant: "finite-counter" });
  const raiseTo = async (counter: number, version: string) => {
    await requestUpdate("good-b", true, { counter, version }, "finite-counter");
    await reset();
    const [image] = (await trust(0)).images as Body[];
    return [(await trust(2)).state, image!.counter, image!["steps-left"]];
  };
  expect(await raiseTo(63, "5.0.0")).toEqual(["application", 63, 1]);
  expect(await raiseTo(64, "5.0.1")).toEqual(["application", 64, 0]);
  // As MCUboot, which starts nothing whose counter it could not store.
  expect(await raiseTo(65, "5.0.2")).toEqual(["recovery", 64, 0]);
  expect((await trust(3)).events).toContainEqual({
    type: "verify-failed",
    image: 0,
    slot: 0,
    reason: "counter-exhausted",
    value: 65,
  });
});

describe("events", () => {
  const events = async () => (await trust(3)).events as Body[];
  const started = (value: number) => ({ type: "started", image: 0, slot: 0, value });
  const advanced = (value: number) => ({ type: "counter-advanced", image: 0, slot: 0, value });
  /** What the first boot out of the factory leaves. */
  const first = [advanced(1), started(1)];

  test("an update for good: installed, started, counter raised", async () => {
    session = await FirmwareSession.open();
    await requestUpdate("good-b", true);
    await reset();
    expect(await events()).toEqual([
      ...first,
      advanced(2),
      { type: "swapped", image: 0, slot: 0, value: 3 },
      started(2),
    ]);
    expect(await trust(0)).toEqual({
      images: [
        {
          image: 0,
          counter: 2,
          slots: [
            { slot: 0, counter: 2 },
            { slot: 1, counter: 1 },
          ],
        },
      ],
    });
  });

  test("a trial that nobody confirms: back again, counter as it was", async () => {
    session = await FirmwareSession.open();
    await requestUpdate("good-b", false);
    await reset();
    await reset();
    expect((await events()).slice(first.length).map(({ type }) => type)).toEqual([
      "swapped",
      "started",
      "reverted",
      "started",
    ]);
    expect(await trust(0)).toMatchObject({ images: [{ counter: 1 }] });
  });

  test("an image that is refused: why, and that it was erased", async () => {
    session = await FirmwareSession.open();
    await requestUpdate("good-b", false, { counter: 0 });
    await reset();
    expect((await events()).slice(first.length)).toEqual([
      { type: "verify-failed", image: 0, slot: 1, reason: "counter-low", value: 0 },
      { type: "erased", image: 0, slot: 1 },
      started(1),
    ]);
  });

  test("the newest of them when there are many, oldest first; fewer in a small buffer", async () => {
    session = await FirmwareSession.open({ variant: "small-buffer" });
    const button = () => session.boot(() => session.board.reset());
    for (let boot = 0; boot < 26; boot++) await button();
    const told = await events();
    expect(told.length).toBeGreaterThan(2);
    expect(told.length).toBeLessThan(24);
    expect(told).toEqual(told.map(() => started(1)));
    await session.close();
    session = await FirmwareSession.open();
    for (let boot = 0; boot < 26; boot++) await button();
    expect((await trust(2)).boots).toBe(27);
    expect(await events()).toHaveLength(24);
  });
});
