import fc from "fast-check";
import { expect, it } from "vitest";
import { BlockMap, bitmapOf } from "../../src/agents/block-map.js";
import { toHex } from "../../src/bytes.js";
import { decodeCbor } from "../../src/smp/cbor.js";

it("writes a bitmap as the service documents it: bit 0 of byte 0 is the block at the offset", () => {
  expect(toHex(bitmapOf([5, 6, 12, 30], 5))).toBe("83000002");
});

it("asks for holes only, and for no more than is allowed at once", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5000 }),
      fc.integer({ min: 1, max: 64 }),
      fc.array(fc.nat(100), { maxLength: 200 }),
      (size, most, arrived) => {
        const blocks = new BlockMap(size, 64);
        for (const block of arrived) blocks.add(block);
        const seen = new Set(arrived.filter((block) => block < blocks.count));
        expect(blocks.missing).toBe(blocks.count - seen.size);
        const asked = blocks.request(most);
        if (asked === undefined) {
          expect(blocks.missing).toBe(0);
          return;
        }
        const named = [...Array(asked.bitmap.length * 8).keys()]
          .filter((bit) => (asked.bitmap[bit >> 3]! >> (bit & 7)) & 1)
          .map((bit) => asked.offset + bit);
        expect(named).toHaveLength(asked.count);
        expect(asked.count).toBeLessThanOrEqual(most);
        for (const block of named) expect(seen.has(block)).toBe(false);
        const again = new BlockMap(size, 64);
        again.addBitmap(blocks.toBitmap());
        expect(again.missing).toBe(blocks.missing);
      },
    ),
  );
});

it("reads a block as another CBOR library writes it", () => {
  // cbor2 5.6: {"c": "rdy", "f": 0, "l": 3, "i": 2, "p": b"\x01\x02\x03"}
  const block = decodeCbor(
    Uint8Array.from(Buffer.from("a5616363726479616600616c03616902617043010203", "hex")),
  );
  expect({ ...(block as object) }).toEqual({ c: "rdy", f: 0, l: 3, i: 2, p: Uint8Array.of(1, 2, 3) });
});
