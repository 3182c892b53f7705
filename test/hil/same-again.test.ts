import { boardVariant, fixtureKey, signedFixture } from "bootproof/boards";
import { describe, expect, it } from "vitest";
import { entryOf } from "../../hil/board-files/board-file.js";
import { CASES } from "../../hil/cases/all.js";
import { ImageFactory } from "../../hil/images/image-factory.js";
import { proveBoard } from "../../hil/prove.js";
import type { BoardResult } from "../../hil/result.js";

/** Every case but the one whose power is cut by the clock. */
const TIMED = "power-cut/timed";
const prove = (address: string, only: (id: string) => boolean) => {
  const cases = CASES.map(({ id }) => id).filter((id) => id !== TIMED && only(id));
  const signal = new AbortController().signal;
  return proveBoard(entryOf(address), { signal, seed: 9, cuts: 1, randomCuts: 4, cases });
};

/** Clocks, and the messages: their numbers are random, and several are on their way at once. */
const DIFFER: readonly string[] = ["at", "startedAt", "elapsedMs", "messages", "messageCount"];

interface Offer {
  readonly random?: readonly string[];
  readonly sha256: string;
}

/** A result without what may differ between two runs: times, message numbers, and what files say is random in them. */
function lasting(result: BoardResult): unknown {
  const random = new Set<string>();
  const plain = JSON.stringify(result, (key, value) => {
    if (DIFFER.includes(key)) return undefined;
    // The board's own clock stands in its log.
    if (key === "text") return value.replace(/^\[\d{6}\]/, "[------]");
    const { sha256, random: parts } = (value ?? {}) as Partial<Offer>;
    if (sha256 !== undefined && parts !== undefined) random.add(sha256);
    return value;
  });
  const known = [...random].reduce(
    (text, sha256) => text.replaceAll(sha256, "-").replaceAll(sha256.slice(0, 12), "-"),
    plain,
  );
  return JSON.parse(known);
}

describe("two runs over the same board", () => {
  it.each([
    ["wasm:good", () => true],
    ["wasm:p256", (id: string) => /^(authenticity|compatibility)/.test(id)],
  ] as const)("%s: differ only in times and message numbers", async (address, only) => {
    const [first, second] = [await prove(address, only), await prove(address, only)];
    expect(first.unusable).toBeUndefined();
    expect(lasting(second)).toEqual(lasting(first));
    const random = first.cases.filter(({ evidence }) => evidence?.offered.some((one) => one.random));
    expect(random.map(({ id }) => id)).toEqual(["compatibility/encrypted-for-another"]);
  });
});

describe("a foreign key", () => {
  const factoryFor = async (id: string, version: string) => {
    const variant = boardVariant(id);
    const base = await signedFixture("good-a", "wasm", variant, { version });
    return new ImageFactory({ base, key: await fixtureKey(variant.keys[0]!) });
  };
  const hash = async (id: string, version: string) => {
    const factory = await factoryFor(id, version);
    return [await factory.foreignKey(), await factory.foreignEncryptionKey()].map((key) =>
      Buffer.from(key.keyHash).toString("hex"),
    );
  };

  it.each(["good", "p256", "rsa2048", "rsa3072"])(
    "for %s is the same for the same image, another for another",
    async (id) => {
      const [one, again, other] = [await hash(id, "1.0.0"), await hash(id, "1.0.0"), await hash(id, "1.0.1")];
      expect(again).toEqual(one);
      expect(new Set([...one, ...other]).size).toBe(4);
    },
  );
});
