import { DeviceError, imageUpload } from "bootproof";
import { type Case, fails, holds, refusal } from "../case.js";
import { compressedWithWrongHash } from "../forge.js";
import type { Stand } from "../stand.js";

/** Is it for this board? */
export const compatibility: readonly Case[] = [
  refusal({
    id: "compatibility/encrypted-for-another",
    claim: "compatibility",
    says: "An image encrypted for another key does not start.",
    what: "a good image encrypted for a key this board does not have",
    needs: ["key"],
    quick: true,
    make: async (forge) => forge.make({ options: { encrypt: { key: await forge.foreignEncryptionKey() } } }),
  }),
  refusal({
    id: "compatibility/compressed-wrong-hash",
    claim: "compatibility",
    says: "A compressed image whose inner hash is wrong does not start.",
    what: "an image that says it is compressed, with a wrong inner hash",
    needs: ["key"],
    make: (forge) => compressedWithWrongHash(forge),
  }),
  refusal({
    id: "compatibility/not-bootable",
    claim: "compatibility",
    says: "An image marked as not bootable does not start.",
    what: "a good image marked as not bootable",
    needs: ["key"],
    make: (forge) => forge.make({ options: { nonBootable: true } }),
  }),
  {
    id: "compatibility/image-number",
    claim: "image-number",
    says: "An upload for an image number that the board does not have is refused.",
    needs: ["secondary", "update"],
    risk: "secondary slot",
    expected: "The SMP server refuses the first chunk.",
    quick: true,
    steps: imageNumber,
  },
  refusal({
    id: "compatibility/load-address",
    claim: "load-address",
    says: "An image linked for an address that this board does not have does not start.",
    what: "a good image with a load address of 0xf0000000",
    needs: ["key"],
    make: (forge) =>
      forge.make({
        options: forge.isRamLoad ? { loadAddress: 0xf000_0000 } : { romFixed: 0xf000_0000 },
      }),
  }),
  refusal({
    id: "compatibility/dependency",
    claim: "dependencies",
    says: "An image that needs a version of another image that is not there is not installed.",
    what: "an update that needs version 99 of image 1",
    needs: ["key", "two-images"],
    control: "dependency-met",
    make: (forge) =>
      forge.make({
        options: { dependencies: [{ image: 1, version: { major: 99, minor: 0, revision: 0, build: 0 } }] },
      }),
  }),
  refusal({
    id: "compatibility/vendor-id",
    claim: "vendor-id",
    says: "An image with another vendor id does not start.",
    what: "a good image with another vendor id",
    needs: ["key"],
    make: (forge) => forge.make({ options: { vendorId: "another-vendor.example" } }),
  }),
  refusal({
    id: "compatibility/class-id",
    claim: "vendor-id",
    says: "An image with another class id does not start.",
    what: "a good image with another class id",
    needs: ["key"],
    make: (forge) =>
      forge.make({ options: { vendorId: "another-vendor.example", classId: "another-product" } }),
  }),
];

/** Higher than any board has, and the numbers right behind the ones it has. */
async function imageNumber(stand: Stand) {
  const file = await stand.forge.update();
  const own = new Set(stand.home.slots.map(({ image }) => image)).size || 1;
  const taken: number[] = [];
  for (const image of [own, own + 1, 7, 63]) {
    stand.note(`first chunk of an upload for image number ${image}`);
    try {
      await stand.client.send(
        imageUpload,
        { off: 0, len: file.length, data: file.subarray(0, 64), image },
        { signal: stand.signal, timeoutMs: 40_000 },
      );
      taken.push(image);
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      stand.note(`image ${image}: ${error.message}`);
    }
  }
  const after = await stand.boot();
  if (after.running?.hash !== stand.home.running?.hash)
    return fails("The board does not run its image any more.");
  return taken.length === 0
    ? holds(`None of the image numbers ${own}, ${own + 1}, 7, 63 was accepted.`)
    : fails(`The server took an upload for image number ${taken.join(", ")}; the board has ${own}.`);
}
