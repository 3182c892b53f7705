import { afterEach, describe, expect, test } from "vitest";
import { boardVariant } from "../../src/emulator/catalog.js";
import { signedFixture } from "../../src/emulator/signed-fixture.js";
import { frame } from "../support/board-frames.js";
import { type Body, FirmwareSession, type Question, STATE } from "../support/firmware-session.js";

/** The bootloader's own server, where it differs from the application's: MCUboot's boot_serial. */

let session: FirmwareSession;
afterEach(() => session.close());

const RESET: Question = { group: 0, id: 5, op: "write" };
const upload = (body: Body) => session.ask({ group: 1, id: 1, op: "write", body });
const slots = async () => (await session.ask(STATE)).images as (Body & { hash: Uint8Array })[];
const state = async () => (await session.ask({ group: 200, id: 2 })).state;
const reset = () => session.boot(async () => void (await session.ask(RESET)));

async function enterRecovery(variant = "good"): Promise<void> {
  session = await FirmwareSession.open({ variant });
  const ask = { ...RESET, body: { boot_mode: 1 } };
  await session.boot(async () => void (await session.ask(ask)));
  expect(await state()).toBe("recovery");
}

/** Follows the answered offset, as a client must. The last answer. */
async function send(image: Uint8Array, chunk: number, number?: number): Promise<Body> {
  let answer: Body = { off: 0 };
  for (let off = 0; off < image.length; off = answer.off as number) {
    const first = off === 0 ? { len: image.length, ...(number === undefined ? {} : { image: number }) } : {};
    answer = await upload({ off, data: image.subarray(off, off + chunk), ...first });
    if (answer.rc !== 0 || (answer.off as number) <= off) return answer;
  }
  return answer;
}

const good = (id: string, options = {}) => signedFixture(id, "wasm", boardVariant("good"), options);
/** One bit of the header's padding: signed, so the hash is wrong, and yet the body could run. */
const damaged = (image: Uint8Array) => image.map((byte, index) => (index === 100 ? byte ^ 1 : byte));

describe("entered", () => {
  test("when asked for, once", async () => {
    await enterRecovery();
    await reset();
    expect(await state()).toBe("application");
  });

  test("when there is nothing to start, again and again", async () => {
    session = await FirmwareSession.open({ install: damaged(await good("good-a")) });
    expect(await state()).toBe("recovery");
    expect(await slots()).toEqual([]);
    await reset();
    expect(await state()).toBe("recovery");
    const { events } = (await session.ask({ group: 200, id: 3 })) as { events: Body[] };
    expect(events).toContainEqual({ type: "verify-failed", image: 0, slot: 0, reason: "hash" });
    expect(events.at(-1)).toEqual({ type: "recovery", image: 0, slot: 0, value: 2 });
  });
});

describe("upload", () => {
  test.each([512, 900, 101])(
    "puts a good image in the primary, in chunks of %d, and the board runs it",
    async (chunk) => {
      await enterRecovery();
      const image = await good("good-b");
      expect(await send(image, chunk)).toEqual({ rc: 0, off: image.length });
      expect(await slots()).toMatchObject([{ slot: 0, version: "2.0.0", bootable: true, active: true }]);
      await reset();
      expect(await state()).toBe("application");
      expect(await slots()).toMatchObject([{ slot: 0, version: "2.0.0", confirmed: true, active: true }]);
    },
  );

  test("a chunk that is no multiple of the write unit loses its tail, but not the last one", async () => {
    await enterRecovery();
    const image = new Uint8Array(150).fill(7);
    expect(await upload({ off: 0, len: 150, data: image.subarray(0, 101) })).toEqual({ rc: 0, off: 100 });
    expect(await upload({ off: 101, data: image.subarray(101) })).toEqual({ rc: 0, off: 100 });
    expect(await upload({ off: 100, data: image.subarray(100) })).toEqual({ rc: 0, off: 150 });
    expect(session.board.readFlash(148, 4)).toEqual(Uint8Array.of(7, 7, 0xff, 0xff));
  });

  test("looks at nothing: a damaged image is taken, and not started", async () => {
    await enterRecovery();
    const image = damaged(await good("good-b"));
    expect(await send(image, 512)).toEqual({ rc: 0, off: image.length });
    expect(await slots()).toEqual([]);
    await reset();
    expect(await state()).toBe("recovery");
  });

  test("clears the trailer: what it asked for was about another image", async () => {
    await enterRecovery();
    await send(await good("good-b"), 512);
    expect(session.board.readFlash(0x1f000, 0x1000).every((byte) => byte === 0xff)).toBe(true);
  });

  test.each<[string, Body]>([
    ["no off", { len: 64, data: new Uint8Array(64) }],
    ["no data", { off: 0, len: 64 }],
    ["no len", { off: 0, data: new Uint8Array(64) }],
    ["larger than the slot", { off: 0, len: 0x20001, data: new Uint8Array(64) }],
    ["more than announced", { off: 0, len: 63, data: new Uint8Array(64) }],
    ["an image number that is not there", { off: 0, image: 1, len: 64, data: new Uint8Array(64) }],
    ["a much larger one", { off: 0, image: 2, len: 64, data: new Uint8Array(64) }],
    ["the largest one", { off: 0, image: 0xffffffff, len: 64, data: new Uint8Array(64) }],
  ])("refuses %s, and touches no other slot", async (_, body) => {
    await enterRecovery();
    const before = session.board.readFlash(0x20000, 0x60000);
    expect(await upload(body)).toEqual({ rc: 3 });
    expect(Buffer.compare(session.board.readFlash(0x20000, 0x60000), before)).toBe(0);
  });

  test("of the second image goes to its primary", async () => {
    await enterRecovery("two-images");
    const part = await signedFixture("part-b", "wasm", boardVariant("two-images"));
    expect(await send(part, 512, 1)).toEqual({ rc: 0, off: part.length });
    expect((await slots()).map(({ image, slot, version }) => [image, slot, version])).toContainEqual([
      1,
      0,
      expect.any(String),
    ]);
    expect(await upload({ off: 0, image: 2, len: 64, data: new Uint8Array(64) })).toEqual({ rc: 3 });
  });
});

