import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fromHex, toHex } from "../../src/bytes.js";
import { type KeyType, SIGNATURE_ALGORITHMS } from "../../src/crypto/algorithms.js";
import { parseEcdsaSignature } from "../../src/crypto/ecdsa-signature.js";
import { keyFromSecret, toPem } from "../../src/crypto/keys.js";
import { keySigner, type Signer } from "../../src/crypto/signer.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { finishImage, prepareImage, type SignOptions, signImage } from "../../src/mcuboot/sign.js";
import { signingPlan } from "../../src/mcuboot/signing-plan.js";
import { TLV } from "../../src/mcuboot/tlv.js";
import { verifyImage } from "../../src/mcuboot/verify.js";
import { payload, vectorFile } from "../support/image-imgtool-args.js";
import { throwAwayKeys } from "../support/image-keys.js";
import { buildRecorded, type Part } from "../support/image-recorded.js";
import { isOnPath } from "../support/on-path.js";

const keys = await throwAwayKeys();
const COMMON: SignOptions = { version: "1.2.3+4", headerSize: 32, padHeader: true, slotSize: 0x1000 };
const SIGNING_TYPES = Object.keys(SIGNATURE_ALGORITHMS) as (keyof typeof SIGNATURE_ALGORITHMS)[];

describe("images signed by imgtool with random signatures verify here", () => {
  const { made_by, images } = JSON.parse(vectorFile("imgtool-signatures.json")) as {
    made_by: string;
    images: [key: KeyType, options: string[], hex: string][];
  };

  it.each(images)(`${made_by}: %s %j`, async (type, _, hex) => {
    const { result, signedBy } = await verifyImage(fromHex(hex), { keys: [keys[type].publicKey] });
    expect(result).toBe("good");
    expect(signedBy?.type).toBe(type);
  });

  it.each(images)("%s %j: one changed bit of the signature is enough", async (type, _, hex) => {
    const bytes = fromHex(hex);
    const { offset, value } = parseImage(bytes).signatures[0]!;
    // In the middle: of the s of an ECDSA signature, or anywhere in the others.
    bytes[offset + 4 + Math.floor(value.length / 2) + 4]! ^= 1;
    expect((await verifyImage(bytes, { keys: [keys[type].publicKey] })).result).toBe("bad");
  });
});

describe("images signed here", () => {
  it.each(SIGNING_TYPES)("%s: good with its key, bad with another", async (type) => {
    const { bytes } = await signImage(payload("p64"), { ...COMMON, key: keys[type] });
    expect((await verifyImage(bytes, { keys: [keys[type].publicKey] })).result).toBe("good");
    const others = SIGNING_TYPES.filter((other) => other !== type).map((other) => keys[other]);
    expect((await verifyImage(bytes, { keys: others })).result).toBe("bad");
    expect((await verifyImage(bytes, { keys: [...others, keys[type]] })).result).toBe("good");
  });

  it("ECDSA nonces by RFC 6979: the recorded images' signatures come out bit for bit", async () => {
    const recorded = JSON.parse(vectorFile("mcuboot-odd-images.json")) as {
      keys: { name: string; private: string }[];
      images: [string, string, unknown, unknown, Part[]][];
    };
    const secret = recorded.keys.find(({ name }) => name === "p256.1")!.private;
    const key = keyFromSecret("ecdsa-p256", fromHex(secret));
    const [, sha256, , , parts] = recorded.images.find(([name]) => name === "counter-higher.p256")!;
    const bytes = buildRecorded(parts, sha256);
    const { body, header, securityCounter } = parseImage(bytes);
    const again = await signImage(body, {
      version: header.version,
      headerSize: header.headerSize,
      padHeader: true,
      slotSize: 0,
      securityCounter: securityCounter!,
      key,
    });
    expect(toHex(again.bytes)).toBe(toHex(bytes));
  });

  it("a signature made elsewhere: prepare, sign the digest or the range, finish", async () => {
    const options = { ...COMMON, securityCounter: 7 };
    const whole = await signImage(payload("p64"), { ...options, key: keys.ed25519 });
    const prepared = prepareImage(payload("p64"), signingPlan(options), keys.ed25519.publicKey);
    const elsewhere = parseImage(whole.bytes).signatures[0]!.value;
    const { publicKey } = keys.ed25519;
    const finished = await finishImage(prepared, { publicKey, signature: elsewhere });
    expect(toHex(finished.bytes)).toBe(toHex(whole.bytes));
    // Over other options it is another image, and the signature never gets into it.
    const other = prepareImage(payload("p64"), signingPlan({ ...options, securityCounter: 8 }), publicKey);
    await expect(finishImage(other, { publicKey, signature: elsewhere })).rejects.toMatchObject({
      name: "SignError",
      code: "signer-bad-signature",
    });
  });

  it("a signer far away is asked for exactly what its algorithm signs", async () => {
    const here = keySigner(keys.ed25519);
    const asked: unknown[] = [];
    const signer: Signer = {
      publicKey: keys.ed25519.publicKey,
      sign(request) {
        asked.push([toHex(request.digest), request.hash, request.pure]);
        return here.sign(request);
      },
    };
    const { imageHash } = await signImage(payload("p64"), { ...COMMON, signer });
    expect(asked).toEqual([[toHex(imageHash), "sha256", false]]);
    const liar: Signer = { publicKey: keys.ed25519.publicKey, sign: async () => new Uint8Array(64) };
    await expect(signImage(payload("p64"), { ...COMMON, signer: liar })).rejects.toMatchObject({
      code: "signer-bad-signature",
    });
  });
});

