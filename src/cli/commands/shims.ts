import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { FileError, readInput, writeOutput } from "../files.js";
import { makeFolder } from "../make-folder.js";
import { createOutput, printable } from "../output.js";
import { thisProgram } from "../this-program.js";
import { type CommonOptions, commonOptions } from "../verb-context.js";

/** In every launcher, so that nothing but launchers is replaced. */
const MARK = "bootproof shims";

export function define(command: Command): void {
  commonOptions(command)
    .argument("<dir>", "folder for the launchers; created if it does not exist")
    .addHelpText(
      "after",
      `
Writes launchers by the names of the programs whose command lines bootproof takes: imgtool and mcumgr, which are found once the
folder is in PATH before theirs, and imgtool.py for builds that run imgtool with Python. Launchers of an earlier call are
replaced, other files never. They call the program that wrote them: write them again when it moves.

Example: bootproof shims ~/bootproof-bin`,
    )
    .action((dir: string, options: CommonOptions) => shims(dir, options));
}

async function shims(dir: string, options: CommonOptions): Promise<void> {
  const out = createOutput({ json: options.json ?? false, quiet: options.quiet ?? false });
  const program = thisProgram();
  const launchers = launchersFor(program, process.platform === "win32");
  for (const { name } of launchers) refuseForeign(join(dir, name));
  makeTarget(dir);
  const written = launchers.map(({ name, content }) => {
    const path = join(dir, name);
    writeOutput(path, content, { mode: 0o755 });
    return path;
  });
  out.result({ files: written, program }, written.map((path) => `Wrote ${printable(path)}`).join("\n"));
}

function makeTarget(dir: string): void {
  try {
    makeFolder(resolve(dir));
  } catch (cause) {
    throw new FileError(
      "file-unreadable",
      dir,
      `Cannot make the folder ${dir}: ${(cause as Error).message}.`,
      {
        cause,
        hint: "Name a folder that you may write to.",
      },
    );
  }
}

function refuseForeign(path: string): void {
  if (!existsSync(path) || new TextDecoder().decode(readInput(path)).includes(MARK)) return;
  throw new FileError("file-exists", path, `${path} exists and is not a launcher made by bootproof.`, {
    hint: "Choose another folder, or remove the file.",
  });
}

/** The files, by name. */
function launchersFor(program: readonly string[], isWindows: boolean): { name: string; content: string }[] {
  const names = ["imgtool", "mcumgr"];
  const own = names.map((name) =>
    isWindows
      ? { name: `${name}.cmd`, content: batch(program, name) }
      : { name, content: shell(program, name) },
  );
  return [...own, { name: "imgtool.py", content: python(program) }];
}

function shell(program: readonly string[], name: string): string {
  const words = program.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  return `#!/bin/sh\n# Written by ${MARK}.\nexec ${words} ${name} "$@"\n`;
}

function batch(program: readonly string[], name: string): string {
  // A percent sign in a path would begin a variable.
  const words = program.map((word) => `"${word.replaceAll("%", "%%")}"`).join(" ");
  return `@rem Written by ${MARK}.\r\n@${words} ${name} %*\r\n`;
}

function python(program: readonly string[]): string {
  // A list of texts in JSON is one in Python too.
  return `#!/usr/bin/env python3
# Written by ${MARK}.
import subprocess
import sys

sys.exit(subprocess.call(${JSON.stringify(program)} + ["imgtool"] + sys.argv[1:]))
`;
}
