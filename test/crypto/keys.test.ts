import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { inspect } from "node:util";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { fromBase64, fromHex, toHex } from "../../src/bytes.js";
import { decipherNatively } from "../../src/cli/native-ciphers.js";
import { DER, der, derInteger } from "../../src/crypto/der.js";
import { KeyError } from "../../src/crypto/key-error.js";
import { generateKey, type Key, keyFromSecret, parseKey, secretOf, toPem } from "../../src/crypto/keys.js";
import { publishedKeyName } from "../../src/crypto/published-keys.js";
import { keySigner } from "../../src/crypto/signer.js";
import { BootproofError } from "../../src/errors.js";
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

interface FormRow {
  readonly key: string;
  readonly form: string;
  /** base64 of the whole file. */
  readonly file: string;
  /** SHA-256 of the public key as imgtool embeds it; null where imgtool does not read the file. */
  readonly imgtool: string | null;
}
const written = JSON.parse(vectorFile("key-forms.json")) as {
  made_by: string;
  passphrase: string;
  rows: FormRow[];
};

describe(`every written form that ${written.made_by} reads`, () => {
  beforeAll(decipherNatively);
  const named = written.rows.map((row) => ({ ...row, name: `${row.key}: ${row.form}` }));
  const read = (row: FormRow) => parseKey(fromBase64(row.file), { passphrase: written.passphrase });
  /** No JavaScript of ours deciphers RC2. */
  const refused = (row: FormRow) => row.form.includes("RC2");

  it.each(named.filter((row) => row.imgtool !== null && !refused(row)))("$name", async (row) => {
    expect(toHex((await read(row)).keyHash)).toBe(row.imgtool);
  });

  it.each(named.filter(refused))("$name: refused with a way to convert it", async (row) => {
    await expect(read(row)).rejects.toMatchObject({
      code: "unsupported-encryption",
      message: expect.stringMatching(/encrypted with RC2.*, which is insecure and not supported/),
      hint: expect.stringMatching(/openssl pkcs8 .*-provider legacy/),
    });
  });

  it.each(named.filter((row) => row.imgtool === null))(
    "$name, which imgtool does not read: the same key, or refused without a claim about it",
    async (row) => {
      const { key_hash } = keys.find(({ type }) => type === row.key)!;
      const result = await read(row).then(
        (key) => toHex(key.keyHash),
        (error: unknown) => (error as KeyError).code,
      );
      const refusals = ["not-a-key", "unsupported-key", "unsupported-encryption"];
      expect(row.form.includes("another base point") ? refusals : [key_hash, ...refusals]).toContain(result);
    },
  );

  it("the forms that people have, though imgtool does not read them", async () => {
    const forms = [
      "in UTF-16 with a byte order mark",
      "with written-out line ends",
      "behind a block without end",
    ];
    for (const row of written.rows.filter(({ form }) => forms.includes(form)))
      expect((await read(row)).type).toBe(row.key);
  });

  it("without a passphrase it is asked for, and a wrong one is named", async () => {
    for (const row of written.rows.filter(
      ({ form }) => /scrypt|PBES|old PEM/.test(form) && !/512\/256|Camellia|camellia|RC2/.test(form),
    )) {
      const bytes = fromBase64(row.file);
      await expect(parseKey(bytes), row.form).rejects.toMatchObject({ code: "passphrase-needed" });
      await expect(parseKey(bytes, { passphrase: "other" }), row.form).rejects.toMatchObject({
        code: "wrong-passphrase",
      });
    }
  });
});

describe("a key file that asks for too much work", () => {
  const scrypt = fromHex("2b06010401da47040b");
  const file = (kdf: Uint8Array, ...numbers: number[]) => {
    const integers = numbers.map((n) => derInteger(fromHex(n.toString(16).padStart(8, "0"))));
    const derivation = der(
      DER.SEQUENCE,
      der(DER.OID, kdf),
      der(DER.SEQUENCE, der(DER.OCTET_STRING, new Uint8Array(8)), ...integers),
    );
    const cipher = der(
      DER.SEQUENCE,
      der(DER.OID, fromHex("60864801650304012a")),
      der(DER.OCTET_STRING, new Uint8Array(16)),
    );
    const scheme = der(DER.SEQUENCE, derivation, cipher);
    const algorithm = der(DER.SEQUENCE, der(DER.OID, fromHex("2a864886f70d01050d")), scheme);
    return der(DER.SEQUENCE, algorithm, der(DER.OCTET_STRING, new Uint8Array(16)));
  };

  it.each([
    ["scrypt with gigabytes", file(scrypt, 2 ** 30, 8, 1)],
    ["scrypt with a large block", file(scrypt, 2, 2 ** 30, 1)],
    ["scrypt many times over", file(scrypt, 2 ** 14, 8, 2 ** 20)],
    ["scrypt with a cost that is no power of two", file(scrypt, 1000, 8, 1)],
    ["scrypt with nothing to do", file(scrypt, 0, 0, 0)],
    ["PBKDF2 with four billion rounds", file(fromHex("2a864886f70d01050c"), 0xffff_ffff)],
  ])("%s is refused before any of it is done", async (_, bytes) => {
    await expect(parseKey(bytes, { passphrase: "x" })).rejects.toMatchObject({
      code: "unsupported-encryption",
    });
  });

  it("a file that is larger than any key, and one that is full of beginnings", async () => {
    await expect(parseKey(new Uint8Array(600_000))).rejects.toMatchObject({ code: "not-a-key" });
    const beginnings = "-----BEGIN A-----".repeat(10_000);
    await expect(parseKey(beginnings)).rejects.toMatchObject({ code: "not-a-key" });
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

describe("what is not a key, or not one for this", () => {
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
      "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899aabbccddeeff\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
      "passphrase-needed",
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