describe("ECDSA signatures as DER", () => {
  const r = "7f".repeat(32);
  const s = "01".repeat(32);
  const good = `3044${`0220${r}`}${`0220${s}`}`;

  it.each([
    ["as it is", good, true],
    ["with zeros behind it, as --pad-sig leaves them", `${good}0000`, true],
    ["with something else behind it", `${good}0001`, false],
    [
      "high numbers with a zero in front",
      `3046${`022100${"ff".repeat(32)}`}${`022100${"fe".repeat(32)}`}`,
      true,
    ],
    ["short numbers", "3008020200ff02020101", true],
    ["a negative number", "3006020180020101", false],
    ["an empty number", "30050200020101", false],
    ["a number too long for the curve", `3047${`0222${"01".repeat(34)}`}${`0221${"01".repeat(33)}`}`, false],
    ["numbers that run over", "300602010102ff01", false],
    ["bytes between the numbers and the end", "3008020101020101ffff", false],
    ["raw numbers without DER", r + s, false],
    ["nothing", "", false],
  ])("%s", (_, hex, readable) => {
    expect(parseEcdsaSignature(fromHex(hex), 32) !== undefined).toBe(readable);
  });
});

const noImgtool = !isOnPath("imgtool");

describe("imgtool verifies our images", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "imgtool-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const cases: [KeyType, Partial<SignOptions>][] = [
    ...SIGNING_TYPES.map((type): [KeyType, Partial<SignOptions>] => [type, {}]),
    ["ed25519", { pure: true }],
    ["ed25519", { hash: "sha512" }],
    ["ecdsa-p256", { padSignature: true }],
    ["ecdsa-p256", { publicKeyFormat: "full", securityCounter: 3 }],
    [
      "rsa-2048",
      {
        trailer: "confirmed",
        dependencies: [{ image: 1, version: { major: 1, minor: 0, revision: 0, build: 0 } }],
      },
    ],
  ];

  it.for(cases)("%s %j", async ([type, options], { skip }) => {
    skip(noImgtool, "imgtool is not installed (pip install imgtool)");
    const { bytes } = await signImage(payload("p1000"), {
      ...COMMON,
      slotSize: 0x4000,
      ...options,
      key: keys[type],
    });
    const image = join(folder, "image.bin");
    const key = join(folder, "key.pem");
    writeFileSync(image, bytes);
    // imgtool's pure mode knows no public keys (a gap of its table).
    writeFileSync(key, await toPem(keys[type], options.pure ? "private" : "public"));
    const { status, stdout, stderr } = spawnSync("imgtool", ["verify", "-k", key, image], {
      encoding: "utf8",
    });
    expect({ status, output: stdout + stderr }).toMatchObject({ status: 0 });
  });
});

it("an Ed25519 signature is over the digest, and with pure over the image", async () => {
  const digest = await signImage(payload("p64"), { ...COMMON, key: keys.ed25519, hash: "sha512" });
  const pure = await signImage(payload("p64"), { ...COMMON, key: keys.ed25519, pure: true });
  expect(toHex(digest.imageHash)).toBe(toHex(pure.imageHash));
  expect(toHex(digest.signature!)).not.toBe(toHex(pure.signature!));
  expect(parseImage(pure.bytes).tlvs.map(({ type }) => type)).toContain(TLV.SIG_PURE);
});