describe("state", () => {
  test("asks for the secondary of the image that the hash names, in either slot", async () => {
    session = await FirmwareSession.open();
    const image = await good("good-b");
    for (let off = 0; off < image.length; off += 512)
      await upload({ off, data: image.subarray(off, off + 512), ...(off === 0 && { len: image.length }) });
    await session.boot(async () => void (await session.ask({ ...RESET, body: { boot_mode: 1 } })));
    const set = (body: Body) => session.ask({ group: 1, id: 0, op: "write", body });
    expect(await set({ hash: new Uint8Array(32) })).toEqual({ rc: 5 });
    expect(await set({ hash: new Uint8Array(31) })).toEqual({ rc: 3 });
    const answer = await set({ hash: (await slots())[0]!.hash, confirm: true });
    expect(answer).toMatchObject({
      images: [
        { bootable: true, confirmed: true, slot: 0, version: "1.0.0" },
        { bootable: true, pending: true, permanent: true, slot: 1, version: "2.0.0" },
      ],
    });
    await reset();
    expect(await slots()).toMatchObject([{ slot: 0, version: "2.0.0", confirmed: true }, { slot: 1 }]);
  });
});

describe("speaks like MCUboot", () => {
  test.each<[string, Question, Body]>([
    ["console echo", { group: 0, id: 1, op: "write", body: { echo: 1 } }, { rc: 0 }],
    ["params", { group: 0, id: 6 }, { buf_size: 1024, buf_count: 1 }],
    ["erase", { group: 1, id: 5, op: "write" }, { rc: 8 }],
    ["info", { group: 0, id: 7 }, { rc: 8 }],
    ["files", { group: 8, id: 3 }, { rc: 8 }],
    ["a read of the upload id, which acts like a write", { group: 1, id: 1 }, { rc: 3 }],
  ])("%s", async (_, question, answer) => {
    await enterRecovery();
    expect(await session.ask(question)).toEqual(answer);
    expect(await session.ask({ ...question, version: 1 })).toEqual(answer);
  });

  test("drops a message that is longer than its header says, answers one that is shorter", async () => {
    await enterRecovery();
    const echo = (length: string, seq: string) => `0a0000${length}0000${seq}00a161646568656c6c6f`;
    await session.send(frame(echo("08", "11")));
    await session.send(frame(echo("0a", "12")));
    expect((await session.answer()).hex).toBe("0b00000a00001200bf61726568656c6c6fff");
  });

  test("keeps to its own buffer size", async () => {
    await enterRecovery("small-buffer");
    expect(await session.ask({ group: 0, id: 6 })).toEqual({ buf_size: 256, buf_count: 1 });
  });
});

describe("the variant that skips checks", () => {
  test("starts what recovery wrote without looking, and still does after a power cut", async () => {
    await enterRecovery("recovery-unchecked");
    const image = damaged(await good("good-b"));
    expect(await send(image, 512)).toEqual({ rc: 0, off: image.length });
    await reset();
    expect(await state()).toBe("application");
    await session.board.powerOff();
    await session.boot(() => session.board.powerOn());
    expect(await state()).toBe("application");
  });

  test("wraps any image number into the flash there is", async () => {
    await enterRecovery("recovery-unchecked");
    const image = await good("good-b");
    expect(await send(image, 512, 7)).toEqual({ rc: 0, off: image.length });
    expect(await slots()).toMatchObject([{ slot: 0, version: "2.0.0" }]);
  });
});
