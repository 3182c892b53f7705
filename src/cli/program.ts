import { Command, CommanderError } from "commander";
import { finishCommands } from "./finish-commands.js";
import { printable } from "./output.js";
import { several } from "./several.js";
import { hidden, SPEAKS_FOR_ITSELF, TELLS_OF_ALL, verbs } from "./verbs.js";
import { version } from "./version.js";

/** The command line as commander reads it: all verbs by name, and what the one that is asked for defines. */
export async function build(argv: readonly string[]): Promise<Command> {
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
  const isAlone = verbs.some(([name]) => name === first) && !TELLS_OF_ALL.includes(first);
  for (const [name, summary, load] of verbs) {
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
  const isOurs = [...verbs, ...hidden].some(([name]) => name === verb);
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
    const taken = [...verbs.map(([name]) => name), ...program.commands.map((command) => command.name())];
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
