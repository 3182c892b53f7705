import { Command, CommanderError } from "commander";
import { finishCommands } from "./finish-commands.js";
import { printable } from "./output.js";
import { several } from "./several.js";
import { version } from "./version.js";

/** A file of `commands/`: adds its options and its action to the command it is given. */
export interface CommandModule {
  define(command: Command): void;
}

/** Name, what it does, where it is. Only the file of the command that was asked for is loaded. */
const commands: readonly (readonly [name: string, summary: string, load: () => Promise<CommandModule>])[] = [
  ["devices", "list boards and serial ports", () => import("./commands/devices.js")],
  [
    "setup-udev",
    "print or install the udev rules that let you open boards on Linux",
    () => import("./commands/setup-udev.js"),
  ],
  ["info", "show a board: slots, versions, hashes, security counters", () => import("./commands/info.js")],
  [
    "flash",
    "check an image, send it, test-boot it, judge the result, confirm it",
    () => import("./commands/flash.js"),
  ],
  ["recover", "bring a board that no longer boots back to life", () => import("./commands/recover.js")],
  ["power", "switch a board's power, and prove that it is switched", () => import("./commands/power.js")],
  ["image", "single steps: list, upload, test, confirm, erase", () => import("./commands/image.js")],
  [
    "dfu",
    "write or read a board by USB DFU, ST's ROM bootloader included",
    () => import("./commands/dfu.js"),
  ],
  [
    "allow",
    "allow this folder's config file to run programs and name keys",
    () => import("./commands/allow.js"),
  ],
  ["reset", "restart a board, into serial recovery if asked", () => import("./commands/reset.js")],
  ["sign", "sign a firmware body as an MCUboot image", () => import("./commands/sign.js")],
  ["verify", "check an image file against keys", () => import("./commands/verify.js")],
  ["inspect", "show what is in an image, a slot or a flash dump", () => import("./commands/inspect.js")],
  ["artifact", "Mender artifacts: read, verify, write, sign, diff", () => import("./commands/artifact.js")],
  [
    "agent",
    "connect boards to a fleet service and install what it orders",
    () => import("./commands/agent.js"),
  ],
  [
    "release",
    "sign, stream and order an update in a cloud, by its own command line",
    () => import("./commands/release.js"),
  ],
  [
    "mender-interface",
    "the program that Mender's client or Orchestrator calls to update a board",
    () => import("./commands/mender-interface.js"),
  ],
  ["diff", "show what differs between two images", () => import("./commands/diff.js")],
  [
    "imgtool",
    "MCUboot's imgtool: same commands, options, outputs and exit statuses",
    () => import("./commands/imgtool.js"),
  ],
  [
    "mcumgr",
    "Apache's mcumgr: same commands, options, outputs and exit statuses",
    () => import("./commands/mcumgr.js"),
  ],
  [
    "shims",
    "write launchers named imgtool and mcumgr that call bootproof",
    () => import("./commands/shims.js"),
  ],
  ["keys", "make signing keys, show their public halves and hashes", () => import("./commands/keys.js")],
  ["tuf", "update metadata of TUF repositories: trust, refresh, get", () => import("./commands/tuf.js")],
  ["bundle", "bundles for offline updates: make, verify, flash", () => import("./commands/bundle.js")],
  [
    "uptane",
    "check a vehicle's updates against its Director and Image repository",
    () => import("./commands/uptane.js"),
  ],
  ["fs", "files on a board: put, get, hash, size, list", () => import("./commands/fs.js")],
  ["shell", "run commands of a board's shell", () => import("./commands/shell.js")],
  ["settings", "read and change a board's settings", () => import("./commands/settings.js")],
  ["stats", "a board's statistics, once or as a live table", () => import("./commands/stats.js")],
  ["tasks", "a board's threads and their stacks", () => import("./commands/tasks.js")],
  ["time", "show or set a board's clock", () => import("./commands/time.js")],
  ["params", "show the size and number of a board's buffers", () => import("./commands/params.js")],
  ["groups", "list the SMP groups that a board supports", () => import("./commands/groups.js")],
  [
    "echo",
    "let a board repeat a text: the simplest check that it answers",
    () => import("./commands/echo.js"),
  ],
  ["storage", "erase a board's storage partition", () => import("./commands/storage.js")],
  ["raw", "send any command of any group by its numbers", () => import("./commands/raw.js")],
  [
    "console",
    "open a terminal on a board's serial port, with SMP beside it",
    () => import("./commands/console.js"),
  ],
  [
    "doctor",
    "find out what is wrong with a link, and what would help most",
    () => import("./commands/doctor.js"),
  ],
  ["bridge", "share a board with other SMP clients, several at a time", () => import("./commands/bridge.js")],
  ["trace", "show a recorded trace, or replay it as a board", () => import("./commands/trace.js")],
  ["prove", "find out what a board really enforces, with evidence", () => import("./commands/prove.js")],
  [
    "station",
    "a bench in the browser: boards, jobs, history, evidence",
    () => import("./commands/station.js"),
  ],
  ["log", "the audit log: show, verify, prove, export", () => import("./commands/log.js")],
  ["ratchet", "show what this host will not let a board run again", () => import("./commands/ratchet.js")],
  ["attest", "check signed statements of updates and builds", () => import("./commands/attest.js")],
  ["provision", "record what a unit was provisioned with", () => import("./commands/provision.js")],
  ["audit", "five questions about a board: proven, stated or open", () => import("./commands/audit.js")],
  ["evidence", "collect what an auditor asks for, signed", () => import("./commands/evidence.js")],
  [
    "policy",
    "show and check the rules for what may be signed and flashed",
    () => import("./commands/policy.js"),
  ],
  ["board", "start an emulated board and print its address", () => import("./commands/board.js")],
  [
    "demo",
    "show the main workflow on an emulated board, with good and bad images",
    () => import("./commands/demo.js"),
  ],
  ["completion", "print a completion script for bash, zsh or fish", () => import("./commands/completion.js")],
  ["help", "explain a command or a topic", () => import("./commands/help.js")],
];

