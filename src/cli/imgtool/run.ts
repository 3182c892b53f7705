import { useOpenssl } from "../../crypto-node/openssl.js";
import { BootproofError } from "../../errors.js";
import { printable } from "../output.js";
import {
  type Arguments,
  type CommandSpec,
  HelpAsked,
  parseArguments,
  usageLine,
  usageOf,
} from "./arguments.js";
import { type ImgtoolStatus, imgtoolStatus } from "./failure.js";
import type { ImgtoolIo } from "./io.js";

/** The imgtool whose command line this is; facts from its source and its runs. */
export const IMGTOOL_VERSION = "2.5.0";

type Work = (given: Arguments, io: ImgtoolIo) => Promise<ImgtoolStatus | undefined> | Promise<void> | void;

interface ImgtoolCommand {
  readonly spec: CommandSpec;
  readonly work: Work;
}

const VERSION: CommandSpec = {
  name: "version",
  summary: "Print the version of imgtool that this follows.",
  operands: [],
  options: [],
};

const keyCommand = (pick: (keys: typeof import("./keys.js")) => ImgtoolCommand) => async () =>
  pick(await import("./keys.js"));

const signCommand = (name: string) => async (): Promise<ImgtoolCommand> => {
  const [{ SIGN }, { sign }] = await Promise.all([import("./sign-spec.js"), import("./sign.js")]);
  return { spec: { ...SIGN, name }, work: sign };
};

/** In the order of the overview. Only the one that was asked for is loaded: scripts call this often. */
const COMMANDS: Readonly<Record<string, () => Promise<ImgtoolCommand>>> = {
  sign: signCommand("sign"),
  create: signCommand("create"),
  verify: () => import("./verify.js").then(({ VERIFY, verify }) => ({ spec: VERIFY, work: verify })),
  dumpinfo: () =>
    import("./dumpinfo.js").then(({ DUMPINFO, dumpinfo }) => ({ spec: DUMPINFO, work: dumpinfo })),
  keygen: keyCommand(({ KEYGEN, keygen }) => ({ spec: KEYGEN, work: keygen })),
  getpub: keyCommand(({ GETPUB, getpub }) => ({ spec: GETPUB, work: getpub })),
  getpubhash: keyCommand(({ GETPUBHASH, getpubhash }) => ({ spec: GETPUBHASH, work: getpubhash })),
  getpriv: keyCommand(({ GETPRIV, getpriv }) => ({ spec: GETPRIV, work: getpriv })),
  keyinfo: keyCommand(({ KEYINFO, keyinfo }) => ({ spec: KEYINFO, work: keyinfo })),
  version: async () => ({
    spec: VERSION,
    work: (_given, io) => {
      io.out(`${IMGTOOL_VERSION}\n`);
    },
  }),
};

/**
 * imgtool's command line: `argv` without the program's name. Answers on stdout are imgtool's, sentences on stderr our
 * own. Resolves to imgtool's exit status and never throws for what a user or a file did.
 */
export async function runImgtool(argv: readonly string[], io: ImgtoolIo): Promise<ImgtoolStatus> {
  useOpenssl();
  const [name, ...rest] = argv;
  if (name === "-h" || name === "--help") {
    io.out(`${await overview()}\n`);
    return 0;
  }
  const load = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!load) {
    const reason = name === undefined ? "" : `Error: No such command '${printable(name)}'.\n\n`;
    io.err(`${reason}${await overview()}`);
    return 2;
  }
  const { spec, work } = await load();
  return runCommand(spec, work, rest, io);
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

async function overview(): Promise<string> {
  const commands = await Promise.all(Object.values(COMMANDS).map((load) => load()));
  return [
    "Usage: bootproof imgtool COMMAND [ARGS]...",
    "",
    "  The commands of MCUboot's imgtool, with the same options, outputs and exit statuses.",
    "",
    ...commands.map(({ spec }) => `  ${spec.name.padEnd(12)} ${spec.summary}`),
  ].join("\n");
}
