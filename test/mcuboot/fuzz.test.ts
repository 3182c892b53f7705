import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromHex } from "../../src/bytes.js";
import { parseKey } from "../../src/crypto/keys.js";
import { keySigner } from "../../src/crypto/signer.js";
import { BootproofError } from "../../src/errors.js";
import { parseIntelHex } from "../../src/formats/intel-hex.js";
import { dumpImage } from "../../src/mcuboot/dumpinfo.js";
import { nextBoot } from "../../src/mcuboot/next-boot.js";
import { resignImage } from "../../src/mcuboot/resign.js";
import { parseSlot } from "../../src/mcuboot/slot.js";
import { verifyImage } from "../../src/mcuboot/verify.js";
import { cliVectors } from "../support/image-cli-vectors.js";
import { vectorFile } from "../support/image-imgtool-args.js";
import { throwAwayKeys } from "../support/image-keys.js";

/** Whatever a file holds: a result or a typed error. */

const keys = await throwAwayKeys();
const NAMES = [
  "guarded.img",
  "pad.img",
  "confirm32.img",
  "enc.img",
  "big.img",
  "rsa-2048.img",
  "lzma2.img",
  "pure.img",
];
const images = NAMES.map((name) => fromHex(cliVectors.extra[name]!).slice(0, 4096));

/** Some bytes changed, some cut off, some put behind. */
const damaged = fc
  .record({
    image: fc.constantFrom(...images),
    changes: fc.array(fc.tuple(fc.nat(0xffff), fc.nat(255)), { maxLength: 8 }),
    keep: fc.double({ min: 0, max: 1, noNaN: true }),
    tail: fc.uint8Array({ maxLength: 64 }),
  })
  .map(({ image, changes, keep, tail }) => {
    const length = keep > 0.5 ? image.length : Math.floor(2 * keep * image.length);
    const bytes = new Uint8Array(length + tail.length);
    bytes.set(image.subarray(0, length));
    bytes.set(tail, length);
    for (const [at, value] of changes) if (length > 0) bytes[at % length] = value;
    return bytes;
  });

async function typed(work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    expect(error).toBeInstanceOf(BootproofError);
  }
}

describe("damaged images", () => {
  it("dumpinfo", async () => {
    await fc.assert(
      fc.asyncProperty(damaged, (bytes) =>
        typed(() => {
          const dumped = dumpImage(bytes);
          const held = [...dumped.tlv_area.tlvs_prot, ...dumped.tlv_area.tlvs].reduce(
            (sum, { data }) => sum + data.length,
            0,
          );
          // Values are views on the file, so that nothing can grow beyond it.
          expect(held).toBeLessThanOrEqual(2 * bytes.length);
        }),
      ),
      { numRuns: 2000 },
    );
  });

  it("verify, with keys to sign and to decrypt", async () => {
    const trusted = [keys.ed25519.publicKey, keys["ecdsa-p256"].publicKey, keys["rsa-2048"].publicKey];
    await fc.assert(
      fc.asyncProperty(damaged, async (bytes) => {
        const { checks } = await verifyImage(bytes, { keys: trusted, decryptionKey: keys.x25519 });
        expect(checks.length).toBeGreaterThanOrEqual(8);
      }),
      { numRuns: 300 },
    );
  });

  it("another signature", async () => {
    await fc.assert(
      fc.asyncProperty(damaged, (bytes) =>
        typed(async () => {
          const again = await resignImage(bytes, keySigner(keys.ed25519), { add: true });
          expect(again.length).toBeLessThanOrEqual(bytes.length + 1000);
        }),
      ),
      { numRuns: 300 },
    );
  });

  it("in two slots, and what comes next", () => {
    fc.assert(
      fc.property(
        damaged,
        damaged,
        fc.constantFrom("swap-move", "swap-offset", "swap-scratch", "overwrite-only"),
        (a, b, mode) => {
          const slot = (bytes: Uint8Array) => {
            const whole = new Uint8Array(8192).fill(0xff);
            whole.set(bytes.subarray(0, 8192));
            whole.set(bytes.subarray(0, 48), 8192 - 48);
            return { slot: parseSlot(whole, mode === "swap-offset" ? { mode, sectorSize: 512 } : {}) };
          };
          expect(nextBoot(mode as "swap-move", slot(a), slot(b)).steps.length).toBeGreaterThan(0);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe("damaged text", () => {
  const hexFile = new TextDecoder().decode(fromHex(cliVectors.extra["signed.hex"]!));
  const pems = (
    JSON.parse(vectorFile("keys.json")) as { keys: { type: string; forms: Record<string, string> }[] }
  ).keys
    .filter(({ type }) => type !== "rsa-3072")
    .flatMap(({ forms }) => Object.entries(forms).filter(([name]) => !name.includes("encrypted")))
    .map(([, pem]) => pem);

  const edit = (text: fc.Arbitrary<string>) =>
    fc
      .tuple(text, fc.array(fc.tuple(fc.nat(), fc.string({ maxLength: 2 })), { minLength: 1, maxLength: 4 }))
      .map(([whole, edits]) =>
        edits.reduce((before, [at, put]) => {
          const place = at % (before.length + 1);
          return before.slice(0, place) + put + before.slice(place + put.length);
        }, whole),
      );

  it("Intel HEX", async () => {
    await fc.assert(
      fc.asyncProperty(edit(fc.constant(hexFile)), (text) =>
        typed(() => {
          const held = parseIntelHex(text).reduce((sum, { bytes }) => sum + bytes.length, 0);
          expect(held).toBeLessThanOrEqual(text.length / 2);
        }),
      ),
      { numRuns: 1500 },
    );
  });

  it("PEM", async () => {
    await fc.assert(
      fc.asyncProperty(edit(fc.constantFrom(...pems)), (text) => typed(() => parseKey(text))),
      { numRuns: 1500 },
    );
  });

  it("DER, and bytes of any kind", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), (bytes) => typed(() => parseKey(bytes))),
      { numRuns: 1500 },
    );
  });
});
