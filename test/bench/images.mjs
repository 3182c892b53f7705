// `npm run bench:images`: signing and verifying a 1 MiB image, whole process, beside imgtool where that is installed;
// then what a hash costs inside the process. Prints medians; judges nothing.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash, randomBytes, webcrypto } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { sha256 } from "@noble/hashes/sha2.js";

const RUNS = Number(process.env.BENCH_RUNS ?? 7);
const program = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const keys = new URL("../vectors/image/keys/", import.meta.url);
const folder = mkdtempSync(join(tmpdir(), "bootproof-bench-"));
process.on("exit", () => rmSync(folder, { recursive: true }));
const at = (name) => join(folder, name);
writeFileSync(at("body.bin"), randomBytes(1024 * 1024));

const tools = { bootproof: [process.execPath, program, "imgtool"] };
if (spawnSync("imgtool", ["version"]).status === 0) tools.imgtool = ["imgtool"];
else console.log("imgtool is not installed (pip install imgtool): only our own figures.");

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** Milliseconds, the median of several runs. */
async function time(work) {
  const taken = [];
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now();
    await work();
    taken.push(performance.now() - start);
  }
  return median(taken).toFixed(taken[0] < 20 ? 1 : 0);
}

const run = ([file, ...words], ...args) => execFileSync(file, [...words, ...args], { stdio: "ignore" });

const rows = [];
for (const type of ["none", "ed25519", "ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072"]) {
  const key = type === "none" ? [] : ["-k", fileURLToPath(new URL(`throw-away-${type}.pem`, keys))];
  const row = { key: type };
  for (const [name, tool] of Object.entries(tools)) {
    const image = at(`${type}.${name}`);
    const words = [
      "-v",
      "1.2.3",
      "-H",
      "512",
      "--pad-header",
      "-S",
      "0x200000",
      ...key,
      at("body.bin"),
      image,
    ];
    row[`${name} sign, ms`] = await time(() => run(tool, "sign", ...words));
    row[`${name} verify, ms`] = await time(() => run(tool, "verify", ...key, image));
  }
  rows.push(row);
}
console.table(rows);

const bytes = new Uint8Array(randomBytes(1024 * 1024));
console.log("SHA-256 of 1 MiB inside a process that is warm, ms");
console.table({
  "noble (what the image room uses)": await time(() => sha256(bytes)),
  WebCrypto: await time(() => webcrypto.subtle.digest("SHA-256", bytes)),
  "node:crypto": await time(() => createHash("sha256").update(bytes).digest()),
});
