import { describe, expect, it } from "vitest";
import { concat, fromHex, toHex } from "../../src/bytes.js";
import { DfuError } from "../../src/dfu/error.js";
import { isForDevice, readDfuFile, withSuffix } from "../../src/dfu/file.js";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** "hello dfu", then `dfu-suffix -v 0483 -p df11 -d 2200 -a` of dfu-util 0.11. */
const SUFFIXED = fromHex("68656c6c6f20646675002211df8304000155464410333dd8fd");
/** `dfuse-pack -b 0x08000000:a.bin -b 0x08004000:b.bin -D 0x0483:0xdf11` of dfu-util 0.11. */
const DFUSE = concat(
  fromHex("4466755365014801000001546172676574000100000053542e2e2e"),
  new Uint8Array(249),
  fromHex("001b0000000200000000000008080000004142434445464748004000080300000078797a"),
  fromHex("000011df83041a01554644104762fb6c"),
);

describe("files for DFU", () => {
  it("reads and writes the suffix dfu-suffix makes", () => {
    const ids = { vendorId: 0x0483, productId: 0xdf11, release: 0x2200 };
    const file = readDfuFile(SUFFIXED);
    expect({ ...file, content: text(file.content) }).toEqual({
      ids,
      targets: undefined,
      content: "hello dfu",
    });
    expect(toHex(withSuffix(file.content, ids))).toBe(toHex(SUFFIXED));
  });

  it("reads the elements dfuse-pack packs", () => {
    const { targets, ids } = readDfuFile(DFUSE);
    expect(ids).toMatchObject({ vendorId: 0x0483, productId: 0xdf11 });
    expect(targets).toMatchObject([{ alternate: 0, name: "ST..." }]);
    const elements = targets![0]!.elements.map(({ address, data }) => [address, text(data)]);
    expect(elements).toEqual([
      [0x08000000, "ABCDEFGH"],
      [0x08004000, "xyz"],
    ]);
  });

  it("takes a file without suffix as it is", () => {
    const file = Uint8Array.from({ length: 40 }, (_, index) => index);
    expect(readDfuFile(file)).toEqual({ ids: undefined, targets: undefined, content: file });
    expect(readDfuFile(new Uint8Array(0)).content.length).toBe(0);
  });

  it("notices every flipped bit of a suffixed file, or takes it for one without suffix", () => {
    for (let bit = 0; bit < SUFFIXED.length * 8; bit++) {
      const damaged = SUFFIXED.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(outcome(damaged), `bit ${bit}`).not.toBe("suffix believed");
    }
  });

  it("neither hangs nor reads beyond the end, wherever a DfuSe file is cut or changed", () => {
    const body = DFUSE.subarray(0, DFUSE.length - 16);
    for (let length = 5; length < body.length; length++)
      expect(() => readDfuFile(body.subarray(0, length)), `${length} bytes`).toThrow(DfuError);
    for (let at = 5; at < body.length; at++) {
      const changed = body.slice();
      changed[at] = 0xff;
      expect(["read", "refused"]).toContain(outcome(changed));
    }
  });

  it("knows for which device a file was made", () => {
    const ids = { vendorId: 0x0483, productId: 0xffff, release: 0xffff };
    expect(isForDevice(ids, { vendorId: 0x0483, productId: 0xdf11 })).toBe(true);
    expect(isForDevice(ids, { vendorId: 0x2fe3, productId: 0xdf11 })).toBe(false);
    expect(isForDevice(undefined, { vendorId: 1, productId: 2 })).toBe(true);
  });
});

function outcome(bytes: Uint8Array): "suffix believed" | "read" | "refused" {
  try {
    return readDfuFile(bytes).ids ? "suffix believed" : "read";
  } catch (error) {
    expect(error).toBeInstanceOf(DfuError);
    return "refused";
  }
}
