// `npm run bench:log [-- ENTRIES]`: appends, proofs and verification of an audit log as it grows, on what is in dist/.
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AuditLog, formatProof } from "../../dist/entries/trust.js";

const most = Number(process.argv[2] ?? 100_000);
const REPEATS = 40;
const folder = mkdtempSync(join(tmpdir(), "bootproof-bench-log-"));
process.on("exit", () => rmSync(folder, { recursive: true }));

const event = (at) => ({
  type: "confirm",
  job: `2026-01-01T00:00:00Z-${at % 1000}`,
  tool: "bootproof 0.1.0",
  actor: { user: "bench", host: "bench" },
  board: { id: `6830011${at % 50}`, address: "port:683001122" },
  image: { number: 0, slot: 0, hash: "ab".repeat(32), version: "1.2.3", counter: 7 },
  result: "ok",
});
const events = (count, from) => Array.from({ length: count }, (_, at) => event(from + at));

const timed = async (work) => {
  const from = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - from) / 1e6;
};
const median = (times) => times.sort((a, b) => a - b)[times.length >> 1];

async function repeated(work) {
  const times = [];
  for (let at = 0; at < REPEATS; at++) times.push(await timed(() => work(at)));
  return median(times);
}

const bytesIn = (path) =>
  readdirSync(path, { recursive: true })
    .map((name) => statSync(join(path, name)))
    .reduce((sum, file) => sum + (file.isFile() ? file.size : 0), 0);

const log = new AuditLog({ folder, entriesPerLog: 1e9 });
let size = 0;
const rows = [];
for (const target of [100, 1000, 10_000, most].filter(
  (step, at, all) => step <= most && all.indexOf(step) === at,
)) {
  const batch = 256;
  const fill = target - size - 2 * REPEATS;
  const filled = await timed(async () => {
    for (let left = fill; left > 0; left -= batch)
      await log.append(events(Math.min(batch, left), target - left));
  });
  const append = await repeated((at) => log.append([event(at)]));
  size = (await log.checkpoint(1)).checkpoint.size;
  const prove = await repeated((at) =>
    log.prove({ log: 1, index: Math.floor((size * at) / REPEATS) }).then(formatProof),
  );
  const verify = await timed(async () => {
    const { problems } = await log.verify(1);
    if (problems.length > 0) throw new Error(problems[0].message);
  });
  rows.push({
    entries: size,
    "append ms (median)": append.toFixed(1),
    "prove ms (median)": prove.toFixed(1),
    "batched appends/s": Math.round((1000 * Math.max(fill, 0)) / filled),
    "verify all s": (verify / 1000).toFixed(2),
    MiB: (bytesIn(log.pathOf(1)) / 2 ** 20).toFixed(1),
  });
}
console.table(rows);
