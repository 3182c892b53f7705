import { DeviceError } from "bootproof";
import { imageUpload } from "bootproof/smp";
import { type Case, fails, holds, refusal } from "../case.js";
import type { Harness } from "../harness/harness.js";
import { compressedWithWrongHash } from "../images/image-factory.js";
import { fixedTo } from "../images/malformed-lengths.js";
import { describe } from "../snapshot.js";
import { foreignNumbers, judgeNumbers, uploadNumbers } from "./upload-numbers.js";

/** Is it for this board? */
export const compatibility: readonly Case[] = [
  refusal({
    id: "compatibility/encrypted-for-another",
    claim: "compatibility",
    summary: "An image encrypted for another key does not start.",
    what: "a good image encrypted for a key this board does not have",
    needs: ["key"],
    quick: true,
    make: async (factory) =>
      factory.make({ options: { encrypt: { key: await factory.foreignEncryptionKey() } } }),
  }),
  refusal({
    id: "compatibility/compressed-wrong-hash",
    claim: "compatibility",
    summary: "A compressed image whose inner hash is wrong does not start.",
    what: "an image marked as compressed, with a wrong inner hash",
    needs: ["key"],
    make: (factory) => compressedWithWrongHash(factory),
  }),
  refusal({
    id: "compatibility/not-bootable",
    claim: "compatibility",
    summary: "An image marked as not bootable does not start.",
    what: "a good image marked as not bootable",
    needs: ["key"],
    make: (factory) => factory.make({ options: { nonBootable: true } }),
  }),
  {
    id: "compatibility/image-number",
    claim: "image-number",
    summary: "An upload for an image number that the board does not have is refused.",
    needs: ["server-upload", "update"],
    risk: "secondary slot",
    expected: "The SMP server refuses the first chunk.",
    quick: true,
    steps: imageNumber,
  },
  refusal({
    id: "compatibility/load-address",
    claim: "load-address",
    summary: "An image linked for an address that this board does not have does not start.",
    what: "a good image with a load address of 0xf0000000",
    needs: ["key"],
    make: (factory) =>
      factory.make({
        options: factory.isRamLoad ? { loadAddress: 0xf000_0000 } : { romFixed: 0xf000_0000 },
      }),
  }),
  refusal({
    id: "compatibility/other-slot",
    claim: "load-address",
    summary: "An image linked for the other slot does not start.",
    what: "a good image whose header names the address of the other slot",
    needs: ["key", "slot-addresses"],
    control: "own-address",
    quick: true,
    make: (factory, harness) => fixedTo(factory, harness.addressOf(otherThan(harness))!),
  }),
  refusal({
    id: "compatibility/plain",
    claim: "encrypted-only",
    summary: "An update that is not encrypted does not start.",
    what: "a good update, not encrypted",
    needs: ["key", "encryption"],
    control: "encrypted-update",
    quick: true,
    make: (factory) => factory.make({ encrypted: false }),
  }),
  refusal({
    id: "compatibility/dependency",
    claim: "dependencies",
    summary: "An image that needs a missing version of another image is not installed.",
    what: "an update that needs version 99 of image 1",
    needs: ["key", "two-images"],
    control: "dependency-met",
    make: (factory) =>
      factory.make({
        options: { dependencies: [{ image: 1, version: { major: 99, minor: 0, revision: 0, build: 0 } }] },
      }),
  }),
  refusal({
    id: "compatibility/vendor-id",
    claim: "vendor-id",
    summary: "An image with another vendor id does not start.",
    what: "a good image with another vendor id",
    needs: ["key"],
    make: (factory) => factory.make({ options: { vendorId: "another-vendor.example" } }),
  }),
  refusal({
    id: "compatibility/class-id",
    claim: "vendor-id",
    summary: "An image with another class id does not start.",
    what: "a good image with another class id",
    needs: ["key"],
    make: (factory) =>
      factory.make({ options: { vendorId: "another-vendor.example", classId: "another-product" } }),
  }),
];

/** The slot that the next update does not go to. */
function otherThan({ traits }: Harness): 0 | 1 {
  return traits.placeFor(0).slot === 1 ? 0 : 1;
}

/** Higher than any board has, and the numbers right behind the ones it has. */
async function imageNumber(harness: Harness) {
  const file = await harness.factory.update();
  const own = await uploadNumbers(harness);
  const tried = [...foreignNumbers(own.numbers, 2), 7, 63];
  const taken: number[] = [];
  for (const image of tried) {
    harness.note(`first chunk of an upload for image number ${image}`);
    try {
      await harness.client.send(
        imageUpload,
        { off: 0, len: file.length, data: file.subarray(0, 64), image },
        { signal: harness.signal, timeoutMs: 40_000 },
      );
      taken.push(image);
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      harness.note(`image ${image}: ${error.message}`);
    }
  }
  const after = await harness.boot();
  if (after.running?.hash !== harness.initial.running?.hash)
    return fails(`The board no longer runs its image: ${describe(after)}.`);
  return (
    judgeNumbers(taken, tried, own) ?? holds(`None of the image numbers ${tried.join(", ")} was accepted.`)
  );
}
