// `npm run bench:tuf`: CPU time of a refresh with nothing new, whole process, beside python-tuf's own client, by turns.
// python-tuf is the one that the tests install into the user's cache; BENCH_PYTHON names another interpreter that has it.
// Judges one thing: the ratio of the medians must be at most 1.3.
import { execFile, execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const RUNS = Number(process.env.BENCH_RUNS ?? 15);
const AT_MOST = 1.3;
const program = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "bootproof-judges");
const python = process.env.BENCH_PYTHON ?? join(cache, "python-tuf-7.0.1/bin/python");
if (!existsSync(python)) {
  console.error(
    `There is no python-tuf: ${python}. npx vitest run test/tuf/repository-verbs.test.ts installs it.`,
  );
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), "bootproof-bench-tuf-"));
process.on("exit", () => rmSync(folder, { recursive: true }));
const [repo, key, metadata] = ["repo", "key.pem", "metadata"].map((name) => join(folder, name));
const env = { ...process.env, XDG_STATE_HOME: join(folder, "state") };
const ours = (...words) => [process.execPath, program, ...words];
const run = ([file, ...words]) => execFileSync(file, words, { env, stdio: "ignore" });

run(ours("keys", "generate", key));
run(ours("tuf", "init", repo, "--key", key));
writeFileSync(join(folder, "fw.bin"), "firmware");
run(ours("tuf", "add", repo, join(folder, "fw.bin")));
run(ours("tuf", "publish", repo, "--key", key));
const server = createServer((request, response) => {
  try {
    response.end(readFileSync(join(repo, request.url)));
  } catch {
    // Not in the repository.
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${server.address().port}`;
const root = join(repo, "metadata/1.root.json");
run(ours("tuf", "trust", url, root));
mkdirSync(metadata);
cpSync(root, join(metadata, "root.json"));

const script = `import sys
from tuf.ngclient import Updater
Updater(metadata_dir=sys.argv[1], metadata_base_url=sys.argv[2], bootstrap=None).refresh()
`;
const tools = {
  bootproof: ours("tuf", "refresh", url),
  "python-tuf": [python, "-c", script, metadata, `${url}/metadata/`],
};

/** User and system time of a child, which only the shell tells: its second line is about children. */
async function cpuMs(words) {
  const { stdout } = await promisify(execFile)(
    "bash",
    ["-ec", '"$@" >/dev/null 2>&1; times', "bash", ...words],
    { env },
  );
  const parts = [
    ...stdout
      .trim()
      .split("\n")[1]
      .matchAll(/(\d+)m([\d.]+)s/g),
  ];
  return parts.reduce((sum, [, minutes, seconds]) => sum + minutes * 60_000 + seconds * 1000, 0);
}

const taken = { bootproof: [], "python-tuf": [] };
// The first run of each fetches; those after it find nothing new.
for (const words of Object.values(tools)) await cpuMs(words);
for (let at = 0; at < RUNS; at++)
  for (const [name, words] of Object.entries(tools)) taken[name].push(await cpuMs(words));
server.close();
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const [mine, theirs] = [median(taken.bootproof), median(taken["python-tuf"])];
const ratio = mine / theirs;
console.log(
  `tuf refresh, nothing new, CPU: bootproof ${mine} ms, python-tuf ${theirs} ms, ratio ${ratio.toFixed(2)}`,
);
if (ratio > AT_MOST) {
  console.error(`The ratio is above ${AT_MOST}.`);
  process.exitCode = 1;
}
