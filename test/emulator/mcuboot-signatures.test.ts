import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { slotOffset } from "../../src/emulator/layout.js";
import type { Provision, TrustedKey, TrustedKeyType } from "../../src/emulator/provision.js";
import { HarnessBoard, provisionOf } from "../support/mcuboot-board.js";
import { imageBytes, publicKey, readRecording } from "../support/mcuboot-recordings.js";

/** Images that imgtool signed; see test/vectors/image/README.md. */
const vectors = (name: string) =>
  JSON.parse(readFileSync(new URL(`../vectors/image/${name}`, import.meta.url), "utf8"));
const signed = (vectors("imgtool-signatures.json").images as [string, string[], string][])
  .filter(([key, options]) => key !== "ecdsa-p384" && !options.includes("full"))
  .map(([key, options, hex]) => ({ key: key as TrustedKeyType, options, bytes: Buffer.from(hex, "hex") }));
const publicKeys = new Map(
  (vectors("keys.json").keys as { type: string; public_der: string }[]).map(({ type, public_der }) => [
    type,
    Buffer.from(public_der, "hex"),
  ]),
);

/** In the encoding MCUboot hashes, as imgtool prints it. */
function trusted(type: TrustedKeyType): TrustedKey {
  return { type, der: publicKeys.get(type)! };
}

const TYPES: TrustedKeyType[] = ["rsa-2048", "rsa-3072", "ecdsa-p256", "ed25519"];
const base: Provision = provisionOf(readRecording("move-ed25519-w4").config);

function bootOf(
  image: Uint8Array,
  keys: readonly TrustedKey[],
  policy: Provision["policy"] = base.policy,
): string {
  const board = HarnessBoard.make({ ...base, policy, keys });
  board.flash.program(slotOffset(0, 0), image);
  const { kind } = board.boot();
  return kind === "start" ? "start" : (/verify-failed, reason ([a-z-]+)/.exec(board.log)?.[1] ?? "no reason");
}

const flipped = (image: Uint8Array, at: number) => {
  const copy = Uint8Array.from(image);
  copy[at]! ^= 0x10;
  return copy;
};

describe("signatures made by imgtool", () => {
  test.each(signed)("$key $options boots with its key, alone or as the last of four", ({ key, bytes }) => {
    expect(bootOf(bytes, [trusted(key)])).toBe("start");
    expect(bootOf(bytes, [...TYPES.filter((type) => type !== key), key].map(trusted))).toBe("start");
  });

  test.each(TYPES.slice(0, 3))("%s: not with the other keys, not without any", (type) => {
    const { bytes } = signed.find(({ key }) => key === type)!;
    expect(bootOf(bytes, TYPES.filter((other) => other !== type).map(trusted))).toBe("unknown-key");
    expect(bootOf(bytes, [])).toBe("unknown-key");
    expect(bootOf(bytes, [], [...base.policy, "no-signature"])).toBe("start");
  });

  test.each(TYPES.slice(0, 3))("%s: a bit flipped anywhere in the image or its TLVs is refused", (type) => {
    const { bytes } = signed.find(({ key }) => key === type)!;
    const end = 32 + 64 + 4 + 36 + 36;
    const reasons = new Set<string>();
    for (let at = 0; at < bytes.length; at += at < end ? 1 : 7) {
      const reason = bootOf(flipped(bytes, at), [trusted(type)]);
      expect(reason, `byte ${at}`).not.toBe("start");
      reasons.add(reason);
    }
    for (const reason of ["header", "hash", "unknown-key", "signature", "tlv"])
      expect(reasons).toContain(reason);
  });

  test("a key of one type under the name of another verifies nothing", () => {
    const { bytes } = signed.find(({ key }) => key === "rsa-2048")!;
    for (const type of TYPES.filter((other) => other !== "rsa-2048"))
      expect(bootOf(bytes, [{ type, der: trusted("rsa-2048").der }])).toBe("no-signature");
  });

  test("a damaged RSA key verifies nothing and stops nobody", () => {
    const { der } = trusted("rsa-2048");
    for (let at = 0; at < 12; at++) {
      const image = signed.find(({ key }) => key === "rsa-2048")!.bytes;
      expect(bootOf(image, [{ type: "rsa-2048", der: flipped(der, at) }, trusted("ecdsa-p256")])).toBe(
        "unknown-key",
      );
    }
  });
});

describe("hostile slots", () => {
  const keys = [{ type: "ed25519" as const, der: publicKey("ed25519.1") }];
  const image = imageBytes("payload-1-byte.ed25519");

  test("any one bit of header or TLVs flipped: refused, never a crash", () => {
    expect(bootOf(image, keys)).toBe("start");
    for (let at = 0; at < image.length; at++) {
      if (at >= 32 && at < 0x1f8) continue; // header padding is one long stretch of the same
      for (let bit = 0; bit < 8; bit++) {
        const copy = Uint8Array.from(image);
        copy[at]! ^= 1 << bit;
        expect(bootOf(copy, keys), `byte ${at} bit ${bit}`).not.toBe("start");
      }
    }
  });

  test("cut short at any byte: refused", () => {
    for (let length = 0; length < image.length; length += length < 32 || length > 0x1f8 ? 1 : 40)
      expect(bootOf(image.subarray(0, length), keys), `${length} bytes`).not.toBe("start");
  });

  test("any size in any length field: refused, never a read outside the slot", () => {
    const fields = [
      [8, 2],
      [10, 2],
      [12, 4],
      [0x203, 2],
      [0x207, 2],
    ] as const;
    for (const [at, size] of fields)
      for (const value of [
        0, 1, 3, 4, 5, 0x7fff, 0xfff0, 0xffff, 0x1fdfe, 0x1ffff, 0x7fffffff, 0xfffffe00, 0xffffffff,
      ]) {
        const copy = Buffer.from(image);
        const kept = copy.readUIntLE(at, size);
        if (kept === value % 2 ** (8 * size)) continue;
        copy.writeUIntLE(value % 2 ** (8 * size), at, size);
        expect(bootOf(copy, keys), `${value} at ${at}`).not.toBe("start");
      }
  });
});
