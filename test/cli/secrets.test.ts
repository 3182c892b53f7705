import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, type Ended, signWords, tempFolder } from "../support/cli-run.js";

beforeAll(ensureBuilt);

const PASSPHRASE = "correct horse battery staple";

/** Every run of 12 bytes of a secret, in the forms in which it could slip out. */
function fragments(secret: Buffer): string[] {
  const forms: string[] = [];
  for (let at = 0; at + 12 <= secret.length; at += 4) {
    const part = secret.subarray(at, at + 12);
    forms.push(part.toString("hex"), part.toString("hex").toUpperCase(), [...part].join(","));
  }
  return forms;
}

/** The 32 secret bytes of an Ed25519 key: the end of its PKCS#8. */
function secretOf(pem: string): Buffer {
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64");
  return der.subarray(-32);
}

function expectNothingOf(secret: { pem: string }, runs: readonly Ended[]): void {
  const lines = secret.pem.split("\n").filter((line) => line !== "" && !line.startsWith("-----"));
  const forbidden = [
    ...lines,
    ...fragments(secretOf(secret.pem)),
    PASSPHRASE,
    Buffer.from(PASSPHRASE).toString("hex"),
  ];
  for (const { stdout, stderr } of runs)
    for (const text of forbidden) expect(`${stdout}${stderr}`).not.toContain(text);
}

it("a private key's bytes and its passphrase appear in no output, whatever goes well or wrong", async () => {
  const folder = tempFolder();
  const at = (name: string) => join(folder, name);
  const env = { BOOTPROOF_PASSPHRASE: PASSPHRASE };
  const made = await bootproof(["keys", "generate", at("plain.pem")]);
  const sealed = await bootproof(["keys", "generate", "-e", at("sealed.pem")], { env });
  const pem = readFileSync(at("plain.pem"), "utf8");
  const broken = pem.replace(/[A-Za-z0-9+/](?=[A-Za-z0-9+/=]{3}\n-----END)/, "!");
  writeFileSync(at("broken.pem"), broken);
  writeFileSync(at("cut.pem"), pem.slice(0, 90));
  writeFileSync(at("pass.txt"), `${PASSPHRASE}\n`);
  const sign = (key: string, out: string, ...more: string[]) => [
    ...signWords("good-b", at(out)),
    "-k",
    at(key),
    ...more,
  ];
  const runs = [
    made,
    sealed,
    await bootproof(["keys", "show", at("plain.pem"), "--json"]),
    await bootproof(["keys", "show", at("sealed.pem")], { env }),
    await bootproof(["keys", "public", at("plain.pem"), at("public.pem")]),
    await bootproof(["keys", "show", at("broken.pem")]),
    await bootproof(["keys", "show", at("cut.pem")]),
    await bootproof(sign("plain.pem", "1.bin", "--json")),
    await bootproof(sign("sealed.pem", "2.bin", "--passphrase-file", at("pass.txt"))),
    await bootproof(sign("sealed.pem", "3.bin"), { env: { BOOTPROOF_PASSPHRASE: `${PASSPHRASE}x` } }),
    await bootproof(["verify", at("1.bin"), "--key", at("plain.pem"), "--json"]),
    await bootproof(["verify", at("plain.pem")]),
    await bootproof(["inspect", at("plain.pem")]),
    await bootproof(["flash", at("plain.pem"), "-d", "wasm:good"]),
    await bootproof(["flash", at("1.bin"), "--key", at("plain.pem"), "-d", "wasm:good", "--json"]),
  ];
  expect(runs.filter(({ status }) => status === 0).length).toBeGreaterThan(7);
  expectNothingOf({ pem }, runs);
  expect(readFileSync(at("public.pem"), "utf8")).toMatch(/BEGIN PUBLIC KEY/);
});

it("a new private key is readable by its owner alone", async () => {
  const file = join(tempFolder(), "k.pem");
  await bootproof(["keys", "generate", file]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

it("an encrypted key file does not hold the key in the open", async () => {
  const file = join(tempFolder(), "k.pem");
  await bootproof(["keys", "generate", "-e", file], { env: { BOOTPROOF_PASSPHRASE: PASSPHRASE } });
  expect(readFileSync(file, "utf8")).toMatch(/BEGIN ENCRYPTED PRIVATE KEY/);
});
