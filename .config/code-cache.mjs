// Run by the Node of a package, with its folder: loads every part of the program, runs what is run most, and keeps beside
// each part what V8 compiled of it.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [, , folder] = process.argv;
const { loaderOf } = createRequire(import.meta.url)("./parts.cjs");
const program = join(folder, "program");
const fixture = (name) => join(folder, "firmware-fixtures", name);
const scripts = new Map();
const load = loaderOf(program, {
  cacheOf: () => undefined,
  onScript: (file, script) => scripts.set(file, script),
});

const home = mkdtempSync(join(tmpdir(), "bootproof-package-"));
Object.assign(process.env, { HOME: home, BOOTPROOF_NO_LOG: "1", NO_COLOR: "1" });
process.stdout.write = () => true;
process.stderr.write = () => true;
process.argv = [process.execPath, process.execPath, "--version"];
load(join(program, "main.js"));
const run = load(join(program, "chunks/run.js"));
const { main } = run.run_exports ?? run;
const image = fixture("prebuilt/app-good-a.bin");
const key = fixture("keys/throwaway-ed25519-1.pem");
const signing = ["-v", "1.0.0", "-H", "512", "--pad-header", "-S", "0x40000"];
const RUNS = [
  ["--help"],
  ["help", "flash"],
  ["info", "-d", "wasm:good"],
  ["echo", "-d", "wasm:good"],
  ["devices"],
  ["imgtool", "sign", ...signing, "-k", key, image, join(home, "signed.bin")],
  ["imgtool", "verify", "-k", key, join(home, "signed.bin")],
  ["sign", ...signing, "--key", key, image, join(home, "again.bin")],
  ["verify", "--key", key, join(home, "again.bin")],
  ["inspect", join(home, "again.bin")],
];
for (const words of RUNS) {
  const status = await main(words);
  if (status !== 0) throw new Error(`bootproof ${words.join(" ")} ended with ${status}`);
}
for (const name of readdirSync(join(program, "chunks")))
  if (name.endsWith(".js")) load(join(program, "chunks", name));
for (const [file, script] of scripts) writeFileSync(`${file}.cache`, script.createCachedData());
rmSync(home, { recursive: true });
process.exit(0);
