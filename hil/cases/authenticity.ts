import { publishedKeyName } from "bootproof/crypto";
import { type Case, fails, holds, refusal } from "../case.js";
import type { Harness } from "../harness/harness.js";
import { cutShort, flipBit, keyHashAt, rehash, signatureAt, withSignatureOf } from "../images/image-edits.js";

const claim = "signature";
const needs = ["key", "signature"] as const;

/** Who made it? */
export const authenticity: readonly Case[] = [
  refusal({
    id: "authenticity/unsigned",
    claim,
    summary: "An image with a correct hash and no signature does not start.",
    what: "an unsigned image",
    needs: ["key"],
    quick: true,
    make: (factory) => factory.make({ key: "none" }),
  }),
  refusal({
    id: "authenticity/foreign-key",
    claim,
    summary: "An image signed with a foreign key does not start.",
    what: "an image signed with a foreign key",
    needs,
    quick: true,
    make: async (factory) => factory.make({ key: await factory.foreignKey() }),
  }),
  refusal({
    id: "authenticity/wrong-signature",
    claim,
    summary: "An image that names a trusted key but has a wrong signature does not start.",
    what: "a trusted key's hash, one bit of the signature flipped",
    needs: ["update", "signature"],
    quick: true,
    make: async (factory) => {
      const good = await factory.update();
      return flipBit(good, signatureAt(good) + 8);
    },
  }),
  refusal({
    id: "authenticity/signature-cut-short",
    claim,
    summary: "An image that is cut short in its signature does not start.",
    what: "the end of its signature missing",
    needs: ["update", "signature"],
    make: async (factory) => cutShort(await factory.update()),
  }),
  refusal({
    id: "authenticity/other-signature",
    claim,
    summary: "A good signature over another image does not help.",
    what: "an image with the signature of another one",
    needs,
    make: async (factory) => {
      const file = await factory.make({});
      return withSignatureOf(file, factory.asksForSignature ? factory.baseFile : file);
    },
  }),
  refusal({
    id: "authenticity/key-hash",
    claim,
    summary: "A good signature that names an unknown key does not help.",
    what: "a bit of the key hash flipped",
    needs: ["update", "signature"],
    make: async (factory) => {
      const good = await factory.update();
      return flipBit(good, keyHashAt(good));
    },
  }),
  refusal({
    id: "authenticity/body-edited",
    claim,
    summary: "Changing the program and recomputing the hash does not help.",
    what: "the last byte of the body changed, the hash recomputed",
    needs: ["update", "signature"],
    quick: true,
    make: async (factory) => {
      const good = await factory.update();
      const { headerSize } = factory.base.header;
      return rehash(flipBit(good, headerSize + bodyLength(good) - 1));
    },
  }),
  refusal({
    id: "authenticity/version-edited",
    claim,
    summary: "Raising the version in the header and recomputing the hash does not help.",
    what: "the version raised by patching the header, the hash recomputed",
    needs: ["update", "signature"],
    make: async (factory) => rehash(flipBit(await factory.update(), 22, 3)),
  }),
  {
    id: "authenticity/published-key",
    claim,
    summary: "The board trusts none of MCUboot's development keys, whose private parts are public.",
    needs: ["signature"],
    risk: "nothing",
    expected: "Neither the board's own image nor its list of keys names one of them.",
    quick: true,
    steps: publishedKey,
  },
];

async function publishedKey(harness: Harness) {
  const fromImage = harness.factory.base.keyHashes.map((hash) => ({ hash, from: "its own image" }));
  const reported = harness.initial.trustedKeys;
  const fromBoard = (reported ?? []).map((hash) => ({
    hash: Uint8Array.from(Buffer.from(hash, "hex")),
    from: "its list of keys",
  }));
  for (const { hash, from } of [...fromImage, ...fromBoard]) {
    const name = publishedKeyName(hash);
    if (name !== undefined) return fails(`${from} names ${name}, a published development key.`);
  }
  const looked =
    reported !== undefined ? "its own image and its list of keys" : "its own image (it does not list keys)";
  return holds(
    `Looked at ${fromImage.length + fromBoard.length} key hashes from ${looked}: none is published.`,
  );
}

function bodyLength(file: Uint8Array): number {
  return new DataView(file.buffer, file.byteOffset).getUint32(12, true);
}
