import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Where Debian puts SoftHSM's library. */
const LIBRARIES = [
  "/usr/lib/softhsm/libsofthsm2.so",
  "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
  "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
];

const runs = (program: string, ...args: string[]) => spawnSync(program, args).status === 0;

/** Why the security module's tests cannot run here; undefined when they can. */
export function whyNoSoftHsm(): string | undefined {
  if (softHsmLibrary() === undefined) return "softhsm2 is not installed (apt-get install softhsm2)";
  if (!runs("sh", "-c", "command -v softhsm2-util")) return "softhsm2-util is not installed";
  try {
    createRequire(import.meta.url).resolve("pkcs11js");
  } catch {
    return "the optional package pkcs11js is not installed (npm install --no-save pkcs11js)";
  }
  return undefined;
}

export function softHsmLibrary(): string | undefined {
  return LIBRARIES.find((path) => runs("test", "-e", path));
}

export const PIN = "839214";

/** A token of its own in a temporary folder. */
export interface Token {
  readonly folder: string;
  readonly label: string;
  /** Environment that makes SoftHSM find it. */
  readonly env: Readonly<Record<string, string>>;
  /** Brings a private key in under a label; it cannot be copied out again. */
  importKey(pem: string, label: string, id: string): void;
  remove(): void;
}

export function makeToken(label = "bootproof test"): Token {
  const folder = mkdtempSync(join(tmpdir(), "bootproof-softhsm-"));
  const config = join(folder, "softhsm2.conf");
  writeFileSync(config, `directories.tokendir = ${folder}\nobjectstore.backend = file\nlog.level = ERROR\n`);
  const env = { SOFTHSM2_CONF: config };
  const util = (...args: string[]) => {
    const done = spawnSync("softhsm2-util", args, { env: { ...process.env, ...env }, encoding: "utf8" });
    if (done.status !== 0) throw new Error(`softhsm2-util ${args[0]}: ${done.stderr}`);
  };
  util("--init-token", "--free", "--label", label, "--so-pin", "12345678", "--pin", PIN);
  return {
    folder,
    label,
    env,
    importKey: (pem, name, id) =>
      util("--import", pem, "--token", label, "--label", name, "--id", id, "--pin", PIN),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Programs that speak the signer's protocol, or do not, by name: sources for `node -e`. */
export const SIGNER_PROGRAMS = {
  /** Signs with a key file by OpenSSL: knows nothing of images. argv: key file, encoding of ECDSA. */
  honest: `
    const { execFileSync } = require("node:child_process");
    const fs = require("node:fs"), os = require("node:os"), path = require("node:path");
    const [, file, encoding = "der"] = process.argv;
    const question = JSON.parse(fs.readFileSync(0, "utf8"));
    const answer = { v: 1, log: { backend: "test" } };
    if (question.op === "publicKey") answer.publicKey = execFileSync("openssl", ["pkey", "-in", file, "-pubout"], { encoding: "utf8" });
    else {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), "signer-"));
      const input = path.join(folder, "input");
      fs.writeFileSync(input, Buffer.from(question[question.input], question.input === "digest" ? "hex" : "base64"));
      const scheme = {
        "ed25519": ["-rawin"],
        "ecdsa-p256-sha256": [],
        "ecdsa-p384-sha384": [],
        "rsa-pkcs1v15-sha256": ["-pkeyopt", "rsa_padding_mode:pkcs1", "-pkeyopt", "digest:sha256"],
        "rsa-pss-sha256-salt32": ["-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "digest:sha256", "-pkeyopt", "rsa_pss_saltlen:32"],
      }[question.scheme];
      let signature = execFileSync("openssl", ["pkeyutl", "-sign", "-inkey", file, "-in", input, ...scheme]);
      fs.rmSync(folder, { recursive: true });
      if (encoding === "p1363") {
        const size = question.scheme.includes("384") ? 48 : 32, numbers = [];
        for (let at = 2; at < signature.length; at += 2 + signature[at + 1])
          numbers.push(Buffer.concat([Buffer.alloc(size), signature.subarray(at + 2, at + 2 + signature[at + 1])]).subarray(-size));
        signature = Buffer.concat(numbers);
      }
      answer.signature = signature.toString("base64");
      if (encoding !== "none") answer.encoding = question.scheme.startsWith("ecdsa") ? encoding : "raw";
    }
    fs.writeSync(2, "asked for " + question.keyRef + ", " + JSON.stringify(question.context) + "\\n");
    console.log(JSON.stringify(answer));`,
  silent: "setTimeout(() => {}, 600000)",
  failing: 'console.error("the vault is sealed"); process.exit(3)',
  refusing: 'console.log(JSON.stringify({ v: 1, error: "policy: no signing on Fridays" }))',
  talkative: 'console.log("hello"); console.log(JSON.stringify({ v: 1, signature: "AAAA" }))',
  endless: 'for (;;) require("node:fs").writeSync(1, "x".repeat(65536))',
  "of another version": 'console.log(JSON.stringify({ v: 2, signature: "AAAA" }))',
  "not base64": 'console.log(JSON.stringify({ v: 1, signature: "*" }))',
  "with a strange encoding": 'console.log(JSON.stringify({ v: 1, signature: "AAAA", encoding: "pgp" }))',
  wrong: 'console.log(JSON.stringify({ v: 1, signature: Buffer.alloc(64).toString("base64") }))',
  "not an object": "console.log(17)",
  empty: "",
} as const;
