import { beforeAll, describe, expect, it } from "vitest";
import { generateKey, type Key } from "../../src/crypto/keys.js";
import { keySigner } from "../../src/crypto/signer.js";
import { boardVariant, fixtureBody, fixtureKey } from "../../src/emulator/catalog.js";
import { LAYOUT, slotOffset } from "../../src/emulator/layout.js";
import type { Provision, TrustedKeyType } from "../../src/emulator/provision.js";
import { startBoard } from "../../src/emulator/start.js";
import { nextBoot } from "../../src/mcuboot/next-boot.js";
import { resignImage } from "../../src/mcuboot/resign.js";
import { acceptance, rotationStages, whoSigned } from "../../src/mcuboot/rotation.js";
import { decideSetNext } from "../../src/mcuboot/set-next.js";
import { type SignOptions, signImage } from "../../src/mcuboot/sign.js";
import { parseSlot } from "../../src/mcuboot/slot.js";
import { bootMagic, parseTrailer, trailerLayout } from "../../src/mcuboot/trailer.js";
import { verifyImage } from "../../src/mcuboot/verify.js";
import { payload } from "../support/image-imgtool-args.js";
import { throwAwayKeys } from "../support/image-keys.js";
import { HarnessBoard, provisionOf } from "../support/mcuboot-board.js";
import { readRecording } from "../support/mcuboot-recordings.js";

/** Our bootloader in C knows nothing of this library: what one signs or foretells, the other must do. */

const keys = await throwAwayKeys();
const base: Provision = provisionOf(readRecording("move-ed25519-w4").config);
const OPTIONS: SignOptions = {
  version: "1.2.3",
  headerSize: 512,
  padHeader: true,
  slotSize: LAYOUT.slotSize,
  securityCounter: 1,
};

const trusted = (key: Key) => ({ type: key.type as TrustedKeyType, der: key.publicDer });

function boots(image: Uint8Array, trustedKeys: readonly Key[]): boolean {
  const board = HarnessBoard.make({ ...base, keys: trustedKeys.map(trusted) });
  board.flash.program(slotOffset(0, 0), image);
  return board.boot().kind === "start";
}

describe("an image signed here starts there", () => {
  const TYPES = ["ed25519", "ecdsa-p256", "rsa-2048", "rsa-3072"] as const;

  it.each(TYPES)("%s", async (type) => {
    const others = TYPES.filter((other) => other !== type).map((other) => keys[other]);
    for (const more of [
      {},
      { padSignature: true },
      { dependencies: [], customTlvs: [{ type: 0xa0, value: new Uint8Array(5) }], vendorId: "example.com" },
    ]) {
      const { bytes } = await signImage(payload("p3000"), { ...OPTIONS, ...more, key: keys[type] });
      expect(boots(bytes, [keys[type]])).toBe(true);
      expect(boots(bytes, others)).toBe(false);
      const broken = bytes.slice();
      broken[1000]! ^= 1;
      expect(boots(broken, [keys[type]])).toBe(false);
    }
  });

  it.each([
    ["p256", "p256-1"],
    ["rsa2048", "rsa2048-1"],
    ["rsa3072", "rsa3072-1"],
  ])("%s: the whole board, application and all", async (variant, keyName) => {
    const row = boardVariant(variant);
    const { image } = await signImage(fixtureBody("good-a", "wasm"), {
      ...OPTIONS,
      headerSize: LAYOUT.imageHeaderSize,
      align: row.writeUnit,
      maxSectors: 32,
      key: await fixtureKey(keyName),
    });
    const board = await startBoard({ machine: "wasm", variant, install: image });
    try {
      expect(await board.log.waitFor(/app: .* started/, { from: 0 })).toMatch(/started/);
    } finally {
      await board.close();
    }
  });
});

