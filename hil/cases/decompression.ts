import { type Case, refusal } from "../case.js";
import { bomb, wrongInside } from "../compressed-image.js";

/** Of a board that unpacks compressed images: what they become is judged before the old image is overwritten. */
export const decompression: readonly Case[] = [
  refusal({
    id: "decompression/bomb",
    claim: "decompression",
    summary: "A small image that decompresses to megabytes, as it states, is refused.",
    what: "a signed image that decompresses to 4 MiB of zeros and states that size",
    needs: ["key", "decompresses"],
    control: "compressed",
    quick: true,
    make: (factory) => bomb(factory, "all of it"),
  }),
  refusal({
    id: "decompression/bomb-that-lies",
    claim: "decompression",
    summary: "A small image that decompresses to megabytes but states a usual size is refused.",
    what: "a signed image that decompresses to 4 MiB of zeros and states a usual size",
    needs: ["key", "decompresses"],
    control: "compressed",
    make: (factory) => bomb(factory, "a usual size"),
  }),
  refusal({
    id: "decompression/wrong-hash",
    claim: "decompression",
    summary: "An image whose decompressed content does not match the hash that it states is refused.",
    what: "a signed, compressed image with a wrong hash of its decompressed content",
    needs: ["key", "decompresses"],
    control: "compressed",
    quick: true,
    make: (factory) => wrongInside(factory, "hash"),
  }),
  refusal({
    id: "decompression/wrong-signature",
    claim: "decompression",
    summary: "An image whose inner signature is not over its decompressed content is refused.",
    what: "a signed, compressed image with a wrong signature over its decompressed content",
    needs: ["key", "signature", "decompresses"],
    control: "compressed",
    quick: true,
    make: (factory) => wrongInside(factory, "signature"),
  }),
];
