import fc from "fast-check";
import { expect, it } from "vitest";
import { concat, fromHex } from "../../src/bytes.js";
import { findImages } from "../../src/mcuboot/find-images.js";
import { formatVersion } from "../../src/mcuboot/version.js";
import { cliVectors } from "../support/image-cli-vectors.js";

/** imgtool's files: an image alone, and images in slots with trailers of both alignments. */
const alone = fromHex(cliVectors.extra["guarded.img"]!);
const padded = fromHex(cliVectors.extra["pad.img"]!);
const confirmed = fromHex(cliVectors.extra["confirm32.img"]!);
const erased = (length: number) => new Uint8Array(length).fill(0xff);

it("finds images and slots wherever they begin", () => {
  const start = erased(0x1000);
  const found = findImages(concat(start, padded, confirmed));
  expect(found.images.map(({ offset }) => offset)).toEqual([0x1000, 0x1000 + padded.length]);
  expect(found.slots).toEqual([
    { offset: 0x1000, size: padded.length },
    { offset: 0x1000 + padded.length, size: confirmed.length },
  ]);
  expect(found.slotEnds.map(({ maxAlign }) => maxAlign)).toEqual([8, 32]);
  expect(found.images.map(({ image }) => formatVersion(image.version))).not.toContain("");
});

it("an image without a trailer is found, and its slot is not made up", () => {
  const found = findImages(concat(erased(512), alone, erased(700)));
  expect(found.images).toHaveLength(1);
  expect([found.slots, found.slotEnds]).toEqual([[], []]);
});

it("an image inside another one's body, and a magic without an image, are none", () => {
  const outer = new Uint8Array(0x1000);
  outer.set(alone.subarray(0, 4), 0x400);
  expect(findImages(outer).images).toEqual([]);
});

it("any bytes: findings in order, inside the file, never one in another", () => {
  const piece = fc.oneof(
    fc.constantFrom(alone, padded, confirmed, padded.subarray(0, 600), alone.subarray(0, 32)),
    fc.nat(2000).map(erased),
    fc.uint8Array({ maxLength: 600 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
      const bytes = concat(...pieces);
      const { images, slots, slotEnds } = findImages(bytes);
      let end = 0;
      for (const { offset, image } of images) {
        expect(offset).toBeGreaterThanOrEqual(end);
        end = offset + image.size;
      }
      expect(end).toBeLessThanOrEqual(bytes.length);
      for (const { offset, size } of slots) expect(offset + size).toBeLessThanOrEqual(bytes.length);
      for (const { offset } of slotEnds) expect(offset).toBeLessThanOrEqual(bytes.length);
    }),
    { numRuns: 500 },
  );
});
