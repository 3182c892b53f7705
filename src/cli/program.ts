import { Command, CommanderError } from "commander";
import { BootproofError } from "../errors.js";
import { nextStepFor, statusFor } from "./exit.js";
import { printable } from "./output.js";
import { version } from "./version.js";

/** A file of `commands/`: adds its options and its action to the command it is given. */
export interface CommandModule {
  define(command: Command): void;
}

/** Name, what it does, where it is. Only the file of the command that was asked for is loaded. */
const commands: readonly (readonly [name: string, summary: string, load: () => Promise<CommandModule>])[] = [
  ["devices", "show the boards and ports that are there", () => import("./commands/devices.js")],
  [
    "setup-udev",
    "print or install the rules that let you open boards on Linux",
    () => import("./commands/setup-udev.js"),
  ],
  ["info", "show a board: slots, versions, hashes, security counters", () => import("./commands/info.js")],
  [
    "flash",
    "check an image, send it, try it, judge the result, confirm it",
    () => import("./commands/flash.js"),
  ],
  ["recover", "get a board that no longer boots to run an image", () => import("./commands/recover.js")],
  ["power", "switch a board's power, and prove that it is switched", () => import("./commands/power.js")],
  ["image", "single steps: list, upload, test, confirm, erase", () => import("./commands/image.js")],
  [
    "dfu",
    "write or read a board by USB DFU, ST's ROM bootloader included",
    () => import("./commands/dfu.js"),
  ],
  ["reset", "restart a board, into serial recovery if asked", () => import("./commands/reset.js")],
  ["sign", "sign a firmware body as an MCUboot image", () => import("./commands/sign.js")],
  ["verify", "check an image file against keys", () => import("./commands/verify.js")],
  ["inspect", "show what is in an image, a slot or a flash dump", () => import("./commands/inspect.js")],
  ["diff", "show what differs between two images", () => import("./commands/diff.js")],
  [
    "imgtool",
    "MCUboot's imgtool: same commands, options, outputs and exit statuses",
    () => import("./commands/imgtool.js"),
  ],
  ["keys", "make signing keys, show their public halves and hashes", () => import("./commands/keys.js")],
  ["fs", "files on a board: put, get, hash, size, list", () => import("./commands/fs.js")],
  ["shell", "run commands of a board's shell", () => import("./commands/shell.js")],
  ["settings", "read and change a board's settings", () => import("./commands/settings.js")],
  ["stats", "a board's statistics, once or as a live table", () => import("./commands/stats.js")],
  ["tasks", "a board's threads and their stacks", () => import("./commands/tasks.js")],
  ["time", "show or set a board's clock", () => import("./commands/time.js")],
  ["params", "the size and number of a board's buffers", () => import("./commands/params.js")],
  ["groups", "which groups of commands a board has", () => import("./commands/groups.js")],
  ["echo", "have a board repeat a text: the plainest sign of life", () => import("./commands/echo.js")],
  ["storage", "erase a board's storage partition", () => import("./commands/storage.js")],
  ["raw", "any command of any group by its numbers", () => import("./commands/raw.js")],
  ["console", "a terminal on a board's wire, SMP beside it", () => import("./commands/console.js")],
  ["doctor", "what is wrong with a link, and what would help most", () => import("./commands/doctor.js")],
  ["bridge", "offer a board to other SMP clients, several at a time", () => import("./commands/bridge.js")],
  ["trace", "show a trace, or answer from it as the board did", () => import("./commands/trace.js")],
  ["prove", "find out what a board really enforces, with evidence", () => import("./commands/prove.js")],
  ["board", "start an emulated board and say how to reach it", () => import("./commands/board.js")],
  ["demo", "the main job on an emulated board, good and bad images", () => import("./commands/demo.js")],
];

async function build(argv: readonly string[]): Promise<Command> {
  const program = new Command("bootproof")
    .description("Signs, checks, sends and proves firmware updates on boards that run MCUboot.")
    .helpOption("-h, --help", "show help for a command")
    .showHelpAfterError("(bootproof --help lists the commands)")
    .option("--plugin <file>", "add the commands of a plug-in file (repeatable)", several)
    .exitOverride();
  // Commander looks for the program's options behind a verb too, and the --version of `sign` is the image's.
  if (!argv.includes("sign")) program.version(version(), "-V, --version", "print the version");
  for (const [name, summary, load] of commands) {
    const command = program.command(name).description(summary).exitOverride();
    if (argv.includes(name)) (await load()).define(command);
  }
  await addPlugins(program, argv);
  return program;
}

/** The verbs of plug-ins: those named on the command line, and the config file's unless a verb of ours was asked for. */
async function addPlugins(program: Command, argv: readonly string[]): Promise<void> {
  const { files, verb } = readPluginOptions(argv);
  // The config file is read only when a verb of ours does not explain the command line, or all are to be listed.
  const ours = commands.some(([name]) => name === verb) || argv.includes("--version") || argv.includes("-V");
  const configured = ours ? [] : (await import("./config.js")).loadConfig().plugins;
  const wanted = [...new Set([...files, ...configured])];
  if (wanted.length === 0) return;
  const [{ loadPlugin, PluginError }, { definePlugin }] = await Promise.all([
    import("./plugins.js"),
    import("./commands/plugin.js"),
  ]);
  for (const file of wanted) {
    const plugin = await loadPlugin(file);
    if (program.commands.some((command) => command.name() === plugin.name))
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

function several(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

/** One error, said once: what happened and why, then what to try. */
function complain(error: unknown): void {
  if (error instanceof BootproofError) {
    process.stderr.write(`bootproof: ${printable(error.message)}\n`);
    const next = nextStepFor(error);
    if (next !== undefined) process.stderr.write(`  try: ${next}\n`);
  } else if (statusFor(error) === 130) {
    process.stderr.write("bootproof: interrupted\n");
  } else {
    const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`bootproof: this is a fault in bootproof itself, please report it\n${trace}\n`);
  }
}

export async function main(argv: readonly string[]): Promise<number> {
  try {
    // imgtool has its own way of reading a command line: `-v`, `-h` and all others are its.
    if (argv[0] === "imgtool") return await (await import("./commands/imgtool.js")).imgtool(argv.slice(1));
    const program = await build(argv);
    await program.parseAsync(argv, { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    complain(error);
    return statusFor(error);
  }
}
