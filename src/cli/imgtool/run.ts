import { BootproofError } from "../../errors.js";
import { hashNatively } from "../native-hash.js";
import { printable } from "../output.js";
import {
  type Arguments,
  type CommandSpec,
  HelpAsked,
  parseArguments,
  usageLine,
  usageOf,
} from "./arguments.js";
import { DUMPINFO, dumpinfo } from "./dumpinfo.js";
import { type ImgtoolStatus, imgtoolStatus } from "./failure.js";
import type { ImgtoolIo } from "./io.js";
import {
  GETPRIV,
  GETPUB,
  GETPUBHASH,
  getpriv,
  getpub,
  getpubhash,
  KEYGEN,
  KEYINFO,
  keygen,
  keyinfo,
} from "./keys.js";
import { sign } from "./sign.js";
import { SIGN } from "./sign-spec.js";
import { VERIFY, verify } from "./verify.js";

/** The imgtool whose command line this is; facts from its source and its runs. */
export const IMGTOOL_VERSION = "2.4.0";

type Work = (given: Arguments, io: ImgtoolIo) => Promise<ImgtoolStatus | undefined> | Promise<void> | void;

const COMMANDS: readonly { readonly spec: CommandSpec; readonly work: Work }[] = [
  { spec: SIGN, work: sign },
  { spec: { ...SIGN, name: "create" }, work: sign },
  { spec: VERIFY, work: verify },
  { spec: DUMPINFO, work: dumpinfo },
  { spec: KEYGEN, work: keygen },
  { spec: GETPUB, work: getpub },
  { spec: GETPUBHASH, work: getpubhash },
  { spec: GETPRIV, work: getpriv },
  { spec: KEYINFO, work: keyinfo },
  {
    spec: {
      name: "version",
      says: "Print the version of imgtool that this follows.",
      operands: [],
      options: [],
    },
    work: (_given, io) => {
      io.out(`${IMGTOOL_VERSION}\n`);
    },
  },
];

/**
 * imgtool's command line: `argv` without the program's name. Answers on stdout are imgtool's, sentences on stderr our
 * own. Resolves to imgtool's exit status and never throws for what a user or a file did.
 */
export async function runImgtool(argv: readonly string[], io: ImgtoolIo): Promise<ImgtoolStatus> {
  hashNatively();
  const [name, ...rest] = argv;
  if (name === "-h" || name === "--help") {
    io.out(`${overview()}\n`);
    return 0;
  }
  const command = COMMANDS.find(({ spec }) => spec.name === name);
  if (!command) {
    io.err(name === undefined ? overview() : `Error: No such command '${printable(name)}'.\n\n${overview()}`);
    return 2;
  }
  return runCommand(command.spec, command.work, rest, io);
}

async function runCommand(
  spec: CommandSpec,
  work: Work,
  argv: readonly string[],
  io: ImgtoolIo,
): Promise<ImgtoolStatus> {
  try {
    return (await work(parseArguments(spec, argv), io)) ?? 0;
  } catch (error) {
    if (error instanceof HelpAsked) {
      io.out(`${usageOf(spec)}\n`);
      return 0;
    }
    if (!(error instanceof BootproofError)) throw error;
    if (error.code === "usage") io.err(usageLine(spec.name, spec.operands));
    io.err(`Error: ${printable(error.message)}`);
    if (error.hint !== undefined) io.err(`  try: ${error.hint}`);
    return imgtoolStatus(error);
  }
}

function overview(): string {
  return [
    "Usage: bootproof imgtool COMMAND [ARGS]...",
    "",
    "  The commands of MCUboot's imgtool, with the same options, outputs and exit statuses.",
    "",
    ...COMMANDS.map(({ spec }) => `  ${spec.name.padEnd(12)} ${spec.says}`),
  ].join("\n");
}
