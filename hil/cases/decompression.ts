import { type Case, refusal } from "../case.js";
import { bomb, wrongInside } from "../compressed-image.js";

/** Of a board that unpacks compressed images: what they become is judged before the old image is overwritten. */
export const decompression: readonly Case[] = [
  refusal({
    id: "decompression/bomb",
    claim: "decompression",
    says: "A small image that becomes megabytes, as it states, is refused.",
    what: "a signed image that unpacks to 4 MiB of zeros and says so",
    needs: ["key", "unpacks"],
    control: "compressed",
    quick: true,
    make: (factory) => bomb(factory, "all of it"),
  }),
  refusal({
    id: "decompression/bomb-that-lies",
    claim: "decompression",
    says: "A small image that becomes megabytes, and states a usual size, is refused.",
    what: "a signed image that unpacks to 4 MiB of zeros and states a usual size",
    needs: ["key", "unpacks"],
    control: "compressed",
    make: (factory) => bomb(factory, "a usual size"),
  }),
  refusal({
    id: "decompression/wrong-hash",
    claim: "decompression",
    says: "An image that unpacks to something else than the hash inside states is refused.",
    what: "a signed image, compressed, with a wrong hash of what it becomes",
    needs: ["key", "unpacks"],
    control: "compressed",
    quick: true,
    make: (factory) => wrongInside(factory, "hash"),
  }),
  refusal({
    id: "decompression/wrong-signature",
    claim: "decompression",
    says: "An image whose signature inside is not of what it becomes is refused.",
    what: "a signed image, compressed, with a wrong signature of what it becomes",
    needs: ["key", "signature", "unpacks"],
    control: "compressed",
    quick: true,
    make: (factory) => wrongInside(factory, "signature"),
  }),
];
