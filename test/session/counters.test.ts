import { afterEach, describe, expect, test } from "vitest";
import { fromHex } from "../../src/bytes.js";
import { drawFacts } from "../../src/cli/draw-facts.js";
import { connect } from "../../src/client/connect.js";
import { boardVariant, fixtureKey } from "../../src/emulator/catalog.js";
import { signedFixture } from "../../src/emulator/signed-fixture.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { signImage } from "../../src/mcuboot/sign.js";
import { readFacts, runningSlot } from "../../src/session/board-facts.js";
import { knownImages } from "../../src/session/known-images.js";
import { Session } from "../../src/session/session.js";
import { decodePayload } from "../../src/smp/message.js";
import { checkAgainstBoard } from "../../src/update/preflight.js";
import { boardSession } from "../support/board-session.js";
import { type HeardRequest, ScriptedPipe } from "../support/pipe-script.js";

/**
 * Vendors' exports are of their own making, and no firmware at hand has one; so a scripted device answers in the forms that
 * Zephyr's hooks allow.
 */
const HASH = "11".repeat(32);
let open: Session | undefined;
afterEach(() => open?.close());

type Answers = Readonly<Record<string, (fields: Record<string, unknown>) => Record<string, unknown>>>;

async function deviceWith(answers: Answers): Promise<Session> {
  const all: Answers = {
    "0/6": () => ({ buf_size: 1024, buf_count: 4 }),
    "1/0": () => ({
      images: [{ slot: 0, version: "1.2.3", hash: fromHex(HASH), active: true, confirmed: true }],
    }),
    ...answers,
  };
  const pipe = new ScriptedPipe((request: HeardRequest, device) => {
    const answer = all[`${request.header.group}/${request.header.id}`];
    device.answer(request, answer ? answer(request.fields) : { rc: 8 });
  });
  open = await Session.open((signal) => connect(pipe, { signal }));
  return open;
}

const bootloader = (query: string, answer: Record<string, unknown>) => (fields: Record<string, unknown>) => {
  if (fields.query === undefined) return { bootloader: "MCUboot" };
  if (fields.query === query) return answer;
  return fields.query === "mode" ? { mode: 3 } : { err: { group: 0, rc: 3 } };
};

describe("a vendor's bootloader-info query", () => {
  test.each([
    ["security_counter", { security_counter: 7 }],
    ["security_counter", { counter: 7 }],
    ["security_counter", { value: [7] }],
    ["security-counter", { "security-counter": { "0": 7 } }],
    ["sec_cnt", { secCnt: 7 }],
  ])("%s answered %j", async (query, answer) => {
    const facts = await readFacts(await deviceWith({ "0/8": bootloader(query, answer) }));
    expect(facts.images[0]?.storedCounter).toEqual({ value: 7, source: "bootloader-info" });
    expect(facts.reportsTrust).toBe(false);
    expect(drawFacts(facts)).toContain("stored security counter of image 0: 7 (device, bootloader info)");
  });

  test("tells the counters of several images", async () => {
    const facts = await readFacts(
      await deviceWith({ "0/8": bootloader("security_counter", { security_counters: [7, 0] }) }),
    );
    expect(facts.images.map(({ storedCounter }) => storedCounter?.value)).toEqual([7, 0]);
  });

  test.each([
    { security_counter: -1 },
    { security_counter: 2 ** 40 },
    { security_counter: "7" },
    { security_counter: { zero: 7 } },
    { bootloader: "MCUboot" },
    { mode: 3 },
    {},
  ])("that says %j says no counter", async (answer) => {
    const facts = await readFacts(await deviceWith({ "0/8": bootloader("security_counter", answer) }));
    expect(facts.images[0]?.storedCounter).toBeUndefined();
    expect(drawFacts(facts)).toContain("stored security counter of image 0: not reported");
  });
});

test("a vendor's key beside a slot, in the image list or the slot information", async () => {
  const entry = { slot: 0, version: "1.2.3", active: true };
  const inList = await readFacts(await deviceWith({ "1/0": () => ({ images: [{ ...entry, sec_cnt: 4 }] }) }));
  expect(inList.images[0]?.slots[0]?.content?.securityCounter).toEqual({ value: 4, source: "image-list" });
  expect(drawFacts(inList)).toContain("4 (device, image list)");
  await open?.close();
  const inInfo = await readFacts(
    await deviceWith({
      "1/6": () => ({ images: [{ image: 0, slots: [{ slot: 0, size: 4096, security_counter: 5 }] }] }),
    }),
  );
  expect(inInfo.images[0]?.slots[0]?.content?.securityCounter).toEqual({ value: 5, source: "slot-info" });
});

describe("known images", () => {
  const list = (entries: unknown) => new TextEncoder().encode(JSON.stringify(entries));

  test("a list of what was released tells counter and key by the hash", async () => {
    const known = knownImages(
      "released.json",
      list([{ hash: HASH, version: "1.2.3", counter: 9, key: "ab".repeat(32) }]),
    );
    const facts = await readFacts(await deviceWith({}), { known });
    const content = facts.images[0]?.slots[0]?.content;
    expect(content?.securityCounter).toEqual({ value: 9, source: "known-file" });
    expect(content?.signedBy).toEqual({ value: "ab".repeat(32), source: "known-file" });
    expect(drawFacts(facts)).toContain("9 (known file)");
  });

  test("an image file tells of itself", async () => {
    const variant = boardVariant("good");
    const file = await signedFixture("good-a", "wasm", variant, { version: "1.0.0", counter: 3 });
    const key = await fixtureKey(variant.keys[0]!);
    expect(knownImages("good-a.bin", file)).toEqual([
      {
        file: "good-a.bin",
        hash: Buffer.from(parseImage(file).imageHash!.value).toString("hex"),
        version: "1.0.0",
        securityCounter: 3,
        size: parseImage(file).size,
        keyHash: Buffer.from(key.keyHash).toString("hex"),
      },
    ]);
  });

  test.each([
    ["[{}", "not JSON"],
    ['[{"hash": "12"}]', 'entry 0: "hash" is not an image hash'],
    [`[{"hash": "${HASH}"}]`, '"version" is not a text'],
    [`[{"hash": "${HASH}", "version": "1", "counter": -1}]`, '"counter" is not a whole number'],
    [`[{"hash": "${HASH}", "version": "1", "key": 3}]`, '"key" is not a key hash'],
    ["[null]", 'entry 0: "hash"'],
  ])("%s is refused: %s", (text, reason) => {
    expect(() => knownImages("x.json", new TextEncoder().encode(text))).toThrow(reason);
  });
});

