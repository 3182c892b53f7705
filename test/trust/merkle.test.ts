import { describe, expect, it } from "vitest";
import { concat, fromHex, toHex } from "../../src/bytes.js";
import {
  consistencyProof,
  inclusionProof,
  isConsistent,
  leafHash,
  rootFromInclusion,
  type TreeHashes,
  treeRoot,
} from "../../src/trust/merkle.js";
import { completeHash, formatEntries, parseEntries, tilePath } from "../../src/trust/tiles.js";

const bytes = (text: string) => new TextEncoder().encode(text);

/** All subtrees of a list of leaves, the slow and plain way. */
function hashesOf(leaves: readonly Uint8Array[]): TreeHashes {
  return {
    subtree(level, index) {
      const width = 2 ** level;
      const part = leaves.slice(index * width, (index + 1) * width);
      expect(part).toHaveLength(width);
      return completeHash(concat(...part));
    },
  };
}

// Certificate Transparency's own reference tree: the leaves of the tests of google/certificate-transparency, whose roots
// and proofs are published with RFC 6962's implementations.
const LEAVES = [
  "",
  "00",
  "10",
  "2021",
  "3031",
  "40414243",
  "5051525354555657",
  "606162636465666768696a6b6c6d6e6f",
];
const ROOTS = [
  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
const leaves = LEAVES.map((hex) => leafHash(fromHex(hex)));
const root = (size: number) => treeRoot(size, hashesOf(leaves.slice(0, size)));

describe("the Merkle tree of RFC 6962", () => {
  it("has the published leaf hash and root for the entries a, b, c", () => {
    const three = ["a", "b", "c"].map((text) => leafHash(bytes(text)));
    expect(toHex(three[0]!)).toBe("022a6979e6dab7aa5ae4c3e5e45f7e977112a7e63593820dbec1ec738a24f93c");
    expect(toHex(treeRoot(3, hashesOf(three)))).toBe(
      "36642e73c2540ab121e3a6bf9545b0a24982cd830eb13d3cd19de3ce6c021ec1",
    );
  });

  it.each(ROOTS.map((hash, size) => [size, hash] as const))(
    "has the published root for %i entries",
    (size, hash) => {
      expect(toHex(root(size))).toBe(hash);
    },
  );

  it("proves every entry of every tree, and nothing else by that proof", () => {
    for (let size = 1; size <= leaves.length; size++)
      for (let index = 0; index < size; index++) {
        const proof = inclusionProof(index, size, hashesOf(leaves.slice(0, size)));
        expect(rootFromInclusion(index, size, leaves[index]!, proof)).toEqual(root(size));
        for (let other = 0; other < size; other++)
          if (other !== index)
            expect(rootFromInclusion(other, size, leaves[index]!, proof)).not.toEqual(root(size));
        expect(rootFromInclusion(index, size, leaves[index]!, [...proof, leaves[0]!])).toBeUndefined();
        if (proof.length > 0)
          expect(rootFromInclusion(index, size, leaves[index]!, proof.slice(1))).not.toEqual(root(size));
      }
  });

  it("proves every earlier tree, and no other", () => {
    for (let size = 1; size <= leaves.length; size++)
      for (let before = 1; before <= size; before++) {
        const older = { size: before, root: root(before) };
        const newer = { size, root: root(size) };
        const proof = consistencyProof(before, size, hashesOf(leaves.slice(0, size)));
        expect(isConsistent(older, newer, proof)).toBe(true);
        expect(isConsistent({ size: before, root: leaves[7]! }, newer, proof)).toBe(false);
        expect(isConsistent(older, { size, root: leaves[7]! }, proof)).toBe(false);
        expect(isConsistent(older, newer, [...proof, leaves[0]!])).toBe(false);
        if (proof.length > 0) expect(isConsistent(older, newer, proof.slice(1))).toBe(false);
      }
  });
});

describe("tiles", () => {
  it("stand where C2SP puts them", () => {
    expect(tilePath(0, 1234067)).toBe("tile/0/x001/x234/067");
    expect(tilePath("entries", 0, 5)).toBe("tile/entries/000.p/5");
    expect(tilePath(2, 1000, 17)).toBe("tile/2/x001/000.p/17");
  });

  it("hold entries with their lengths, and say which one is cut", () => {
    const bundle = formatEntries([bytes("one"), new Uint8Array(), bytes("three")]);
    expect(toHex(bundle)).toBe("00036f6e65000000057468726565");
    expect(parseEntries(bundle, 3).map((entry) => new TextDecoder().decode(entry))).toEqual([
      "one",
      "",
      "three",
    ]);
    for (let length = 0; length < bundle.length; length++)
      expect(() => parseEntries(bundle.subarray(0, length), 3)).toThrow(/ends in entry/);
    expect(() => formatEntries([new Uint8Array(65536)])).toThrow(/too long/);
  });
});
