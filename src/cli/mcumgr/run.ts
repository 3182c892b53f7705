import { BootproofError } from "../../errors.js";
import { printable } from "../output.js";
import type { McumgrCommand, Run } from "./command.js";
import { conn } from "./conn.js";
import { addressOf, connect } from "./connection.js";
import { McumgrFailure, usageFailure } from "./failure.js";
import { fs } from "./files.js";
import { type Flag, FlagProblem, type FlagValues, parseLine, wordsAmong } from "./flags.js";
import { image } from "./image.js";
import type { LinkGuard, McumgrIo } from "./io.js";
import { log } from "./log.js";
import { echoCommand, osCommands, reset } from "./os.js";
import { Profiles } from "./profiles.js";
import type { Session } from "./session.js";

/** The mcumgr whose command line this is; facts from recorded runs of it. */
export const MCUMGR_VERSION = "mcumgr 0.0.0-dev";

const GLOBAL_FLAGS: readonly Flag[] = [
  { name: "conn", letter: "c", kind: "text", summary: "connection profile to use" },
  { name: "connextra", kind: "text", summary: "appended to the connection string" },
  { name: "connstring", kind: "text", summary: "connection string, instead of the profile's" },
  { name: "conntype", kind: "text", summary: "connection type, instead of the profile's" },
  { name: "hci", letter: "i", kind: "int", summary: "Bluetooth controller (accepted but not used)" },
  { name: "loglevel", letter: "l", kind: "text", summary: "accepted but not used (default info)" },
  { name: "name", kind: "text", summary: "name of a Bluetooth device (accepted but not used)" },
  { name: "timeout", letter: "t", kind: "float", summary: "seconds to wait for an answer (default 10)" },
  { name: "tries", letter: "r", kind: "int", summary: "how often a request is sent (default 1)" },
];

const LOG_LEVELS = new Set(["panic", "fatal", "error", "warn", "warning", "info", "debug", "trace"]);

const version: McumgrCommand = {
  name: "version",
  about: "Display the mcumgr version number",
  run: async ({ io }) => io.out(`${MCUMGR_VERSION}\n`),
};

const interactive: McumgrCommand = {
  name: "interactive",
  about: "Run mcumgr interactive mode (used for COAP only)",
  run: async () => {
    throw noCoap();
  },
};

const res: McumgrCommand = {
  name: "res",
  about: "Access a CoAP resource on a device",
  operands: "<op> <path>",
  run: async ({ args }) => {
    if (args.length < 2) throw usageFailure();
    throw noCoap();
  },
};

const noCoap = () =>
  new McumgrFailure("CoAP is not supported by bootproof", {
    hint: "use the commands of SMP: bootproof mcumgr help",
  });

const ROOT: McumgrCommand = {
  name: "mcumgr",
  about: "mcumgr helps you manage remote devices",
  commands: [version, conn, ...osCommands, echoCommand, fs, image, interactive, log, res, reset],
};

/** The words of a command line that name a command; values of options are none. */
export const commandWords = (argv: readonly string[]): readonly string[] =>
  find(argv)
    .slice(1)
    .map(({ name }) => name);

/** How a command is used, in our own words. */
export function usageOf(path: readonly McumgrCommand[]): string {
  const command = path.at(-1)!;
  const names = path.map(({ name }) => name).join(" ");
  const forms = [
    ...(command.run ? [`  ${[names, command.operands, "[flags]"].filter(Boolean).join(" ")}`] : []),
    ...(command.commands ? [`  ${names} [command]`] : []),
  ];
  const commands = [...(command.commands ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1));
  return [
    "Usage:",
    ...forms,
    ...(commands.length > 0 ? ["", "Commands:"] : []),
    ...commands.map(({ name, about }) => `  ${name.padEnd(12)} ${about.split("\n")[0]!}`),
    "",
    "Flags:",
    ...[...(command.flags ?? []), ...GLOBAL_FLAGS].map(flagLine),
  ].join("\n");
}

function flagLine({ name, letter, kind, summary }: Flag): string {
  const short = letter === undefined ? "    " : `-${letter}, `;
  return `  ${short}--${`${name}${kind === "bool" ? "" : ` ${kind}`}`.padEnd(20)} ${summary}`;
}

/**
 * mcumgr's command line: `argv` without the program's name. Resolves to its exit status, 0 also for much that failed: a
 * device's refusal is a line on stdout. Never throws for what a user, a file or a device did.
 */
export async function runMcumgr(argv: readonly string[], io: McumgrIo): Promise<number> {
  // The word `help` is a command of its own: the help of the command that its words name.
  if (wordsAmong(argv, GLOBAL_FLAGS)[0] === "help") return help(argv, io);
  const path = find(argv);
  if (path.length === 1) {
    const [word] = wordsAmong(argv, GLOBAL_FLAGS);
    if (word !== undefined) return unknown(word, io);
  }
  const command = path.at(-1)!;
  try {
    const line = parseLine(argv, [...(command.flags ?? []), ...GLOBAL_FLAGS]);
    if (line.wantsHelp) {
      io.out(helpOf(path));
      return 0;
    }
    if (!command.run) {
      io.out(`${command.about}\n\n${usageOf(path)}\n`);
      return 0;
    }
    return await perform(path, line.words.slice(path.length - 1), line.flags, io);
  } catch (error) {
    if (!(error instanceof FlagProblem)) throw error;
    io.err(`Error: ${error.message}\n${usageOf(path)}\n`);
    return 0;
  }
}

