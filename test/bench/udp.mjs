// `npm run bench:udp`: 1 MiB over UDP to a server that does nothing, whole processes by turns: bytes a second as the server
// sees them, and processor time of the client. Beside smpmgr (BENCH_SMPMGR) and another build (BENCH_OTHER: the path of its
// main.js). BENCH_RUNS: how many. Judges nothing.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { costOf, middle } from "./child.mjs";

const RUNS = Number(process.env.BENCH_RUNS ?? 9);
/** The port that smpmgr cannot be told. */
const PORT = 1337;
const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "bootproof-bench-"));
process.on("exit", () => rmSync(folder, { recursive: true }));

// A header and a TLV area without an entry: an image, as far as clients look.
const image = Buffer.alloc(1024 * 1024);
image.writeUInt32LE(0x96f3b83d, 0);
image.writeUInt16LE(32, 8);
image.writeUInt32LE(image.length - 32 - 4, 12);
image.writeUInt16LE(0x6907, image.length - 4);
image.writeUInt16LE(4, image.length - 2);
const file = join(folder, "image.bin");
writeFileSync(file, image);

const upload = (main) => [
  process.execPath,
  main,
  "image",
  "upload",
  file,
  "-q",
  "-d",
  `udp:127.0.0.1:${PORT}`,
  "--no-log",
];
const { BENCH_SMPMGR, BENCH_OTHER } = process.env;
const clients = {
  bootproof: upload(at("../../dist/cli/main.js")),
  ...(BENCH_SMPMGR && { smpmgr: [BENCH_SMPMGR, "--ip", "127.0.0.1", "image", "upload", file] }),
  ...(BENCH_OTHER && { other: upload(BENCH_OTHER).filter((word) => word !== "--no-log") }),
};

const server = spawn(process.execPath, [at("udp-server.mjs"), "4096", `${PORT}`], {
  stdio: ["ignore", "pipe", "inherit"],
});
const told = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
await told.next();
const seen = Object.fromEntries(Object.keys(clients).map((name) => [name, []]));
for (let run = 0; run < RUNS; run++)
  for (const [name, words] of Object.entries(clients)) {
    const { cpuMs } = costOf(words);
    const { bytesPerSecond, messages } = JSON.parse((await told.next()).value);
    seen[name].push({ bytesPerSecond, cpuMs, messages });
  }
server.kill();
console.table(
  Object.fromEntries(
    Object.entries(seen).map(([name, all]) => [
      name,
      {
        "MB/s": (middle(all.map(({ bytesPerSecond }) => bytesPerSecond)) / 1e6).toFixed(2),
        "processor ms": middle(all.map(({ cpuMs }) => cpuMs)).toFixed(0),
        messages: middle(all.map(({ messages }) => messages)),
      },
    ]),
  ),
);
