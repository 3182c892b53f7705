import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { concat, equal } from "../../src/bytes.js";
import { parseKey } from "../../src/crypto/keys.js";
import { tailOf, withMadeTrailer } from "../../src/mcuboot/file-tail.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { signImage } from "../../src/mcuboot/sign.js";
import { vectorFile } from "../support/image-imgtool-args.js";

const KEYS = new URL("../vectors/image/keys/", import.meta.url);

/** The image of which imgtool made the padded files of the vectors: `-H 32 --pad-header -v 1.2.3+4 -S 0x4000 -k ed25519`. */
async function image(): Promise<Uint8Array> {
  const key = await parseKey(readFileSync(new URL("throw-away-ed25519.pem", KEYS)));
  const body = Uint8Array.from({ length: 64 }, (_, index) => index);
  return (
    await signImage(body, { key, version: "1.2.3+4", headerSize: 32, padHeader: true, slotSize: 0x4000 })
  ).image;
}

type SignRow = [input: string, words: string[], length: number, digest: string];

function imgtoolDigest(option: string): string {
  const wanted = ["-H", "32", "--pad-header", "-v", "1.2.3+4", "-S", "0x4000", "-k", "ed25519", option].join(
    " ",
  );
  const row = (JSON.parse(vectorFile("imgtool-sign.json")) as { rows: SignRow[] }).rows.find(
    ([input, words]) => input === "p64" && words.join(" ") === wanted,
  );
  return row![3];
}

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex").slice(0, 32);

describe("a made trailer", () => {
  it.each([
    ["test", "--pad"],
    ["confirmed", "--confirm"],
  ] as const)("of kind %s is byte for byte what imgtool makes with %s", async (intent, option) => {
    const file = await image();
    const made = withMadeTrailer(file, parseImage(file), { intent, slotSize: 0x4000 });
    expect(digest(made)).toBe(imgtoolDigest(option));
  });
});

describe("what follows an image in a file", () => {
  it("is named: nothing, padding, a trailer with what it asks for, or data", async () => {
    const file = await image();
    const parsed = parseImage(file);
    const padded = (fill: number) => concat(file, new Uint8Array(100).fill(fill));
    expect(tailOf(file, parsed)).toEqual({ kind: "none" });
    expect(tailOf(padded(0xff), parsed)).toEqual({ kind: "padding", bytes: 100 });
    expect(tailOf(padded(0), parsed)).toEqual({ kind: "padding", bytes: 100 });
    expect(tailOf(padded(0x5a), parsed)).toEqual({ kind: "data", bytes: 100 });
    expect(tailOf(concat(file, file), parsed)).toEqual({ kind: "data", bytes: file.length });
  });

  it.each([
    [8, "test"],
    [8, "confirmed"],
    [16, "test"],
    [16, "confirmed"],
    [32, "confirmed"],
  ] as const)("is a trailer of alignment %i that asks for %s", async (maxAlign, intent) => {
    const file = await image();
    const parsed = parseImage(file);
    const made = withMadeTrailer(file, parsed, { intent, slotSize: 0x4000, maxAlign });
    expect(tailOf(made, parsed)).toEqual({
      kind: "trailer",
      bytes: 0x4000 - file.length,
      intent,
      maxAlign,
    });
    expect(equal(made.subarray(0, file.length), file)).toBe(true);
  });

  it("is data when a magic stands there without room for a trailer", async () => {
    const file = await image();
    const parsed = parseImage(file);
    const made = withMadeTrailer(file, parsed, { intent: "test", slotSize: 0x4000 });
    expect(tailOf(concat(file, made.subarray(-16)), parsed)).toEqual({ kind: "data", bytes: 16 });
  });
});
