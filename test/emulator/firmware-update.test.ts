import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { boardVariant } from "../../src/emulator/catalog.js";
import { signedFixture } from "../../src/emulator/signed-fixture.js";
import {
  type Body,
  bodyOf,
  FirmwareSession,
  RESET,
  recordedMessage,
  STATE,
  uploadImage,
} from "../support/firmware-session.js";

/** Group 1 on the board: what may be uploaded when, what may be asked for when, and how each fixture image behaves. */

const sha = (bytes: Uint8Array) => new Uint8Array(createHash("sha256").update(bytes).digest());
const err = (rc: number) => ({ err: { group: 1, rc } });
interface Entry {
  slot: number;
  version: string;
  hash: Uint8Array;
  [flag: string]: unknown;
}

let b: Uint8Array;
let session: FirmwareSession;
beforeAll(async () => {
  b = await signedFixture("good-b", "wasm", boardVariant("good"));
});
afterEach(() => session.close());

const upload = (body: Body) => session.ask({ group: 1, id: 1, op: "write", body });
const request = (body: Body) => session.ask({ group: 1, id: 0, op: "write", body });
const images = async () => (await session.ask(STATE)).images as Entry[];
const hashOfSlot = async (slot: number) => (await images()).find((entry) => entry.slot === slot)!.hash;
const reboot = () => session.boot(async () => void (await session.ask(RESET)));
const shown = async () =>
  (await images()).map(({ slot, version, confirmed, pending, permanent, active }) =>
    [
      slot,
      version,
      active && "active",
      confirmed && "confirmed",
      pending && "pending",
      permanent && "permanent",
    ]
      .filter((word) => word !== false)
      .join(" "),
  );

