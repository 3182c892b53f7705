import { describe, expect, it } from "vitest";
import { fromHex, toHex } from "../../src/bytes.js";
import { keyFromSecret } from "../../src/crypto/keys.js";
import { verifyImage } from "../../src/mcuboot/verify.js";
import { vectorFile } from "../support/image-imgtool-args.js";
import { buildRecorded, type Part } from "../support/image-recorded.js";

/**
 * Images with one deviation each, and whether real MCUboot booted them: put into the secondary with a test requested,
 * and put into the primary. Configuration: swap using move, counter in hardware, allow-list, primary validated at each
 * boot; Ed25519 with a write size of 4, P-256 with 8.
 */
type Row = [name: string, sha256: string, update: boolean | null, primary: boolean | null, parts: Part[]];

const { keys, images, stored_counter, slot_size, mcuboot } = JSON.parse(
  vectorFile("mcuboot-odd-images.json"),
) as {
  mcuboot: string;
  stored_counter: number;
  slot_size: number;
  keys: { name: string; private: string; public_der: string; keyhash: string }[];
  images: Row[];
};

const trusted = {
  ed25519: keyFromSecret("ed25519", privateOf("ed25519.1")),
  p256: keyFromSecret("ecdsa-p256", privateOf("p256.1")),
};

function privateOf(name: string): Uint8Array {
  return fromHex(keys.find((key) => key.name === name)!.private);
}

async function verdictOf(name: string, bytes: Uint8Array) {
  const p256 = name.endsWith(".p256");
  return verifyImage(bytes, {
    keys: [p256 ? trusted.p256 : trusted.ed25519],
    hash: "sha256",
    mode: "swap-move",
    geometry: { primarySize: slot_size, sectorSize: 4096, writeSize: p256 ? 8 : 4, maxSectors: 32 },
    storedCounter: stored_counter,
    supports: { encryption: false, compression: false },
    toBoot: true,
  });
}

describe(`our verdict is what MCUboot ${mcuboot.slice(0, 8)} did`, () => {
  it.each(images)("%s", async (name, sha256, update, primary, parts) => {
    const { result, checks } = await verdictOf(name, buildRecorded(parts, sha256));
    // Both ways in, where both were tried, came out the same for every image.
    const booted = update ?? primary;
    expect(primary ?? booted).toBe(booted);
    expect({ result, checks }).toMatchObject({ result: booted ? "good" : "bad" });
  });
});

describe("the recordings' keys", () => {
  it.each(keys)("$name: public part and hash follow from the private part", (row) => {
    const key = keyFromSecret(row.name.startsWith("p256") ? "ecdsa-p256" : "ed25519", fromHex(row.private));
    expect(toHex(key.publicDer)).toBe(row.public_der);
    expect(toHex(key.keyHash)).toBe(row.keyhash);
  });
});
