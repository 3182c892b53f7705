import { describe, expect, it } from "vitest";
import { encodeProvision, type Provision, provisionedBoard } from "../../src/emulator/provision.js";

const plain: Provision = {
  policy: [],
  mode: "swap-move",
  images: 1,
  writeUnit: 4,
  maxSectors: 32,
  bufSize: 1024,
  bufCount: 4,
  recoveryBufSize: 1024,
  board: "bench",
  serial: "0001",
  keys: [{ type: "ed25519", der: new Uint8Array(44).fill(7) }],
};

// That the firmware reads these bytes as meant is what every started board shows; see catalog.test.ts.
describe("the provisioning sector", () => {
  it("has the size that port/provision.c asserts, and the policy bits of port/provision.h", () => {
    const bytes = encodeProvision({ ...plain, policy: ["no-counter", "weak-no-revert"] });
    expect(bytes.length).toBe(2908);
    expect(Buffer.from(bytes.subarray(0, 16)).toString("hex")).toBe("4250525602005c0b2004000003010400");
  });

  it("has the shape of the flash, the mode and the decryption key where port/provision.h has them", () => {
    const bytes = encodeProvision({
      ...plain,
      mode: "swap-offset",
      writeUnit: 16,
      geometry: "large",
      erased: 0,
      decryption: { type: "x25519", key: new Uint8Array(32).fill(9), aesBits: 256 },
      ram: { start: 0x20100000, size: 0x20000 },
    });
    expect([...bytes.subarray(12, 15)]).toEqual([9, 1, 16]);
    expect(Buffer.from(bytes.subarray(1688, 1704)).toString("hex")).toBe("01001001200020000000102000000200");
    expect(bytes.subarray(1704, 1736)).toEqual(new Uint8Array(32).fill(9));
  });

  it("gives its board name back, unless a single bit is wrong", () => {
    const bytes = encodeProvision(plain);
    expect(provisionedBoard(bytes)).toBe("bench");
    for (const at of [0, 6, 24, 500, 2907]) {
      const damaged = bytes.slice();
      damaged[at]! ^= 1;
      expect(provisionedBoard(damaged), `byte ${at}`).toBeUndefined();
    }
    expect(provisionedBoard(new Uint8Array(4096).fill(0xff))).toBeUndefined();
  });

  it.each([
    ["a name of 32 characters", { board: "x".repeat(32) }],
    ["a serial number of 16", { serial: "1".repeat(16) }],
    ["a name that is not ASCII", { board: "bänk" }],
    ["five keys", { keys: Array(5).fill(plain.keys[0]) }],
    [
      "a decryption key of 1201 bytes",
      { decryption: { type: "rsa-2048", key: new Uint8Array(1201), aesBits: 128 } },
    ],
    ["a key of 401 bytes", { keys: [{ type: "rsa-3072", der: new Uint8Array(401) }] }],
  ] as const)("refuses %s", (_, part) => {
    expect(() => encodeProvision({ ...plain, ...(part as Partial<Provision>) })).toThrow(RangeError);
  });
});