describe("upload", () => {
  test("resumes where it was for the same sha, begins anew without, and forgets at a reset", async () => {
    session = await FirmwareSession.open();
    const first = { off: 0, len: b.length, sha: sha(b), data: b.subarray(0, 101) };
    expect(await upload(first)).toEqual({ off: 101 });
    expect(await upload({ off: 101, data: b.subarray(101, 302) })).toEqual({ off: 302 });
    expect(await upload(first)).toEqual({ off: 302 });
    expect(await upload({ off: 999, data: b.subarray(999, 1000) })).toEqual({ off: 302 });
    expect(await upload({ ...first, sha: sha(Uint8Array.of(1)) })).toEqual({ off: 101 });
    await reboot();
    expect(await upload({ off: 101, data: b.subarray(101, 302) })).toEqual({ off: 0 });
  });

  test("says whether what arrived is what was announced, and knows it when it comes again", async () => {
    session = await FirmwareSession.open();
    expect(await uploadImage(session, b, { sha: sha(Uint8Array.of(1)) })).toEqual({
      off: b.length,
      match: false,
    });
    expect(await uploadImage(session, b, { sha: sha(b) })).toEqual({ off: b.length, match: true });
    expect(await upload({ off: 0, len: b.length, sha: sha(b), data: b.subarray(0, 64) })).toEqual({
      off: b.length,
      match: true,
    });
    expect(await uploadImage(session, b)).toEqual({ off: b.length });
    expect(await shown()).toEqual(["0 1.0.0 active confirmed", "1 2.0.0"]);
  });

  test.each([1, 3, 4, 7, 64, 333, 900])("writes chunks of %d as they come", async (chunk) => {
    session = await FirmwareSession.open();
    const image = chunk < 32 ? b.subarray(0, 2000) : b;
    const rest = chunk < 32 ? 32 : 0;
    if (rest) await upload({ off: 0, len: image.length, data: image.subarray(0, rest) });
    for (let off = rest; off < image.length; off += chunk) {
      const first = off === 0 ? { len: image.length } : {};
      expect(await upload({ off, data: image.subarray(off, off + chunk), ...first })).toEqual({
        off: Math.min(off + chunk, image.length),
      });
    }
    expect(Buffer.compare(session.board.readFlash(0x20000, image.length), image)).toBe(0);
  });

  test.each<[string, (image: Uint8Array) => Body, Body]>([
    ["off is missing", (image) => ({ len: 64, data: image.subarray(0, 64) }), err(20)],
    ["len is missing", (image) => ({ off: 0, data: image.subarray(0, 64) }), err(21)],
    ["less than a header", (image) => ({ off: 0, len: 99, data: image.subarray(0, 31) }), err(22)],
    ["no image", () => ({ off: 0, len: 64, data: new Uint8Array(64) }), err(23)],
    [
      "a sha that is too long",
      (image) => ({ off: 0, len: 64, sha: new Uint8Array(33), data: image.subarray(0, 64) }),
      err(24),
    ],
    [
      "larger than a swap can take",
      (image) => ({ off: 0, len: 0x1e001, data: image.subarray(0, 64) }),
      err(30),
    ],
    ["more data than announced", (image) => ({ off: 0, len: 63, data: image.subarray(0, 64) }), err(31)],
    [
      "an image number that is not there",
      (image) => ({ off: 0, image: 1, len: 64, data: image.subarray(0, 64) }),
      err(14),
    ],
    ["data is text", () => ({ off: 0, len: 64, data: "x".repeat(64) }), { rc: 3 }],
    [
      "a number beyond 32 bits",
      (image) => ({ off: 0, len: 2 ** 33, data: image.subarray(0, 64) }),
      { rc: 3 },
    ],
  ])("is refused: %s", async (_, body, answer) => {
    session = await FirmwareSession.open();
    expect(await upload(body(b))).toEqual(answer);
  });

  test("with `upgrade` only takes what is newer than what runs", async () => {
    session = await FirmwareSession.open();
    const variant = boardVariant("good");
    const same = await signedFixture("good-b", "wasm", variant, { version: "1.0.0" });
    const older = await signedFixture("good-b", "wasm", variant, { version: "0.9.9" });
    expect(await uploadImage(session, same, { upgrade: true })).toEqual(err(27));
    expect(await uploadImage(session, older, { upgrade: true })).toEqual(err(27));
    expect(await uploadImage(session, older)).toEqual({ off: older.length });
    expect(await uploadImage(session, b, { upgrade: true })).toEqual({ off: b.length });
  });

  test("a trailer that an earlier image left does not fall upon a new one", async () => {
    session = await FirmwareSession.open();
    await uploadImage(session, b);
    await request({ hash: await hashOfSlot(1), confirm: true });
    await session.board.powerOff();
    // the image is gone, the request is not
    session.board.writeFlash(0x20000, new Uint8Array(0x1000).fill(0xff));
    await session.boot(() => session.board.powerOn());
    expect(await uploadImage(session, b)).toEqual({ off: b.length });
    expect(await shown()).toEqual(["0 1.0.0 active confirmed", "1 2.0.0"]);
  });
});

test("overwrite-only: a request for an image that is gone does not hold the slot for ever", async () => {
  session = await FirmwareSession.open({ variant: "overwrite" });
  const image = await signedFixture("good-b", "wasm", boardVariant("overwrite"));
  await uploadImage(session, image);
  await request({ hash: await hashOfSlot(1) });
  await session.board.powerOff();
  session.board.writeFlash(0x20000, new Uint8Array(0x1000).fill(0xff));
  await session.boot(() => session.board.powerOn());
  expect(await shown()).toEqual(["0 1.0.0 active confirmed"]);
  expect(await uploadImage(session, image)).toEqual({ off: image.length });
  expect(await shown()).toEqual(["0 1.0.0 active confirmed", "1 2.0.0"]);
});

