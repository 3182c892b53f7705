import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, keyFile, signWords, tempFolder } from "../support/cli-run.js";
import { payload, vectorFile } from "../support/image-imgtool-args.js";
import { makeToken, PIN, softHsmLibrary, whyNoSoftHsm } from "../support/image-signers.js";

beforeAll(ensureBuilt);

const PASSPHRASE = "throw-away";
const { keys } = JSON.parse(vectorFile("keys.json")) as {
  keys: { type: string; forms: Record<string, string> }[];
};

/** The secret numbers of a private key's PKCS#8: the last 24 bytes of each stretch that a public key does not have. */
function secretsOf(type: string, pem: string): Buffer[] {
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64");
  if (type.endsWith("25519")) return [der.subarray(-32)];
  if (type.startsWith("ecdsa")) {
    const size = type.endsWith("256") ? 32 : 48;
    const at = der.indexOf(Buffer.from([0x04, size]));
    return [der.subarray(at + 2, at + 2 + size)];
  }
  // RSA: everything behind modulus and exponent, of which the end is q's inverse.
  return [der.subarray(-100), der.subarray(Math.floor(der.length / 2), Math.floor(der.length / 2) + 100)];
}

/** Forms in which a stretch of a secret could slip out. */
function forms(secret: Buffer): string[] {
  const found: string[] = [];
  for (let at = 0; at + 12 <= secret.length; at += 3) {
    const part = secret.subarray(at, at + 12);
    const hex = [...part].map((byte) => byte.toString(16).padStart(2, "0"));
    found.push(
      part.toString("hex"),
      part.toString("base64"),
      [...part].join(","),
      hex.map((byte) => `0x${byte}`).join(", "),
    );
  }
  return found;
}

/** One of each family; the other sizes go the same ways. */
const FAMILIES = ["ed25519", "ecdsa-p256", "rsa-2048", "x25519"];

it.each(keys.filter(({ type }) => FAMILIES.includes(type)).map(({ type, forms: pems }) => ({ type, pems })))(
  "$type: neither key nor passphrase in any output, whatever goes well or wrong",
  async ({ type, pems }) => {
    const folder = tempFolder();
    const at = (name: string) => join(folder, name);
    const put = (name: string, text: string) => {
      writeFileSync(at(name), text);
      return at(name);
    };
    writeFileSync(at("body.bin"), payload("p3000"));
    const plain = pems.pkcs8!;
    const key = put("key.pem", plain);
    const sealed = put("sealed.pem", pems.encrypted!);
    const cut = put("cut.pem", `${plain.slice(0, -60)}\n-----END PRIVATE KEY-----\n`);
    const changed = put("changed.pem", plain.replace(/[A-Za-z](?=[^\n]{5}\n-----END)/, "!"));
    const swapped = put(
      "swapped.pem",
      plain.replace("PRIVATE KEY", "PUBLIC KEY").replace("PRIVATE KEY", "PUBLIC KEY"),
    );
    const head = "-v 1 -H 32 --pad-header -S 0x10000".split(" ");
    const runs: [string[], Record<string, string>?][] = [
      ...[key, sealed, cut, changed, swapped].flatMap((file): [string[], Record<string, string>?][] => [
        [["sign", ...head, "-k", file, at("body.bin"), at("i.bin"), "--force", "--json"]],
        [["imgtool", "sign", ...head, "-k", file, at("body.bin"), at("i.bin")]],
        [["imgtool", "getpub", "-k", file]],
        [["keys", "show", file, "--json"]],
      ]),
      [
        ["sign", ...head, "-k", sealed, at("body.bin"), at("j.bin"), "--json"],
        { BOOTPROOF_PASSPHRASE: PASSPHRASE },
      ],
      [["imgtool", "getpub", "-k", sealed], { BOOTPROOF_PASSPHRASE: PASSPHRASE }],
      [["keys", "show", sealed], { BOOTPROOF_PASSPHRASE: "another-passphrase" }],
      [["imgtool", "verify", "-k", key, at("i.bin")]],
      [["imgtool", "keyinfo", "-k", key]],
      [["verify", at("i.bin"), "--key", key, "--decrypt-key", key, "--json"]],
      [["inspect", at("i.bin"), "--key", key, "--json"]],
      [["keys", "hash", key, "--json"]],
      [["keys", "which", at("i.bin"), "--key", key, "--json"]],
      [["keys", "private", key, at("k.c"), "--json"]],
      [["keys", "resign", at("i.bin"), at("r.bin"), "-k", key, "--json"]],
      [["keys", "public", key, at("k.pub"), "--json"]],
      [
        [
          "sign",
          ...head,
          "--public-key",
          key,
          "--request",
          at("req.json"),
          at("body.bin"),
          at("n.bin"),
          "--json",
        ],
      ],
      [["keys", "sign-request", at("req.json"), at("res.json"), "-k", key, "--yes", "--json"]],
    ];
    const secrets = [
      ...secretsOf(type, plain).flatMap(forms),
      PASSPHRASE,
      "another-passphrase",
      ...plain.split("\n").filter((line) => line.length === 64 && !pems.spki!.includes(line.slice(8, 40))),
    ];
    let succeeded = 0;
    for (const [words, env] of runs) {
      const { status, stdout, stderr } = await bootproof(words, env ? { env } : {});
      if (status === 0) succeeded++;
      // The one answer that is the private key itself goes into a file; the rest says nothing of it.
      for (const secret of secrets) expect(`${stdout}${stderr}`, words.join(" ")).not.toContain(secret);
    }
    expect(succeeded).toBeGreaterThan(5);
    // Files for the other side, and images, carry none of it either.
    for (const name of ["req.json", "res.json", "i.bin", "k.pub"]) {
      const there = readFileIfAny(at(name));
      for (const secret of secretsOf(type, plain)) expect(there.includes(secret)).toBe(false);
      for (const secret of secrets) expect(there.includes(secret)).toBe(false);
    }
  },
);