function help(argv: readonly string[], io: McumgrIo): 0 {
  const path = find(argv.filter((word) => word !== "help"));
  io.out(helpOf(path));
  return 0;
}

function helpOf(path: readonly McumgrCommand[]): string {
  const names = path.map(({ name }) => name).join(" ");
  return `Usage: bootproof ${names}\n\n${path.at(-1)!.about}\n\n${usageOf(path)}\n`;
}

/** The command that the words name, with those it is part of. */
function find(argv: readonly string[]): McumgrCommand[] {
  const path = [ROOT];
  for (const word of wordsAmong(argv, GLOBAL_FLAGS)) {
    const next = path.at(-1)!.commands?.find(({ name }) => name === word);
    if (next === undefined) break;
    path.push(next);
  }
  return path;
}

function unknown(word: string, io: McumgrIo): 0 {
  const near = (ROOT.commands ?? [])
    .map(({ name }) => name)
    .filter((name) => name.startsWith(word.toLowerCase()) || distance(name, word.toLowerCase()) <= 2);
  const meant =
    near.length === 0 ? "" : `\nDid you mean this?\n${near.map((name) => `\t${name}\n`).join("")}\n`;
  io.err(
    `Error: unknown command ${JSON.stringify(word)} for "mcumgr"\n${meant}Run 'mcumgr --help' for usage.\n`,
  );
  // Apache's mcumgr reports a wrong command line and exits with 0.
  return 0;
}

/** Letters to add, drop or change on the way from one word to the other. */
function distance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [at, letter] of [...a].entries()) {
    const line = [at + 1];
    for (const [index, other] of [...b].entries())
      line.push(Math.min(above[index]! + Number(letter !== other), above[index + 1]! + 1, line[index]! + 1));
    above = line;
  }
  return above[b.length]!;
}

async function perform(
  path: readonly McumgrCommand[],
  args: readonly string[],
  flags: FlagValues,
  io: McumgrIo,
): Promise<number> {
  const command = path.at(-1)!;
  const open: Session[] = [];
  try {
    const level = text(flags, "loglevel") ?? "info";
    if (!LOG_LEVELS.has(level.toLowerCase()))
      throw new McumgrFailure(`not a valid logrus Level: ${JSON.stringify(level)}`);
    const profiles = new Profiles(io.home);
    const options = connectionOptions(flags);
    let guarding: Promise<LinkGuard | undefined> | undefined;
    const guard = () => {
      guarding ??= guardOf(options, profiles, io);
      return guarding;
    };
    const session = async () => {
      const link = await connect(options, profiles, io, (await guard())?.watch);
      open.push(link);
      return link;
    };
    const run: Run = { args, flags, io, profiles, session, guard };
    await command.run?.(run);
    return 0;
  } catch (error) {
    complain(error, path, io);
    return (await statusOfRefusal(error)) ?? 1;
  } finally {
    await Promise.all(open.map((link) => link.close()));
  }
}

async function guardOf(
  options: ReturnType<typeof connectionOptions>,
  profiles: Profiles,
  io: McumgrIo,
): Promise<LinkGuard | undefined> {
  if (io.guardFor === undefined) return undefined;
  const address = addressOf(options, profiles);
  return address && io.guardFor(address);
}

/** What this host's memory or the policy refuses is told apart by its status: mcumgr itself refuses nothing. */
async function statusOfRefusal(error: unknown): Promise<number | undefined> {
  const { code } = error as { code?: unknown };
  if (code !== "refused-by-ratchet" && code !== "policy-refused") return undefined;
  return (await import("../exit.js")).statusFor(error);
}

function connectionOptions(flags: FlagValues) {
  return {
    conn: text(flags, "conn") ?? "",
    conntype: text(flags, "conntype") ?? "",
    connstring: text(flags, "connstring"),
    connextra: text(flags, "connextra") ?? "",
    timeout: Number(flags.get("timeout") ?? 10),
    tries: Number(flags.get("tries") ?? 1),
  };
}

function text(flags: FlagValues, name: string): string | undefined {
  const value = flags.get(name);
  return value === undefined ? undefined : String(value);
}

function complain(error: unknown, path: readonly McumgrCommand[], io: McumgrIo): void {
  if (!(error instanceof BootproofError)) throw error;
  const command = path.at(-1)!;
  if (error.message !== "") io.err(`Error: ${printable(error.message)}\n`);
  if (error.hint) io.err(`  try: ${error.hint}\n`);
  if (error instanceof McumgrFailure && error.showsUsage)
    io.out(`\n${command.name} - ${command.about}\n\n${usageOf(path)}\n`);
}
