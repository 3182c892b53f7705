import { describe, expect, it } from "vitest";
import { canSign, SIGNATURE_ALGORITHMS } from "../../src/crypto/algorithms.js";
import { ENCRYPTION_KEYS, SIGNATURE_TLVS } from "../../src/mcuboot/crypto-tlvs.js";

/**
 * What the specifications and MCUboot hold of each algorithm: RFC 8017 and 8032, SEC 1; TLV types of MCUboot's image.h; which
 * hash goes with which key, and how far signatures are padded, of imgtool 2.4.0 (keys/*.py).
 */
const KNOWN = [
  ["rsa-2048", "rsa", "digest", false, ["sha256"], 256, 0x20, ["rsa-2048", "rsa-3072"]],
  ["rsa-3072", "rsa", "digest", false, ["sha256"], 384, 0x23, ["rsa-2048", "rsa-3072"]],
  ["ecdsa-p256", "ecdsa", "digest", false, ["sha256"], 73, 0x22, ["ecdsa-p256"]],
  ["ecdsa-p384", "ecdsa", "digest", false, ["sha384"], 105, 0x22, ["ecdsa-p384"]],
  ["ed25519", "eddsa", "message", true, ["sha256", "sha512"], 64, 0x24, ["x25519"]],
] as const;

describe("signature algorithms", () => {
  it("has a row for each of MCUboot's, and no other", () => {
    expect(Object.keys(SIGNATURE_ALGORITHMS).sort()).toEqual(KNOWN.map(([name]) => name).sort());
    expect(canSign("x25519")).toBe(false);
  });

  it.each(KNOWN)("%s", (name, family, signs, mayBePure, hashes, longest, tlv, encryption) => {
    const { signatureLength, ...row } = SIGNATURE_ALGORITHMS[name];
    expect(row).toMatchObject({ keyType: name, family, signs, mayBePure, hashes });
    expect(signatureLength.max).toBe(longest);
    expect(SIGNATURE_TLVS[name]).toBe(tlv);
    expect(ENCRYPTION_KEYS[name]).toEqual(expect.arrayContaining([...encryption]));
    expect(canSign(name)).toBe(true);
  });
});
