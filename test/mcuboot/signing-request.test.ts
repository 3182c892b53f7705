import { constants, createHash, createPublicKey, verify as nodeVerify } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat, fromHex, toBase64, toHex } from "../../src/bytes.js";
import { SIGNATURE_ALGORITHMS, type SigningKeyType } from "../../src/crypto/algorithms.js";
import { type Key, toPem } from "../../src/crypto/keys.js";
import { encodePss } from "../../src/crypto/pss.js";
import { toImageSignature } from "../../src/crypto/signature-encoding.js";
import { keySigner } from "../../src/crypto/signer.js";
import { BootproofError } from "../../src/errors.js";
import { finishImage, prepareImage, type SignOptions } from "../../src/mcuboot/sign.js";
import { signingPlan } from "../../src/mcuboot/signing-plan.js";
import {
  openSigningRequest,
  type SigningRequestFile,
  signatureFromResponse,
  signingRequestFile,
  signingResponseFile,
} from "../../src/mcuboot/signing-request.js";
import { verifyImage } from "../../src/mcuboot/verify.js";
import { payload } from "../support/image-imgtool-args.js";
import { throwAwayKeys } from "../support/image-keys.js";

const keys = await throwAwayKeys();
const TYPES = Object.keys(SIGNATURE_ALGORITHMS) as SigningKeyType[];
const CIRCUMSTANCES = {
  name: "app.bin",
  createdAt: "2026-01-02T03:04:05.000Z",
  nonce: "00",
  withPayload: true,
};
const OPTIONS: SignOptions = {
  version: "1.2.3+4",
  headerSize: 512,
  padHeader: true,
  slotSize: 0,
  securityCounter: 7,
  bootRecord: "APP",
  dependencies: [{ image: 1, version: { major: 2, minor: 0, revision: 0, build: 0 } }],
  vendorId: "example.com",
  customTlvs: [{ type: 0xa0, value: fromHex("deadbeef") }],
};

const text = (file: object) => JSON.stringify(file, null, 2);

async function requestFor(key: Key, options: SignOptions = OPTIONS, circumstances = CIRCUMSTANCES) {
  const prepared = prepareImage(payload("p3000"), signingPlan(options), key.publicKey);
  return { prepared, file: await signingRequestFile(prepared, key.publicKey, circumstances) };
}

/** The other side: opens, signs, answers. */
async function answer(request: string, key: Key): Promise<string> {
  const opened = await openSigningRequest(request);
  const signature = await keySigner(key).sign(opened.request);
  const file = await signingResponseFile(opened, new TextEncoder().encode(request), {
    signature,
    signedAt: "2026-01-02T04:00:00.000Z",
    signer: "somebody",
  });
  return text(file);
}

describe("there and back", () => {
  it.each(TYPES)("%s", async (type) => {
    const { prepared, file } = await requestFor(keys[type]);
    const response = await answer(text(file), keys[type]);
    const signature = signatureFromResponse(response, prepared, keys[type].publicKey);
    const { bytes } = await finishImage(prepared, { publicKey: keys[type].publicKey, signature });
    expect(await verifyImage(bytes, { keys: [keys[type].publicKey] })).toMatchObject({ result: "good" });
    expect(JSON.parse(response).requestSha256).toBe(createHash("sha256").update(text(file)).digest("hex"));
  });

  it("a pure signature brings its payload along, asked for or not", async () => {
    const options = { ...OPTIONS, pure: true };
    const { prepared, file } = await requestFor(keys.ed25519, options, {
      ...CIRCUMSTANCES,
      withPayload: false,
    });
    expect(file.toSign).toMatchObject({ pure: true, hash: "sha512", payload: toBase64(prepared.range) });
    const signature = signatureFromResponse(await answer(text(file), keys.ed25519), prepared, keys.ed25519);
    const { bytes } = await finishImage(prepared, { publicKey: keys.ed25519, signature });
    expect(await verifyImage(bytes, { keys: [keys.ed25519] })).toMatchObject({ result: "good" });
  });

  it("without a payload it is small enough for a square of dots", async () => {
    const { file } = await requestFor(
      keys.ed25519,
      { ...OPTIONS, bootRecord: "A" },
      { ...CIRCUMSTANCES, withPayload: false },
    );
    expect(JSON.stringify(file).length).toBeLessThan(1500);
    expect((await openSigningRequest(text(file))).proven).toBe(false);
  });
});

