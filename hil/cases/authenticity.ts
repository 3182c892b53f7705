import { publishedKeyName, trustKeys } from "bootproof";
import { type Case, fails, holds, refusal } from "../case.js";
import { cutShort, flipBit, keyHashAt, rehash, signatureAt, withSignatureOf } from "../forge.js";
import type { Stand } from "../stand.js";

const claim = "signature";
const needs = ["key", "signature"] as const;

/** Who made it? */
export const authenticity: readonly Case[] = [
  refusal({
    id: "authenticity/unsigned",
    claim,
    says: "An image with a right hash and no signature does not start.",
    what: "an unsigned image",
    needs: ["key"],
    quick: true,
    make: (forge) => forge.make({ key: "none" }),
  }),
  refusal({
    id: "authenticity/foreign-key",
    claim,
    says: "An image signed with a key of somebody else does not start.",
    what: "an image signed with a foreign key",
    needs,
    quick: true,
    make: async (forge) => forge.make({ key: await forge.foreignKey() }),
  }),
  refusal({
    id: "authenticity/wrong-signature",
    claim,
    says: "An image that names the right key but has a wrong signature does not start.",
    what: "the right key's hash, a bit of the signature flipped",
    needs: ["update", "signature"],
    quick: true,
    make: async (forge) => {
      const good = await forge.update();
      return flipBit(good, signatureAt(good) + 8);
    },
  }),
  refusal({
    id: "authenticity/signature-cut-short",
    claim,
    says: "An image that ends too early, in its signature, does not start.",
    what: "the end of its signature missing",
    needs: ["update", "signature"],
    make: async (forge) => cutShort(await forge.update()),
  }),
  refusal({
    id: "authenticity/other-signature",
    claim,
    says: "A good signature over another image does not help.",
    what: "an image with the signature of another one",
    needs,
    make: async (forge) => {
      const file = await forge.make({});
      return withSignatureOf(file, forge.asksForSignature ? forge.baseFile : file);
    },
  }),
  refusal({
    id: "authenticity/key-hash",
    claim,
    says: "A good signature that names an unknown key does not help.",
    what: "a bit of the key hash flipped",
    needs: ["update", "signature"],
    make: async (forge) => {
      const good = await forge.update();
      return flipBit(good, keyHashAt(good));
    },
  }),
  refusal({
    id: "authenticity/body-edited",
    claim,
    says: "Changing the program and making its hash right again does not help.",
    what: "the last byte of the body changed, the hash made right again",
    needs: ["update", "signature"],
    quick: true,
    make: async (forge) => {
      const good = await forge.update();
      const { headerSize } = forge.base.header;
      return rehash(flipBit(good, headerSize + bodyLength(good) - 1));
    },
  }),
  refusal({
    id: "authenticity/version-edited",
    claim,
    says: "Raising the version in the header and making the hash right again does not help.",
    what: "the version raised by hand, the hash made right again",
    needs: ["update", "signature"],
    make: async (forge) => rehash(flipBit(await forge.update(), 22, 3)),
  }),
  {
    id: "authenticity/published-key",
    claim,
    says: "The board trusts none of MCUboot's development keys, whose private parts everybody can download.",
    needs: ["signature"],
    risk: "nothing",
    expected: "Neither the board's own image nor its list of keys names one of them.",
    quick: true,
    steps: publishedKey,
  },
];

async function publishedKey(stand: Stand) {
  const fromImage = stand.forge.base.keyHashes.map((hash) => ({ hash, from: "its own image" }));
  const told = stand.home.reportsTrust
    ? await stand.client.send(trustKeys, {}, { signal: stand.signal })
    : undefined;
  const fromBoard = (told?.keys ?? []).map(({ hash }) => ({ hash, from: "its list of keys" }));
  for (const { hash, from } of [...fromImage, ...fromBoard]) {
    const name = publishedKeyName(hash);
    if (name !== undefined) return fails(`${from} names ${name}, a development key that everybody has.`);
  }
  const looked =
    fromBoard.length > 0 ? "its own image and its list of keys" : "its own image (it does not list keys)";
  return holds(
    `Looked at ${fromImage.length + fromBoard.length} key hashes from ${looked}: none is published.`,
  );
}

function bodyLength(file: Uint8Array): number {
  return new DataView(file.buffer, file.byteOffset).getUint32(12, true);
}
