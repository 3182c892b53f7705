import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromBase64, fromHex, toHex } from "../../src/bytes.js";
import { BootproofError } from "../../src/errors.js";
import { KeyError } from "../../src/image/key-error.js";
import { generateKey, type Key, keyFromSecret, parseKey, secretOf, toPem } from "../../src/image/keys.js";
import { publishedKeyName } from "../../src/image/published-keys.js";
import { keySigner } from "../../src/image/sign.js";
import { vectorFile } from "../support/image-imgtool-args.js";
import { KEY_TYPES } from "../support/image-keys.js";

interface Row {
  readonly type: (typeof KEY_TYPES)[number];
  readonly forms: Readonly<Record<string, string>>;
  readonly public_der: string;
  readonly key_hash: string;
}
const { made_by, passphrase, keys } = JSON.parse(vectorFile("keys.json")) as {
  made_by: string;
  passphrase: string;
  keys: Row[];
};

const forms = keys.flatMap((row) =>
  Object.keys(row.forms).map((form) => ({ ...row, form, pem: row.forms[form]! })),
);
const isPublic = (form: string) => form === "spki" || form === "pkcs1-public";

describe("reading keys", () => {
  it.each(forms)(`$type as $form: the public key and hash that ${made_by} gives`, async (row) => {
    const key = await parseKey(row.pem, { passphrase });
    expect(key.type).toBe(row.type);
    expect(toHex(key.publicDer)).toBe(row.public_der);
    expect(toHex(key.keyHash)).toBe(row.key_hash);
    expect(key.isPrivate).toBe(!isPublic(row.form));
  });

  it.each(forms.filter(({ form }) => !form.includes("EC PARAMETERS")))(
    "$type as $form in DER",
    async (row) => {
      const base64 = row.pem.replace(/-----[^-]+-----|\s/g, "");
      const key = await parseKey(fromBase64(base64), { passphrase });
      expect(toHex(key.publicDer)).toBe(row.public_der);
    },
  );

  it.each(keys)("$type: what we write is what OpenSSL writes", async (row) => {
    const key = await parseKey(row.forms.pkcs8!);
    expect(await toPem(key, "private")).toBe(row.forms.pkcs8);
    expect(await toPem(key, "public")).toBe(row.forms.spki);
    expect(await toPem(key.publicKey, "public")).toBe(row.forms.spki);
  });

  it.each(keys)("$type: encrypted with a passphrase, opened by OpenSSL's library and by us", async (row) => {
    const key = await parseKey(row.forms.pkcs8!);
    const pem = await toPem(key, "private", { passphrase: "käse" });
    expect(pem).toContain("BEGIN ENCRYPTED PRIVATE KEY");
    const opened = createPrivateKey({ key: pem, passphrase: "käse" });
    expect(opened.export({ type: "pkcs8", format: "pem" })).toBe(row.forms.pkcs8);
    expect(toHex((await parseKey(pem, { passphrase: "käse" })).publicDer)).toBe(row.public_der);
  });
});

describe("a new key", () => {
  it.each(KEY_TYPES)("%s: OpenSSL's library reads it and finds the same public part", async (type) => {
    const key = await generateKey(type);
    const pem = await toPem(key, "private");
    const publicKey = createPublicKey(createPrivateKey(pem));
    expect(publicKey.export({ type: "spki", format: "pem" })).toBe(await toPem(key, "public"));
    expect(toHex((await generateKey(type)).publicDer)).not.toBe(toHex(key.publicDer));
  });
});

