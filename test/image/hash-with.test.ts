import { createHash } from "node:crypto";
import { afterEach, expect, it, vi } from "vitest";
import { toHex } from "../../src/bytes.js";
import { payload } from "../support/image-imgtool-args.js";

// A fresh copy of the room for each test: what hashes is set once for a whole program.
afterEach(() => vi.resetModules());

it.each(["sha256", "sha384", "sha512"] as const)(
  "%s is the same with and without the platform's",
  async (name) => {
    const { HASHES, hashWith } = await import("../../src/image/hashes.js");
    for (const size of [0, 1, 63, 64, 111, 112, 127, 128, 5000]) {
      const bytes = payload(`s${size}`);
      expect(toHex(HASHES[name].digest(bytes))).toBe(createHash(name).update(bytes).digest("hex"));
    }
    const asked: string[] = [];
    hashWith((hash, bytes) => {
      asked.push(hash);
      return new Uint8Array(createHash(hash).update(bytes).digest());
    });
    const { HASHES: later } = await import("../../src/image/hashes.js");
    expect(toHex(later[name].digest(payload("s100")))).toBe(
      createHash(name).update(payload("s100")).digest("hex"),
    );
    expect(asked).toEqual([name]);
  },
);