function readFileIfAny(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    // An X25519 key signs nothing: there is no such file then.
    return Buffer.alloc(0);
  }
}

it("a key that is given to a board's command is in no trace and no log", async () => {
  const folder = tempFolder();
  const at = (name: string) => join(folder, name);
  await bootproof(signWords("good-b", at("update.bin")));
  const env = { BOOTPROOF_PASSPHRASE: PASSPHRASE };
  const plain = readFileSync(keyFile("ed25519-1"), "utf8");
  const words = ["flash", at("update.bin"), "-d", "wasm:good", "--json", "--log", "--trace", at("trace")];
  const { status, stdout, stderr } = await bootproof([...words, "--key", keyFile("ed25519-1")], { env });
  expect(status).toBe(0);
  expect(readFileSync(at("trace"), "utf8")).toContain('"direction"');
  const secrets = [...secretsOf("ed25519", plain).flatMap(forms), PASSPHRASE];
  for (const text of [stdout, stderr, readFileSync(at("trace"), "utf8")])
    for (const secret of secrets) expect(text).not.toContain(secret);
});

const reason = whyNoSoftHsm();

it.skipIf(reason !== undefined)(`a PIN in no output${reason ? ` (skipped: ${reason})` : ""}`, async () => {
  const folder = tempFolder();
  const at = (name: string) => join(folder, name);
  writeFileSync(at("body.bin"), payload("p64"));
  writeFileSync(at("pin"), `${PIN}\n`);
  writeFileSync(at("key.pem"), keys.find(({ type }) => type === "ecdsa-p256")!.forms.pkcs8!);
  const token = makeToken();
  try {
    token.importKey(at("key.pem"), "k", "a1");
    const head = "sign -v 1 -H 32 --pad-header -S 0".split(" ");
    const words = [...head, "--pkcs11-module", softHsmLibrary()!, at("body.bin"), at("i.bin"), "--json"];
    const env = { ...token.env, BOOTPROOF_PIN: PIN };
    const runs = [
      await bootproof(words, { env }),
      await bootproof([...words, "--force", "--pin-file", at("pin")], { env: token.env }),
      await bootproof([...words, "--pkcs11-token", "other"], { env }),
      await bootproof([...words, "--pkcs11-key", "other"], { env }),
      await bootproof([...words, "--pkcs11-module", at("pin")], { env }),
    ];
    expect(runs.map(({ status }) => status)).toEqual([0, 0, 24, 24, 25]);
    for (const { stdout, stderr } of runs) expect(`${stdout}${stderr}`).not.toContain(PIN);
  } finally {
    token.remove();
  }
});
