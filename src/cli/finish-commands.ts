import { type Command, Option } from "commander";
import { EXAMPLES } from "./examples.js";

/** The words after `bootproof` that name a command: `image list`; empty for the program itself. */
export function wordsOf(command: Command): string {
  return command.parent ? `${wordsOf(command.parent)} ${command.name()}`.trim() : "";
}

/** Gives a command and all below it what every one has: examples, usage after an error, a word about `-p`. */
export function finishCommands(command: Command): void {
  const words = wordsOf(command);
  const examples = EXAMPLES[words];
  if (examples)
    command.addHelpText("after", `\nExamples:\n${examples.map((line) => `  ${line}`).join("\n")}`);
  if (words !== "")
    command.showHelpAfterError(
      `Usage: bootproof ${words} ${command.usage()}\n(bootproof ${words} --help explains it)`,
    );
  takePort(command);
  for (const below of command.commands) finishCommands(below);
}

/** Other tools say `-p` or `--port` for the serial port: understood where it means nothing else. */
function takePort(command: Command): void {
  const has = (flag: string) => command.options.some(({ short, long }) => short === flag || long === flag);
  if (!has("--device") || has("-p") || has("--port")) return;
  command.addOption(new Option("-p, --port <address>").hideHelp());
  command.on("option:port", (address: string) => {
    process.stderr.write("bootproof: -p, --port is understood as -d, --device.\n");
    // An emitter, though its types do not say so.
    (command as unknown as { emit(event: string, value: string): void }).emit("option:device", address);
  });
}