describe("state", () => {
  test("a request once made is not changed by another, and holds the slot", async () => {
    session = await FirmwareSession.open();
    await uploadImage(session, b);
    const [running, other] = [await hashOfSlot(0), await hashOfSlot(1)];
    expect(await request({ hash: running })).toEqual(err(33));
    expect(await request({ hash: new Uint8Array(32) })).toEqual(err(8));
    expect(await request({ hash: running.subarray(0, 31) })).toEqual(err(24));
    expect(await request({})).toEqual(err(24));
    expect(await request({ confirm: true })).toHaveProperty("images");
    await request({ hash: other });
    expect(await shown()).toEqual(["0 1.0.0 active confirmed", "1 2.0.0 pending"]);
    expect(await request({ hash: other })).toHaveProperty("images");
    expect(await request({ hash: other, confirm: true })).toEqual(err(28));
    expect(await request({ confirm: true })).toEqual(err(28));
    expect(await session.ask({ group: 1, id: 5, op: "write" })).toEqual(err(9));
    expect(await upload({ off: 0, len: b.length, data: b.subarray(0, 64) })).toEqual(err(9));
  });

  test("the other image for good, at once", async () => {
    session = await FirmwareSession.open();
    await uploadImage(session, b);
    await request({ hash: await hashOfSlot(1), confirm: true });
    expect(await shown()).toEqual(["0 1.0.0 active confirmed", "1 2.0.0 pending permanent"]);
    await reboot();
    expect(await shown()).toEqual(["0 2.0.0 active confirmed", "1 1.0.0"]);
  });

  test("while a trial runs, only confirming is possible", async () => {
    session = await FirmwareSession.open();
    await uploadImage(session, b);
    await request({ hash: await hashOfSlot(1) });
    await reboot();
    expect(await shown()).toEqual(["0 2.0.0 active", "1 1.0.0 confirmed"]);
    expect(await request({ hash: await hashOfSlot(1) })).toEqual(err(28));
    expect(await session.ask({ group: 1, id: 5, op: "write" })).toEqual(err(9));
    expect(await upload({ off: 0, len: b.length, data: b.subarray(0, 64) })).toEqual(err(9));
    await request({ confirm: true });
    expect(await shown()).toEqual(["0 2.0.0 active confirmed", "1 1.0.0"]);
    await reboot();
    expect(await shown()).toEqual(["0 2.0.0 active confirmed", "1 1.0.0"]);
  });

  test("erase empties the other slot, never the running one", async () => {
    session = await FirmwareSession.open();
    await uploadImage(session, b);
    const erase = (body: Body) => session.ask({ group: 1, id: 5, op: "write", body });
    expect(await erase({ slot: 0 })).toEqual(err(9));
    expect(await erase({ slot: 2 })).toEqual(err(14));
    expect(await erase({ slot: 1 })).toEqual({});
    expect(await erase({})).toEqual({});
    expect(await shown()).toEqual(["0 1.0.0 active confirmed"]);
    expect(session.board.readFlash(0x20000, 0x20000).every((byte) => byte === 0xff)).toBe(true);
  });

  test("two images are told apart by number, slots for erase by counting through", async () => {
    session = await FirmwareSession.open({ variant: "two-images" });
    const part = await signedFixture("part-b", "wasm", boardVariant("two-images"));
    expect(await uploadImage(session, part, { image: 1 })).toEqual({ off: part.length });
    expect(await upload({ off: 0, image: 2, len: 64, data: b.subarray(0, 64) })).toEqual(err(14));
    expect((await images()).map(({ image, slot }) => [image, slot])).toEqual([
      [0, 0],
      [1, 0],
      [1, 1],
    ]);
    expect(await session.ask({ group: 1, id: 5, op: "write", body: { slot: 3 } })).toEqual({});
    expect((await images()).map(({ image, slot }) => [image, slot])).toEqual([
      [0, 0],
      [1, 0],
    ]);
  });
});