/** Verbs for other programs, which no help lists. */
const hidden: readonly (readonly [name: string, load: () => Promise<CommandModule>])[] = [
  ["tuf-conformance", () => import("./commands/tuf-conformance.js")],
];

/** Verbs that tell of others. */
const TELLS_OF_ALL: readonly string[] = ["help", "completion"];

/** Verbs that read their command line in their own way: nothing of it is known here. */
const SPEAKS_FOR_ITSELF: readonly string[] = ["imgtool", "mcumgr"];

/** The command line as commander reads it: all verbs by name, and what the one that is asked for defines. */
async function build(argv: readonly string[]): Promise<Command> {
  const program = new Command("bootproof")
    .description("Signs, checks, sends and proves firmware updates on boards that run MCUboot.")
    .helpOption("-h, --help", "show help for a command")
    .helpCommand(false)
    .showHelpAfterError("(bootproof --help lists the commands)")
    .option("--color", "colour the output, whatever it goes to")
    .option("--no-color", "do not colour the output")
    .option("--plugin <file>", "add the commands of a plug-in file (repeatable)", several)
    .option("--no-log", "keep this run out of the audit log (anywhere on the line; see bootproof help log)")
    .exitOverride();
  // Commander looks for the program's options behind a verb too, and the --version of `sign` is the image's.
  if (!argv.includes("sign")) program.version(version(), "-V, --version", "print the version");
  const [first = ""] = argv;
  // No help will list the others, and to make them takes a tenth of the time of a short run.
  const isAlone = commands.some(([name]) => name === first) && !TELLS_OF_ALL.includes(first);
  for (const [name, summary, load] of commands) {
    if (isAlone && !argv.includes(name)) continue;
    const command = program.command(name).description(summary).exitOverride();
    // `help flash` explains flash's options, so flash must define them; completion tells of all.
    if (argv.includes(name) || (argv[0] === "completion" && !SPEAKS_FOR_ITSELF.includes(name)))
      (await load()).define(command);
  }
  for (const [name, load] of hidden)
    if (argv.includes(name)) (await load()).define(program.command(name, { hidden: true }).exitOverride());
  await addPlugins(program, argv);
  finishCommands(program);
  return program;
}

/** The verbs of plug-ins: those named on the command line, and the config file's unless a verb of ours was asked for. */
async function addPlugins(program: Command, argv: readonly string[]): Promise<void> {
  const { files, verb } = readPluginOptions(argv);
  // The config file is read only when a verb of ours does not explain the command line, or all are to be listed.
  const isOurs = [...commands, ...hidden].some(([name]) => name === verb);
  const ours = isOurs || argv.includes("--version") || argv.includes("-V");
  const config = ours ? undefined : (await import("../boards/config.js")).loadConfig();
  const configured = config?.plugins ?? [];
  if (config?.leftOut?.what.includes("plugins"))
    process.stderr.write(
      `bootproof: the plug-ins of ${printable(config.file!)} are left out: ${config.leftOut.why === "foreign" ? "the file belongs to another user" : "read it, then run bootproof allow"}.\n`,
    );
  const wanted = [...new Set([...files, ...configured])];
  if (wanted.length === 0) return;
  const [{ loadPlugin, PluginError }, { definePlugin }] = await Promise.all([
    import("./plugins.js"),
    import("./commands/plugin.js"),
  ]);
  for (const file of wanted) {
    const plugin = await loadPlugin(file);
    const taken = [...commands.map(([name]) => name), ...program.commands.map((command) => command.name())];
    if (taken.includes(plugin.name))
      throw new PluginError(file, `there is a command "${plugin.name}" already`, {
        hint: "choose another name for the plug-in",
      });
    definePlugin(program.command(plugin.name).description(plugin.does).exitOverride(), plugin);
  }
}

/** What must be known before the commands are: the plug-in files, and the first word that is no option. */
function readPluginOptions(argv: readonly string[]): { files: string[]; verb: string | undefined } {
  const files: string[] = [];
  let verb: string | undefined;
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    if (word === "--") break;
    if (word.startsWith("--plugin=")) files.push(word.slice("--plugin=".length));
    else if (word === "--plugin" && argv[at + 1] !== undefined) files.push(argv[++at]!);
    else if (!word.startsWith("-")) verb ??= word;
  }
  return { files, verb };
}

/**
 * Runs a command line of ours. Resolves to the error of a command line that cannot be read, which commander has told, or
 * to undefined.
 */
export async function runProgram(argv: readonly string[]): Promise<string | undefined> {
  try {
    const program = await build(argv);
    await program.parseAsync(argv, { from: "user" });
    return undefined;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? undefined : error.message;
  }
}