describe("a change of keys", () => {
  let old: Key;
  let next: Key;
  let first: Uint8Array;
  let second: Uint8Array;
  let both: Uint8Array;

  beforeAll(async () => {
    [old, next] = [await generateKey("ed25519"), await generateKey("ed25519")];
    first = (await signImage(payload("p3000"), { ...OPTIONS, key: old })).bytes;
    second = await resignImage(first, keySigner(next));
    both = await resignImage(first, keySigner(next), { add: true });
  });

  it("what is foretold for {old}, {old, new}, {new} is what boards do", async () => {
    const stages = rotationStages(old, next);
    const images = [
      { name: "old", value: first },
      { name: "new", value: second },
      { name: "both", value: both },
    ];
    const foretold = await acceptance(images, stages);
    expect(foretold.map(({ accepted }) => accepted)).toEqual([
      [true, true, false],
      [false, true, true],
      [true, true, true],
    ]);
    for (const { name, value } of images)
      expect(
        stages.map((stage) => boots(value, stage.keys)),
        name,
      ).toEqual(foretold.find(({ image }) => image === name)!.accepted);
  });

  it("who signed what", async () => {
    const images = [
      { name: "both", value: both },
      { name: "second", value: second },
    ];
    const named = [
      { name: "a", value: old },
      { name: "b", value: next.publicKey },
      { name: "c", value: keys["rsa-2048"] },
    ];
    expect(await whoSigned(images, named)).toEqual([
      { image: "both", signedBy: ["a", "b"], unknown: [] },
      { image: "second", signedBy: ["b"], unknown: [] },
    ]);
    expect(await whoSigned(images.slice(1), named.slice(0, 1))).toEqual([
      { image: "second", signedBy: [], unknown: [next.keyHash] },
    ]);
  });

  it("the content does not change, and signing back gives the first file again", async () => {
    expect(await resignImage(second, keySigner(old))).toEqual(first);
    expect(await resignImage(both, keySigner(old))).toEqual(first);
  });

  it("the trailer of a filled-up file stays", async () => {
    const padded = await signImage(payload("p3000"), { ...OPTIONS, key: old, trailer: "confirmed" });
    const again = await resignImage(padded.bytes, keySigner(next), { add: true });
    expect(again.length).toBe(padded.bytes.length);
    expect(again.subarray(-64)).toEqual(padded.bytes.subarray(-64));
    expect(await verifyImage(again, { keys: [next.publicKey] })).toMatchObject({ result: "good" });
    expect(boots(again, [next])).toBe(true);
    // And shorter again: the space that becomes free is erased.
    expect(await resignImage(again, keySigner(old))).toEqual(padded.bytes);
  });

  it("from one kind of key to another, with the hash that goes with it", async () => {
    for (const type of ["rsa-2048", "ecdsa-p256", "ecdsa-p384"] as const) {
      const image = await resignImage(first, keySigner(keys[type]));
      expect(await verifyImage(image, { keys: [keys[type].publicKey] })).toMatchObject({ result: "good" });
      if (type !== "ecdsa-p384") expect(boots(image, [keys[type]])).toBe(true);
    }
    const mixed = resignImage(first, keySigner(keys["ecdsa-p384"]), { add: true });
    await expect(mixed).rejects.toMatchObject({ code: "key-mismatch" });
  });

  it.each([
    ["a boot record", { bootRecord: "APP" }],
    ["a pure signature, for a key that has none", { pure: true }],
  ])("refused: %s", async (_name, more) => {
    const { bytes } = await signImage(payload("p64"), { ...OPTIONS, ...more, key: old });
    await expect(resignImage(bytes, keySigner(keys["rsa-2048"]))).rejects.toMatchObject({
      code: "key-mismatch",
    });
  });

  it("no room after the image", async () => {
    const { bytes } = await signImage(payload("p64"), { ...OPTIONS, key: old });
    const followed = Uint8Array.from([...bytes, 1, 2, 3, ...new Uint8Array(2000)]);
    const attempt = resignImage(followed, keySigner(next), { add: true });
    await expect(attempt).rejects.toMatchObject({ code: "slot-too-small" });
  });

  it("an encrypted image, whose signature is over what it decrypts to", async () => {
    const options = { ...OPTIONS, key: keys.ed25519, encrypt: { key: keys.x25519.publicKey } };
    const { bytes } = await signImage(payload("p3000"), options);
    await expect(resignImage(bytes, keySigner(next))).rejects.toMatchObject({ code: "key-mismatch" });
    const again = await resignImage(bytes, keySigner(next), { decryptionKey: keys.x25519 });
    const verdict = await verifyImage(again, { keys: [next.publicKey], decryptionKey: keys.x25519 });
    expect(verdict).toMatchObject({ result: "good" });
  });
});

