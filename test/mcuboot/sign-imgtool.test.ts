import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { BootproofError } from "../../src/errors.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { signImage } from "../../src/mcuboot/sign.js";
import { payload, signOptionsOf, vectorFile } from "../support/image-imgtool-args.js";
import { throwAwayKeys } from "../support/image-keys.js";

type Row = [source: string, args: string[], length: number | null, sha256: string | null];

const { made_by, rows } = JSON.parse(vectorFile("imgtool-sign.json")) as { made_by: string; rows: Row[] };
const keys = await throwAwayKeys();

describe(`${made_by}: the same file for the same options`, () => {
  const accepted = rows.filter(([, , length]) => length !== null);

  it("covers at least 300 combinations", () => expect(accepted.length).toBeGreaterThanOrEqual(300));

  it.each(accepted)("%s %j", async (source, args, length, sha256) => {
    const { bytes, image } = await signImage(payload(source), signOptionsOf(args, keys));
    expect(bytes.length).toBe(length);
    expect(createHash("sha256").update(bytes).digest("hex").slice(0, 32)).toBe(sha256);
    // And what was made can be taken apart again.
    expect(parseImage(bytes).size).toBe(image.length);
  });
});

describe(`${made_by}: refused here when refused there`, () => {
  it.each(rows.filter(([, , length]) => length === null))("%s %j", async (source, args) => {
    const attempt = async () => signImage(payload(source), signOptionsOf(args, keys));
    await expect(attempt()).rejects.toBeInstanceOf(BootproofError);
  });
});
