import { ed25519 } from "@noble/curves/ed25519.js";
import { p256, p384 } from "@noble/curves/nist.js";
import { describe, expect, it } from "vitest";
import { fromHex, toHex } from "../../src/bytes.js";
import { CURVES, type EcdsaKeyType } from "../../src/crypto/algorithms.js";
import { CURVE_DOMAINS } from "../../src/crypto/curve-domains.js";
import { hasSmallOrder, isEd25519Point, uncompressedPoint } from "../../src/crypto/curve-points.js";
import { HASHES, hkdf } from "../../src/crypto/hashes.js";
import { nobleCrypto } from "../../src/crypto/noble.js";
import { opensslCrypto } from "../../src/crypto-node/openssl.js";

/** Numbers that repeat, so that a failure can be looked at again. */
const bytes = (length: number, seed: number) =>
  Uint8Array.from(
    { length },
    (_, index) => (Math.imul(index + 1, 2654435761) ^ Math.imul(seed + 7, 40503)) >>> 13,
  );

const ECDSA = ["ecdsa-p256", "ecdsa-p384"] as const satisfies readonly EcdsaKeyType[];
const SIZES = { "ecdsa-p256": 32, "ecdsa-p384": 48 } as const;
const HASH = { "ecdsa-p256": "sha256", "ecdsa-p384": "sha384" } as const;

describe("RFC 6979, appendix A.2", () => {
  // Key, message "sample", SHA-256 or SHA-384: the r and s that the document prints.
  const rows = [
    {
      type: "ecdsa-p256",
      secret: "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
      signature:
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    },
    {
      type: "ecdsa-p384",
      secret:
        "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5",
      signature:
        "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe4699ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8",
    },
  ] as const;

  it.each(rows)("$type", ({ type, secret, signature }) => {
    const message = new TextEncoder().encode("sample");
    const digest = HASHES[HASH[type]].digest(message);
    for (const provider of [opensslCrypto, nobleCrypto]) {
      const { sign, verify, publicOf } = provider.ecdsa[type];
      expect(toHex(sign(digest, fromHex(secret)))).toBe(signature);
      expect(verify(fromHex(signature), message, publicOf(fromHex(secret)))).toBe(true);
    }
  });
});

describe("OpenSSL and JavaScript give the same", () => {
  it.each(ECDSA)("%s keys, signatures and verdicts", (type) => {
    const [ours, theirs] = [opensslCrypto.ecdsa[type], nobleCrypto.ecdsa[type]];
    for (let seed = 0; seed < 10; seed++) {
      const secret = bytes(SIZES[type], seed);
      if (!CURVES[type].isSecret(secret)) continue;
      const message = bytes(100 + seed, seed);
      const digest = HASHES[HASH[type]].digest(message);
      const point = ours.publicOf(secret);
      expect(point).toEqual(theirs.publicOf(secret));
      const signature = ours.sign(digest, secret);
      expect(signature).toEqual(theirs.sign(digest, secret));
      const turned = signature.slice();
      turned[seed % turned.length]! ^= 1 << (seed % 8);
      for (const [candidate, text] of [
        [signature, message],
        [turned, message],
        [signature, bytes(99, seed)],
        [new Uint8Array(signature.length), message],
        [signature.subarray(1), message],
      ] as const)
        expect(ours.verify(candidate, text, point)).toBe(theirs.verify(candidate, text, point));
      // An s above half of the order is as good.
      const { n } = CURVE_DOMAINS[type];
      const half = SIZES[type];
      const s = n - BigInt(`0x${toHex(signature.subarray(half))}`);
      const high = fromHex(toHex(signature.subarray(0, half)) + s.toString(16).padStart(2 * half, "0"));
      expect([ours, theirs].map(({ verify }) => verify(high, message, point))).toEqual([true, true]);
      const other = theirs.publicOf(bytes(half, seed + 100));
      expect(ours.agree(secret, other)).toEqual(theirs.agree(secret, other));
      const broken = point.slice();
      broken[5]! ^= 1;
      expect([ours, theirs].map(({ verify }) => verify(signature, message, broken))).toEqual([false, false]);
    }
  });

  it("Ed25519 keys, signatures and verdicts", () => {
    const [ours, theirs] = [opensslCrypto.ed25519, nobleCrypto.ed25519];
    for (let seed = 0; seed < 10; seed++) {
      const secret = bytes(32, seed);
      const message = bytes(seed, seed);
      const point = ours.publicOf(secret);
      expect(point).toEqual(theirs.publicOf(secret));
      const signature = ours.sign(message, secret);
      expect(signature).toEqual(theirs.sign(message, secret));
      const turned = signature.slice();
      turned[seed % 64]! ^= 1 << (seed % 8);
      for (const [candidate, key] of [
        [signature, point],
        [turned, point],
        [signature, ours.publicOf(bytes(32, seed + 1))],
        [signature.subarray(1), point],
        [signature, bytes(32, seed + 500)],
      ] as const)
        expect(ours.verify(candidate, message, key)).toBe(theirs.verify(candidate, message, key));
    }
  });

  it("no verdict for keys of small order, and none for an encoding that is not canonical", () => {
    const { Point } = ed25519;
    const torsion = Point.fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a");
    const small = Array.from({ length: 8 }, (_, index) =>
      index === 0 ? Point.ZERO.toBytes() : torsion.multiplyUnsafe(BigInt(index)).toBytes(),
    );
    const message = bytes(10, 1);
    for (const point of small) {
      expect(hasSmallOrder(point), toHex(point)).toBe(true);
      const zero = new Uint8Array(64);
      zero.set(Point.ZERO.toBytes());
      for (const { ed25519: curve } of [opensslCrypto, nobleCrypto])
        expect(curve.verify(zero, message, point), toHex(point)).toBe(false);
    }
    expect(hasSmallOrder(opensslCrypto.ed25519.publicOf(bytes(32, 1)))).toBe(false);
    // y = p + 1 spells the same point as y = 1.
    const stretched = fromHex(`ee${"ff".repeat(30)}7f`);
    expect(isEd25519Point(stretched)).toBe(false);
    expect(isEd25519Point(Point.ZERO.toBytes())).toBe(true);
  });

  it("X25519, RFC 7748, section 6.1", () => {
    const alice = fromHex("77076d0a7318a57d3c16c17251b26645c6df1a6b6e9a2a1e9d2c8d1f1f3a5a26");
    const bob = fromHex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    for (const { x25519 } of [opensslCrypto, nobleCrypto]) {
      expect(toHex(x25519.publicOf(bob))).toBe(
        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
      );
      expect(x25519.agree(alice, x25519.publicOf(bob))).toEqual(x25519.agree(bob, x25519.publicOf(alice)));
      expect(() => x25519.agree(alice, new Uint8Array(32))).toThrow();
    }
    expect(opensslCrypto.x25519.agree(alice, opensslCrypto.x25519.publicOf(bob))).toEqual(
      nobleCrypto.x25519.agree(alice, nobleCrypto.x25519.publicOf(bob)),
    );
  });
});

