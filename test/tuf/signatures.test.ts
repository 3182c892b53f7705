import { constants, generateKeyPairSync, sign } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { useOpenssl } from "../../src/crypto-node/openssl.js";
import type { TufKey } from "../../src/tuf/metadata-types.js";
import { identityOf } from "../../src/tuf/signatures.js";
import { verifyInJavaScript } from "../../src/tuf/verify-in-javascript.js";
import { verifyNatively } from "../../src/tuf-store/native-signatures.js";

beforeAll(useOpenssl);

const message = Buffer.from("what is signed");
const key = (scheme: string, text: string): TufKey => ({ keytype: "any", scheme, public: text, raw: {} });
const pem = (pair: ReturnType<typeof generateKeyPairSync>) =>
  pair.publicKey.export({ type: "spki", format: "pem" }).toString();

/** By OpenSSL's own hand: each scheme with the keys and the salts that are met. */
const CASES = (() => {
  const p256 = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const p384 = generateKeyPairSync("ec", { namedCurve: "secp384r1" });
  const ed = generateKeyPairSync("ed25519");
  const raw = ed.publicKey.export({ type: "spki", format: "der" }).subarray(-32).toString("hex");
  const pss = (modulusLength: number, saltLength: number) => {
    const pair = generateKeyPairSync("rsa", { modulusLength });
    const how = { key: pair.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
    return { key: key("rsassa-pss-sha256", pem(pair)), signature: sign("sha256", message, how) };
  };
  return {
    ed25519: { key: key("ed25519", raw), signature: sign(null, message, ed.privateKey) },
    "P-256": {
      key: key("ecdsa-sha2-nistp256", pem(p256)),
      signature: sign("sha256", message, p256.privateKey),
    },
    "P-384": {
      key: key("ecdsa-sha2-nistp384", pem(p384)),
      signature: sign("sha384", message, p384.privateKey),
    },
    "RSA 2048, salt of 32 bytes": pss(2048, 32),
    "RSA 2048, longest salt": pss(2048, constants.RSA_PSS_SALTLEN_MAX_SIGN),
    "RSA 4096, as older repositories have": pss(4096, 32),
  };
})();

describe.each([
  ["OpenSSL", verifyNatively],
  ["JavaScript", verifyInJavaScript],
] as const)("signatures verified by %s", (_name, verify) => {
  it.each(Object.entries(CASES))("%s", async (_scheme, { key: by, signature }) => {
    expect(await verify(by, message, signature)).toBe(true);
    expect(await verify(by, Buffer.from("something else"), signature)).toBe(false);
    const bent = Buffer.from(signature);
    bent[bent.length - 1]! ^= 1;
    expect(await verify(by, message, bent)).toBe(false);
    expect(await verify(by, message, signature.subarray(1))).toBe(false);
    for (const other of ["ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "rsassa-pss-sha256"])
      if (other !== by.scheme) expect(await verify({ ...by, scheme: other }, message, signature)).toBe(false);
  });

  it("have one spelling: a leading zero byte is never left out", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const how = { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
    const by = key("rsassa-pss-sha256", publicKey.export({ type: "spki", format: "pem" }).toString());
    let signature = sign("sha256", message, how);
    // One in 256 begins with a zero.
    while (signature[0] !== 0) signature = sign("sha256", message, how);
    expect(await verify(by, message, signature)).toBe(true);
    expect(await verify(by, message, signature.subarray(1))).toBe(false);
    expect(await verify(by, message, Buffer.concat([Buffer.alloc(1), signature]))).toBe(false);
  });

  it("have no good ones by schemes and keys that are not understood", async () => {
    const { key: by, signature } = CASES.ed25519;
    for (const scheme of ["ed448", "toString", "__proto__", "rsa-pkcs1v15-sha256"])
      expect(await verify({ ...by, scheme }, message, signature)).toBe(false);
    for (const text of ["", "zz", "00", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
      expect(await verify({ ...by, public: text }, message, signature)).toBe(false);
    // RSA of 1024 bits can be broken.
    const weak = generateKeyPairSync("rsa", { modulusLength: 1024 });
    const how = { key: weak.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
    const bySmall = key("rsassa-pss-sha256", pem(weak));
    expect(await verify(bySmall, message, sign("sha256", message, how))).toBe(false);
    // A point of small order "signs" everything.
    const nothing = key("ed25519", `01${"00".repeat(31)}`);
    expect(await verify(nothing, message, Buffer.concat([Buffer.from([1]), Buffer.alloc(63)]))).toBe(false);
  });
});

it("the same key is the same however its text is wrapped", () => {
  const { key: by } = CASES["P-256"];
  const wrapped = {
    ...by,
    public: by.public.replaceAll("\n", "\r\n").trim(),
    keytype: "ecdsa-sha2-nistp256",
  };
  expect(identityOf(wrapped)).toBe(identityOf(by));
  const { key: raw } = CASES.ed25519;
  expect(identityOf({ ...raw, public: raw.public.toUpperCase() })).toBe(identityOf(raw));
  expect(identityOf(raw)).not.toBe(identityOf(by));
});
