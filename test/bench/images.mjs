// `npm run bench:images`: signing and verifying a 1 MiB image, whole process, beside imgtool where that is installed;
// then what a hash costs inside the process. Prints the fastest run, which other work on the machine disturbs least, and
// the median; judges nothing. BENCH_RUNS: how many; BENCH_IMGTOOL: imgtool itself, where a version manager stands in front.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash, randomBytes, webcrypto } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { sha256 } from "@noble/hashes/sha2.js";
import { costOf, middle } from "./child.mjs";

const RUNS = Number(process.env.BENCH_RUNS ?? 7);
const program = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const keys = new URL("../vectors/image/keys/", import.meta.url);
const folder = mkdtempSync(join(tmpdir(), "bootproof-bench-"));
process.on("exit", () => rmSync(folder, { recursive: true }));
const at = (name) => join(folder, name);
writeFileSync(at("body.bin"), randomBytes(1024 * 1024));

const tools = { bootproof: [process.execPath, program, "imgtool"] };
const imgtool = process.env.BENCH_IMGTOOL ?? "imgtool";
if (spawnSync(imgtool, ["version"]).status === 0) tools.imgtool = [imgtool];
else console.log("imgtool is not installed (pip install imgtool): only our own figures.");

/** The fastest and the median of each work, in milliseconds; they take turns, so that a busy moment hits them all. */
async function time(works) {
  const taken = works.map(() => []);
  for (let run = 0; run < RUNS; run++)
    for (const [index, work] of works.entries()) {
      const start = performance.now();
      await work();
      taken[index].push(performance.now() - start);
    }
  return taken.map((values) => {
    const sorted = values.toSorted((a, b) => a - b);
    const digits = sorted[0] < 20 ? 1 : 0;
    return `${sorted[0].toFixed(digits)} (${sorted[Math.floor(sorted.length / 2)].toFixed(digits)})`;
  });
}

const run = ([file, ...words], ...args) => execFileSync(file, [...words, ...args], { stdio: "ignore" });

const rows = [];
const costs = [];
for (const type of ["none", "ed25519", "ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072"]) {
  const key = type === "none" ? [] : ["-k", fileURLToPath(new URL(`throw-away-${type}.pem`, keys))];
  const row = { key: type };
  const image = (name) => at(`${type}.${name}`);
  const words = ["-v", "1.2.3", "-H", "512", "--pad-header", "-S", "0x200000", ...key, at("body.bin")];
  const works = Object.entries(tools).flatMap(([name, tool]) => [
    [
      `${name} sign`,
      () => run(tool, "sign", ...words, image(name)),
      [...tool, "sign", ...words, image(name)],
    ],
    [
      `${name} verify`,
      () => run(tool, "verify", ...key, image(name)),
      [...tool, "verify", ...key, image(name)],
    ],
  ]);
  const figures = await time(works.map(([, work]) => work));
  for (const [index, [title]] of works.entries()) row[title] = figures[index];
  rows.push(row);
  const seen = works.map(() => []);
  for (let turn = 0; turn < RUNS; turn++)
    for (const [index, [, , command]] of works.entries()) seen[index].push(costOf(command));
  const cost = { key: type };
  for (const [index, [title]] of works.entries())
    cost[title] =
      `${middle(seen[index].map(({ cpuMs }) => cpuMs)).toFixed(0)} ms, ${middle(seen[index].map(({ memory }) => memory)).toFixed(0)} MB`;
  costs.push(cost);
}
console.log("Whole process, ms: fastest (median)");
console.table(rows);
console.log("Whole process: processor time and largest memory, medians");
console.table(costs);

const bytes = new Uint8Array(randomBytes(1024 * 1024));
const [noble, web, node] = await time([
  () => sha256(bytes),
  () => webcrypto.subtle.digest("SHA-256", bytes),
  () => createHash("sha256").update(bytes).digest(),
]);
console.log("SHA-256 of 1 MiB inside a process that is warm, ms: fastest (median)");
console.table({ "noble (in browsers)": noble, WebCrypto: web, "node:crypto (in the program)": node });