it.each(["sha256", "sha384", "sha512"] as const)("%s, HMAC with it, and SHA-1", (hash) => {
  const [ours, theirs] = [opensslCrypto.hashes, nobleCrypto.hashes];
  for (const size of [0, 1, 63, 64, 111, 112, 127, 128, 5000]) {
    const data = bytes(size, size);
    expect(ours.digest(hash, data)).toEqual(theirs.digest(hash, data));
    expect(ours.sha1(data)).toEqual(theirs.sha1(data));
    expect(ours.hmac(hash, bytes(20, 3), data)).toEqual(theirs.hmac(hash, bytes(20, 3), data));
  }
});

it("HKDF, RFC 5869, appendix A.3: no salt, no info", () => {
  const key = hkdf("sha256", new Uint8Array(22).fill(0x0b), new Uint8Array(0), 42);
  expect(toHex(key)).toBe(
    "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
  );
});

describe("points", () => {
  it.each([
    ["ecdsa-p256", p256],
    ["ecdsa-p384", p384],
  ] as const)("of %s in every encoding are read as noble reads them, others refused", (type, curve) => {
    const size = SIZES[type];
    const domain = CURVE_DOMAINS[type];
    const { p, a, b, n, Gx, Gy } = curve.Point.CURVE();
    expect(domain).toEqual({ p, a, b, n, x: Gx, y: Gy });
    for (let seed = 0; seed < 10; seed++) {
      const point = opensslCrypto.ecdsa[type].publicOf(bytes(size, seed));
      const odd = point.at(-1)! & 1;
      const compressed = Uint8Array.from([2 + odd, ...point.subarray(1, 1 + size)]);
      const hybrid = Uint8Array.from([6 + odd, ...point.subarray(1)]);
      for (const encoded of [point, compressed, hybrid])
        expect(uncompressedPoint(domain, encoded, size)).toEqual(point);
      hybrid[0]! ^= 1;
      point[10]! ^= 1;
      for (const encoded of [hybrid, point, compressed.subarray(1), new Uint8Array(2 * size + 1)])
        expect(uncompressedPoint(domain, encoded, size)).toBeUndefined();
      const random = Uint8Array.from([2, ...bytes(size, seed + 900)]);
      const read = (() => {
        try {
          return curve.Point.fromBytes(random).toBytes(false);
        } catch {
          return undefined;
        }
      })();
      expect(uncompressedPoint(domain, random, size)).toEqual(read);
    }
  });

  it("of edwards25519 are told from other bytes as noble tells them", () => {
    let points = 0;
    for (let seed = 0; seed < 60; seed++) {
      const encoded = bytes(32, seed);
      const valid = ed25519.utils.isValidPublicKey(encoded, false);
      expect(isEd25519Point(encoded), toHex(encoded)).toBe(valid);
      if (valid) points++;
    }
    expect(points).toBeGreaterThan(15);
  });
});