/** An update as Zephyr lived through it (swap on qemu_cortex_m0), with an image of ours: keys, order and flags. */
test("the recorded update: the same states, step by step", async () => {
  const { sections } = JSON.parse(
    readFileSync(new URL("../vectors/zephyr/exchanges.json", import.meta.url), "utf8"),
  ) as { sections: Record<string, { exchanges: { name: string; answer: string[] }[] }> };
  const theirs = (name: string) =>
    bodyOf(recordedMessage(sections["image group"]!.exchanges.find((row) => row.name === name)!.answer));
  const masked = (state: Body) => ({
    keys: Object.keys(state),
    images: (state.images as Entry[]).map((entry) =>
      Object.entries(entry).map(([key, value]) => [
        key,
        key === "version" || key === "hash" ? "its own" : value,
      ]),
    ),
  });
  session = await FirmwareSession.open();
  await uploadImage(session, b, { sha: sha(b) });
  expect(masked(await session.ask(STATE))).toEqual(masked(theirs("img_state_after_upload")));
  expect(masked(await request({ hash: await hashOfSlot(1), confirm: false }))).toEqual(
    masked(theirs("img_test")),
  );
  await reboot();
  expect(masked(await session.ask(STATE))).toEqual(masked(theirs("img_state_after_reset_test")));
  // Theirs no longer finds the old image after this (swap using offset puts it a sector lower); ours still lists it.
  const confirmed = masked(await request({ confirm: true }));
  expect(confirmed.images.slice(0, 1)).toEqual(masked(theirs("img_confirm_running")).images);
  expect(confirmed.images).toHaveLength(2);
});

describe("the images", () => {
  /** Installs for a trial; resolves when it has said that it runs. */
  async function trial(id: string): Promise<void> {
    session = await FirmwareSession.open();
    await uploadImage(session, await signedFixture(id, "wasm", boardVariant("good")));
    await request({ hash: await hashOfSlot(1) });
    await reboot();
    expect(session.board.log.lines.at(-1)).toContain(`${id} `);
  }
  const cause = async () => (await session.ask({ group: 200, id: 2 })).cause;
  const health = async () =>
    (await session.ask({ group: 9, id: 0, op: "write", body: { argv: ["health"] } })).ret;

  test("good-b: well, and waits to be confirmed", async () => {
    await trial("good-b");
    expect(await health()).toBe(0);
    expect((await shown())[0]).toBe("0 2.0.0 active");
    await reboot();
    expect((await shown())[0]).toBe("0 1.0.0 active confirmed");
  });

  test("no-confirm: works, refuses to be confirmed, and so reverts", async () => {
    await trial("no-confirm");
    expect(await request({ confirm: true })).toEqual(err(32));
    expect(await request({ hash: await hashOfSlot(0), confirm: true })).toEqual(err(32));
    await reboot();
    expect((await shown())[0]).toBe("0 1.0.0 active confirmed");
  });

  test.each([
    ["hang", "watchdog"],
    ["crash", "fault"],
  ])("%s: the board comes back with the old image, by %s", async (id, why) => {
    await trial(id);
    await session.board.log.waitFor(/good-a 1\.0\.0 started/, { from: session.board.log.lines.length });
    expect(await cause()).toBe(why);
    expect((await shown())[0]).toBe("0 1.0.0 active confirmed");
  });

  test("self-confirm: stays, without having been asked", async () => {
    await trial("self-confirm");
    expect((await shown())[0]).toBe("0 2.4.0 active confirmed");
    await reboot();
    expect((await shown())[0]).toBe("0 2.4.0 active confirmed");
  });

  test("fail-health: answers, and says that it is sick", async () => {
    await trial("fail-health");
    expect(await session.ask({ group: 0, id: 0, op: "write", body: { d: "x" } })).toEqual({ r: "x" });
    expect(await health()).toBe(1);
  });

  test("slow-start: silent for three seconds of its own clock, then answers what came meanwhile", async () => {
    await trial("slow-start");
    const { fields } = (await session.ask({ group: 2, id: 0, body: { name: "app" } })) as { fields: Body };
    expect(fields.uptime_ms).toBeGreaterThanOrEqual(3000);
  });
});