describe("what the approver reads", () => {
  it("is what the image says", async () => {
    const { file } = await requestFor(keys.ed25519);
    expect(file.image).toEqual({
      version: "1.2.3+4",
      securityCounter: 7,
      headerSize: 512,
      bodySize: 3000,
      bodySha256: createHash("sha256").update(payload("p3000")).digest("hex"),
      flags: [],
      loadAddress: 0,
      dependencies: ["1: 2.0.0"],
      vendorId: "cfbff0d1-9375-5685-968c-48ce8b15ae17",
      otherTlvs: [expect.stringMatching(/^BOOT_RECORD: a501/), "0x00a0: deadbeef"],
    });
    expect((await openSigningRequest(text(file))).proven).toBe(true);
  });

  it("of a big-endian image too", async () => {
    const { file } = await requestFor(keys.ed25519, { ...OPTIONS, endian: "big" });
    expect(file.image).toMatchObject({ version: "1.2.3+4", securityCounter: 7, bodySize: 3000 });
  });
});

describe("a request that is not what it says", () => {
  const contradictions: [string, (file: SigningRequestFile) => unknown][] = [
    [
      "another version than the payload's",
      (file) => ({ ...file, image: { ...file.image, version: "1.2.4" } }),
    ],
    ["another counter", (file) => ({ ...file, image: { ...file.image, securityCounter: 8 } })],
    ["another digest", (file) => ({ ...file, toSign: { ...file.toSign, digest: "00".repeat(32) } })],
    [
      "a digest that is too short",
      (file) => ({ ...file, toSign: { ...file.toSign, digest: "00", payload: undefined } }),
    ],
    ["another scheme", (file) => ({ ...file, scheme: "ecdsa-p256-sha256" })],
    ["another kind of input", (file) => ({ ...file, toSign: { ...file.toSign, kind: "digest" } })],
    ["another hash", (file) => ({ ...file, toSign: { ...file.toSign, hash: "sha384" } })],
    ["a hash that does not exist", (file) => ({ ...file, toSign: { ...file.toSign, hash: "toString" } })],
    ["another key hash", (file) => ({ ...file, key: { ...file.key, keyHash: "00".repeat(32) } })],
    ["another key type", (file) => ({ ...file, key: { ...file.key, type: "rsa-2048" } })],
    [
      "pure without a payload",
      (file) => ({ ...file, toSign: { ...file.toSign, pure: true, payload: undefined } }),
    ],
  ];

  it.each(contradictions)("%s", async (_name, change) => {
    const { file } = await requestFor(keys.ed25519);
    await expect(openSigningRequest(text(change(file) as object))).rejects.toMatchObject({
      code: "request-contradicts-itself",
    });
  });

  it.each([
    ["no JSON", "{"],
    ["no object", "[]"],
    ["null", "null"],
    ["another type", '{"type":"bootproof-signing-response","v":1}'],
    ["another version", '{"type":"bootproof-signing-request","v":2}'],
    ["a prototype in place of fields", '{"type":"bootproof-signing-request","v":1,"__proto__":{"name":"x"}}'],
  ])("%s", async (_name, request) => {
    await expect(openSigningRequest(request)).rejects.toMatchObject({ code: "bad-signing-file" });
  });

  it("any field left out or of another kind is a typed error", async () => {
    const { file } = await requestFor(keys.ed25519);
    const paths = ["name", "image", "key", "scheme", "toSign", "createdAt", "nonce"] as const;
    for (const path of paths)
      for (const value of [undefined, null, 1, "", [], {}]) {
        const attempt = openSigningRequest(text({ ...file, [path]: value }));
        if (typeof value === "string" && ["name", "createdAt", "nonce"].includes(path)) await attempt;
        else await expect(attempt).rejects.toBeInstanceOf(BootproofError);
      }
  });

  it("any damaged text gives a request or a typed error", async () => {
    const { file } = await requestFor(keys.ed25519, OPTIONS, { ...CIRCUMSTANCES, withPayload: false });
    const whole = text(file);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.string({ maxLength: 3 }), async (at, put) => {
        try {
          await openSigningRequest(whole.slice(0, at) + put + whole.slice(at + 1));
        } catch (error) {
          expect(error).toBeInstanceOf(BootproofError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("a response", () => {
  it("to another request says so before any signature is checked", async () => {
    const { file } = await requestFor(keys.ed25519);
    const response = await answer(text(file), keys.ed25519);
    const other = prepareImage(
      payload("p3000"),
      signingPlan({ ...OPTIONS, securityCounter: 8 }),
      keys.ed25519,
    );
    const attempt = () => signatureFromResponse(response, other, keys.ed25519);
    expect(attempt).toThrow(expect.objectContaining({ code: "other-request" }));
  });

  it("by another kind of key", async () => {
    const { prepared, file } = await requestFor(keys.ed25519);
    const response = await answer(text(file), keys.ed25519);
    const attempt = () => signatureFromResponse(response, prepared, keys["rsa-2048"]);
    expect(attempt).toThrow(expect.objectContaining({ code: "other-request" }));
  });

  it("whose signature is another one never gets into an image", async () => {
    const { prepared, file } = await requestFor(keys.ed25519);
    const response = JSON.parse(await answer(text(file), keys.ed25519));
    const forged = text({ ...response, signature: toBase64(new Uint8Array(64)) });
    const signature = signatureFromResponse(forged, prepared, keys.ed25519);
    const attempt = finishImage(prepared, { publicKey: keys.ed25519.publicKey, signature });
    await expect(attempt).rejects.toMatchObject({ code: "signer-bad-signature" });
  });

  it("with r and s one behind the other, as security modules give them", async () => {
    for (const type of ["ecdsa-p256", "ecdsa-p384"] as const) {
      const { prepared, file } = await requestFor(keys[type]);
      const response = JSON.parse(await answer(text(file), keys[type]));
      const numbers = p1363(Buffer.from(response.signature, "base64"), type === "ecdsa-p256" ? 32 : 48);
      const changed = text({ ...response, signature: toBase64(numbers), encoding: "p1363" });
      const signature = signatureFromResponse(changed, prepared, keys[type]);
      expect(toHex(signature)).toBe(Buffer.from(response.signature, "base64").toString("hex"));
      // Without a word about the form it is told by its look.
      expect(toHex(toImageSignature(type, numbers))).toBe(toHex(signature));
      expect(toHex(toImageSignature(type, signature))).toBe(toHex(signature));
    }
  });
});

/** DER to r and s, by hand. */
function p1363(der: Uint8Array, size: number): Uint8Array {
  const rLength = der[3]!;
  const number = (from: number, length: number) => {
    const digits = der.subarray(from, from + length);
    const short = digits[0] === 0 ? digits.subarray(1) : digits;
    return concat(new Uint8Array(size - short.length), short);
  };
  return concat(number(4, rLength), number(6 + rLength, der[5 + rLength]!));
}

describe("PSS padding", () => {
  it("is what OpenSSL takes for a signature, once the private key has been applied", async () => {
    const { createPrivateKey, privateEncrypt } = await import("node:crypto");
    for (const [type, length] of [
      ["rsa-2048", 256],
      ["rsa-3072", 384],
    ] as const) {
      const message = payload("p3000");
      const block = encodePss(createHash("sha256").update(message).digest(), length);
      expect([block.length, block.at(-1), block[0]! & 0x80]).toEqual([length, 0xbc, 0]);
      const privateKey = createPrivateKey(await toPem(keys[type], "private"));
      const signature = privateEncrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, block);
      const publicKey = createPublicKey(await toPem(keys[type], "public"));
      const pss = { key: publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
      expect(nodeVerify("sha256", message, pss, signature)).toBe(true);
    }
  });
});
