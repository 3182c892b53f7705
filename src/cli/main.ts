#!/usr/bin/env node
import { version } from "./version.js";

/** Asked for the version alone, which needs nothing that would have to be loaded first. */
function isOnlyVersion(argv: readonly string[]): boolean {
  return argv.length === 1 && (argv[0] === "--version" || argv[0] === "-V");
}

// stdout may be a pipe that its reader closes early, as `head` does.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
const argv = process.argv.slice(2);
if (isOnlyVersion(argv)) process.stdout.write(`${version()}\n`);
else process.exitCode = await (await import("./program.js")).main(argv);
