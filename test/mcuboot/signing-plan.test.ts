import { describe, expect, it } from "vitest";
import { prepareImage, signByPlan, signImage } from "../../src/mcuboot/sign.js";
import { signingPlan } from "../../src/mcuboot/signing-plan.js";
import { payload } from "../support/image-imgtool-args.js";
import { throwAwayKeys } from "../support/image-keys.js";

const keys = await throwAwayKeys();
const COMMON = { version: "1.2.3+4", headerSize: 32, padHeader: true, slotSize: 0x2000 } as const;

describe("a signing plan", () => {
  it("has every default in its place", () => {
    expect(signingPlan({ version: "2.0", headerSize: 0x200, slotSize: 0 })).toEqual({
      endian: "little",
      header: {
        version: { major: 2, minor: 0, revision: 0, build: 0 },
        size: 0x200,
        isAdded: false,
        address: 0,
        flags: 0,
        filler: 0,
      },
      slot: {
        size: 0,
        trailer: undefined,
        align: 1,
        maxAlign: 8,
        maxSectors: 128,
        overwriteOnly: false,
        erasedValue: 0xff,
        endian: "little",
        saved: "nothing",
      },
      tlvs: { securityCounter: undefined, bootRecord: undefined, dependencies: [], others: [] },
      signature: { hash: undefined, isPure: false, isPadded: false, publicKeyFormat: "hash" },
      compression: undefined,
      encryption: undefined,
    });
  });

  it.each([
    ["a header that is too short", { headerSize: 31 }, "option-out-of-range"],
    ["a slot of no size", { slotSize: -1 }, "bad-option"],
    ["two addresses", { loadAddress: 1, romFixed: 2 }, "bad-option"],
    ["an address beyond 32 bits", { romFixed: 2 ** 32 }, "option-out-of-range"],
    ["a trailer without a slot", { slotSize: 0, trailer: "test" }, "bad-option"],
    ["a write size above the alignment", { align: 16, maxAlign: 8 }, "bad-option"],
    ["a long software type", { bootRecord: "thirteen char" }, "bad-option"],
    ["a counter that does not fit", { securityCounter: 2 ** 32 }, "option-out-of-range"],
    ["a class name without a vendor", { classId: "widget" }, "bad-option"],
    ["a TLV of MCUboot's", { customTlvs: [{ type: 0x10, value: new Uint8Array(1) }] }, "bad-option"],
    ["a version that is none", { version: "1.2.x" }, "bad-version"],
    [
      "a compressed image that cannot boot",
      { nonBootable: true, compression: { kind: "lzma2", compress: async (b: Uint8Array) => b } },
      "bad-option",
    ],
  ] as const)("refuses %s before there is a body", (_, options, code) => {
    expect(() => signingPlan({ ...COMMON, ...options })).toThrow(expect.objectContaining({ code }));
  });

  it("makes the same image however often it is read, and leaves it to the key which hash", async () => {
    const plan = Object.freeze(signingPlan({ ...COMMON, securityCounter: "auto", trailer: "confirmed" }));
    expect(plan.tlvs.securityCounter).toBe((1 << 24) + (2 << 16) + 3);
    const image = await signImage(payload("p64"), {
      ...COMMON,
      securityCounter: "auto",
      trailer: "confirmed",
    });
    for (let times = 0; times < 2; times++)
      expect((await signByPlan(payload("p64"), plan)).bytes).toEqual(image.bytes);
    const hashes = (["ed25519", "ecdsa-p384"] as const).map(
      (type) => prepareImage(payload("p64"), plan, keys[type].publicKey).hash.name,
    );
    expect(hashes).toEqual(["sha256", "sha384"]);
  });
});