const layout = trailerLayout(8);
const FLAGS = { unset: 0xff, set: 1, bad: 0x55 } as const;
const MAGICS = {
  unset: new Uint8Array(16).fill(0xff),
  good: bootMagic(8),
  bad: new Uint8Array(16).fill(7),
} as const;

/** A board with these trailers; both slots hold a good image. */
async function boardWith(
  states: Partial<Record<"primary" | "secondary", [keyof typeof MAGICS, number, number]>>,
) {
  const board = HarnessBoard.make({ ...base, keys: [trusted(keys.ed25519)] });
  for (const [slot, version] of [
    ["primary", "1.0.0"],
    ["secondary", "2.0.0"],
  ] as const) {
    const { bytes } = await signImage(payload("p3000"), { ...OPTIONS, version, key: keys.ed25519 });
    const start = slotOffset(0, slot === "primary" ? 0 : 1);
    board.flash.program(start, bytes);
    const [magic, imageOk, copyDone] = states[slot] ?? ["unset", 0xff, 0xff];
    const end = start + LAYOUT.slotSize;
    board.flash.program(end - 16, MAGICS[magic]);
    board.flash.program(end - layout.imageOk, Uint8Array.of(imageOk));
    board.flash.program(end - layout.copyDone, Uint8Array.of(copyDone));
  }
  return board;
}

describe("requests and confirmations do there what the table says", () => {
  for (const target of ["active", "inactive"] as const)
    for (const magic of ["unset", "good", "bad"] as const)
      for (const imageOk of ["unset", "set", "bad"] as const)
        for (const confirm of [false, true])
          it(`${target}, magic ${magic}, image_ok ${imageOk}, confirm ${confirm}`, async () => {
            const slot = target === "active" ? "primary" : "secondary";
            const board = await boardWith({ [slot]: [magic, FLAGS[imageOk], 0xff] });
            const before = parseTrailer(board.slot(slot).slice());
            const rule = decideSetNext(target, before, confirm);
            const status = board.setNext(slot, target === "active", confirm);
            expect(status).toBe(rule.error ?? 0);
            const after = parseTrailer(board.slot(slot));
            const wrote = (field: string) => rule.writes.some((write) => write.field === field);
            const info = rule.writes.find((write) => write.field === "swapInfo");
            expect(after.magic).toBe(wrote("magic") ? "good" : before.magic);
            // A flag that was damaged before cannot be written clean without an erase.
            if (imageOk !== "bad") expect(after.imageOk).toBe(wrote("imageOk") ? "set" : before.imageOk);
            expect(after.swapInfo?.type).toBe(info?.type ?? before.swapInfo?.type);
          });
});

describe("the next boot is what was foretold", () => {
  for (const secondary of ["unset", "good", "bad"] as const)
    for (const secondaryOk of [0xff, 1, 0x55])
      for (const primary of ["unset", "good", "bad"] as const)
        for (const [primaryOk, copyDone] of [
          [0xff, 0xff],
          [0xff, 1],
          [1, 1],
        ] as const)
          it(`secondary ${secondary} ${secondaryOk}, primary ${primary} ${primaryOk} ${copyDone}`, async () => {
            const board = await boardWith({
              primary: [primary, primaryOk, copyDone],
              secondary: [secondary, secondaryOk, 0xff],
            });
            const slots = (["primary", "secondary"] as const).map((name) => {
              const bytes = board.slot(name).slice();
              return { slot: parseSlot(bytes) };
            });
            const { swapType, outcome } = nextBoot("swap-move", slots[0]!, slots[1]!);
            expect(board.state()[0]).toBe(swapType);
            expect(board.boot().kind).toBe("start");
            const running = parseSlot(board.slot("primary")).image!.version.major;
            expect(running).toBe(outcome === "swap" ? 2 : 1);
          });
});