/** What the module for Zephyr answers with the shared data of MCUboot 2.3.0, as the real zcbor encoded it. */
const ZEPHYR_TRUST: Answers = {
  "200/0": () =>
    decodePayload(
      fromHex(
        "bf66696d616765739fbf65696d6167650067636f756e74657207686d61782d73697a651a0001e00065736c6f74739fffffffff",
      ),
    ),
  "200/2": () =>
    decodePayload(
      fromHex(
        "bf646d6f6465096573746174656b6170706c69636174696f6e64736c6f7400697369676e61747572656765643235353139687265636f766572796673657269616c6776657273696f6e65322e332e30ff",
      ),
    ),
};

describe("a Zephyr board that tells what MCUboot shares", () => {
  test("info names the bootloader's version, signatures and recovery", async () => {
    const facts = await readFacts(await deviceWith(ZEPHYR_TRUST));
    expect(facts.bootloader).toEqual({
      mode: 9,
      modeName: "swap using offset",
      modeFrom: "bootloader",
      version: "2.3.0",
      signature: "ed25519",
      recovery: "serial",
      runningSlot: 0,
    });
    expect(
      facts.images.map(({ image, storedCounter, maxImageSize }) => [
        image,
        storedCounter?.value,
        maxImageSize,
      ]),
    ).toEqual([[0, 7, 122880]]);
    expect(drawFacts(facts)).toMatch(
      /bootloader +MCUboot 2\.3\.0, swap using offset \(reported by the bootloader\), downgrade prevention not reported, asks for ed25519 signatures, has serial recovery\n/,
    );
  });

  test("the preflight holds an image against the largest that the bootloader takes, and goes by its mode", async () => {
    const facts = await readFacts(await deviceWith(ZEPHYR_TRUST));
    const sized = async (body: number) => {
      const { image } = await signImage(new Uint8Array(body), {
        key: await fixtureKey("ed25519-1"),
        version: "2.0.0",
        securityCounter: 7,
        headerSize: 0x200,
        padHeader: true,
        slotSize: 0,
      });
      const checks = checkAgainstBoard({
        image: parseImage(image),
        facts,
        imageNumber: 0,
        throughRecovery: false,
      });
      return Object.fromEntries(checks.map(({ name, result, message }) => [name, [result, message]]));
    };
    const large = await sized(122880);
    expect(large["fits-slot"]).toEqual([
      "fail",
      expect.stringMatching(/more than the 122880 that the bootloader allows/),
    ]);
    const small = await sized(4096);
    expect(small["fits-slot"]).toEqual([
      "pass",
      expect.stringMatching(/fit the 122880 that the bootloader allows/),
    ]);
    expect(small["revert-possible"]).toEqual(["pass", expect.stringMatching(/Mode swap using offset/)]);
  });

  test("the slot that runs is the one that the bootloader started, where the list states no flags", async () => {
    const facts = await readFacts(
      await deviceWith({
        ...ZEPHYR_TRUST,
        "1/0": () => ({ images: [0, 1].map((slot) => ({ slot, version: `1.0.${slot}` })) }),
        "200/2": () => ({ mode: 4, state: "application", slot: 1 }),
      }),
    );
    expect(runningSlot(facts)?.content?.version).toBe("1.0.1");
  });
});

test("our board's trust group comes first", async () => {
  const bench = await boardSession();
  const facts = await readFacts(bench.session);
  expect(facts.images[0]?.storedCounter).toEqual({ value: 1, source: "device" });
  expect(facts.images[0]?.slots[0]?.content?.securityCounter).toEqual({ value: 1, source: "device" });
  await bench.close();
});

test("a trust group that knows only what the bootloader left is enough", async () => {
  const facts = await readFacts(
    await deviceWith({
      "200/0": () => ({ images: [{ image: 0, counter: 6, slots: [] }] }),
      "200/2": () => ({ mode: 3, state: "application", slot: 0 }),
    }),
  );
  expect(facts.reportsTrust).toBe(true);
  expect(facts.images[0]?.storedCounter).toEqual({ value: 6, source: "device" });
  expect(facts.bootloader).toMatchObject({ mode: 3, modeFrom: "bootloader" });
  expect(facts.boot).toBeUndefined();
});

test("a board without an image group is not taken for one with empty slots", async () => {
  const without = await readFacts(await deviceWith({ "1/0": () => ({ rc: 8 }) }));
  expect(without.noImageGroup).toBe(true);
  expect(drawFacts(without)).toContain("the board has no image group");
  await open?.close();
  const empty = await readFacts(await deviceWith({ "1/0": () => ({ images: [] }) }));
  expect(empty.noImageGroup).toBeUndefined();
  expect(drawFacts(empty)).toContain("no image in any slot");
});