describe("what is no key, or not one for this", () => {
  const encrypted = keys[0]!.forms.encrypted!;

  it.each([
    ["an empty file", "", "not-a-key"],
    ["some text", "hello", "not-a-key"],
    ["a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not-a-key"],
    ["a block cut short", keys[0]!.forms.pkcs8!.slice(0, 400), "not-a-key"],
    ["a damaged block", keys[0]!.forms.pkcs8!.replace("M", "!"), "not-a-key"],
    ["DER of something else", Uint8Array.of(0x30, 0x03, 0x02, 0x01, 0x05), "not-a-key"],
    ["no passphrase", encrypted, "passphrase-needed"],
    [
      "OpenSSL's old encryption",
      "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
      "unsupported-encryption",
    ],
  ])("%s", async (_, file, code) => {
    await expect(parseKey(file)).rejects.toMatchObject({ name: "KeyError", code });
  });

  it("a wrong passphrase is named as such", async () => {
    await expect(parseKey(encrypted, { passphrase: "no" })).rejects.toMatchObject({
      code: "wrong-passphrase",
    });
  });

  it.each([
    ["RSA-1024", generateKeyPairSync("rsa", { modulusLength: 1024 })],
    ["a curve of another field", generateKeyPairSync("ec", { namedCurve: "secp256k1" })],
  ])("%s is refused with the types that would do", async (_, { privateKey }) => {
    const pem = privateKey.export({ type: "pkcs8", format: "pem" });
    await expect(parseKey(pem.toString())).rejects.toMatchObject({ code: "unsupported-key" });
  });

  it("public key where a private one is needed; X25519 where a signing one is needed", async () => {
    const row = keys.find(({ type }) => type === "ed25519")!;
    const publicKey = await parseKey(row.forms.spki!);
    expect(() => keySigner(publicKey)).toThrow(expect.objectContaining({ code: "no-private-part" }));
    await expect(toPem(publicKey, "private")).rejects.toMatchObject({ code: "no-private-part" });
    expect(() => keySigner(keyFromSecret("x25519", new Uint8Array(32).fill(1)))).toThrow(KeyError);
  });

  it("a private number out of range, and one that does not fit its public part", async () => {
    expect(() => keyFromSecret("ecdsa-p256", new Uint8Array(32))).toThrow(
      expect.objectContaining({ code: "broken-key" }),
    );
    const row = keys.find(({ type }) => type === "ecdsa-p256")!;
    const der = fromBase64(row.forms.traditional!.replace(/-----[^-]+-----|\s/g, ""));
    der[der.length - 1]! ^= 1;
    await expect(parseKey(der)).rejects.toMatchObject({ code: "broken-key" });
  });

  it("mutated key files never do anything but fail with a code", async () => {
    const files = forms.filter(({ form }) => !form.includes("ncrypted")).map(({ pem }) => pem);
    const mutated = fc
      .tuple(
        fc.constantFrom(...files),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      )
      .map(([pem, changes]) => {
        const der = fromBase64(
          pem
            .split("-----END EC PARAMETERS-----")
            .at(-1)!
            .replace(/-----[^-]+-----|\s/g, ""),
        );
        for (const [at, value] of changes) der[at % der.length] = value;
        return der;
      });
    await fc.assert(
      fc.asyncProperty(mutated, async (der) => {
        await parseKey(der).catch((error: unknown) => {
          if (!(error instanceof BootproofError)) throw error;
        });
      }),
      { numRuns: 400 },
    );
  });
});

describe("a private key does not get out by accident", () => {
  const everywhere = (key: Key): string =>
    [
      JSON.stringify(key),
      JSON.stringify({ key }),
      String(key),
      inspect(key, { depth: 9, showHidden: true }),
    ].join();

  it.each(keys)("$type: neither in JSON, nor as text, nor inspected", async (row) => {
    const key = await parseKey(row.forms.pkcs8!);
    const secret = secretOf(key);
    const traces = [
      toHex(secret),
      Buffer.from(secret).toString("base64"),
      [...secret.subarray(0, 8)].join(","),
    ];
    for (const trace of traces) expect(everywhere(key)).not.toContain(trace);
    expect(JSON.parse(JSON.stringify(key))).toEqual({ type: row.type, keyHash: row.key_hash, private: true });
  });

  it.each(keys)("$type: not in the error of a damaged file", async (row) => {
    const secret = toHex(secretOf(await parseKey(row.forms.pkcs8!))).slice(-32);
    const base64 = row.forms.pkcs8!.split("\n")[1]!;
    for (const length of [40, 60, 100]) {
      const cut = `${row.forms.pkcs8!.slice(0, length)}\n-----END PRIVATE KEY-----\n`;
      const error: unknown = await parseKey(cut).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(KeyError);
      const shown = inspect(error, { depth: 9, showHidden: true });
      expect(shown).not.toContain(secret);
      expect(shown).not.toContain(base64.slice(0, 16));
    }
  });
});

it("MCUboot's published development keys are known by name", () => {
  const name = (hash: string) => publishedKeyName(fromHex(hash));
  expect(name("fc5701dc6135e1323847bdc40f04d2e5bee5833b23c29f93593d00018cfa9994")).toBe("root-rsa-2048.pem");
  expect(name("c1907fa4eac7fae3840a78902b6f0710b037e9968e5c6274a12a28790c7d4e3c")).toBe("root-ed25519.pem");
  expect(name(keys[0]!.key_hash)).toBeUndefined();
});
