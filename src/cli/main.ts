#!/usr/bin/env node
// Nothing is imported before the check: what an old Node does not know would end in a SyntaxError without a word of why.

/** Node's version as numbers: major, minor. */
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

/** `--version` alone or with `--json` needs nothing that would have to be loaded first. */
function isOnlyVersion(argv: readonly string[]): boolean {
  const rest = argv.filter((word) => word !== "--json");
  return rest.length === 1 && (rest[0] === "--version" || rest[0] === "-V");
}

async function run(argv: readonly string[]): Promise<void> {
  if (major < 20 || (major === 20 && minor < 19)) {
    process.stderr.write(
      `bootproof: bootproof needs Node 20.19 or newer, this is ${process.versions.node}.\n  try: Install a newer Node, from https://nodejs.org or with nvm, fnm or volta.\n`,
    );
    process.exitCode = 25;
  } else if (isOnlyVersion(argv)) {
    const version = (await import("./version.js")).version();
    process.stdout.write(`${argv.includes("--json") ? JSON.stringify({ version }) : version}\n`);
  } else process.exitCode = await (await import("./run.js")).main(argv);
}

void run(process.argv.slice(2));
