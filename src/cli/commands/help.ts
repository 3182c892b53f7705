import type { Command } from "commander";
import { listTopics, readTopic } from "../topics.js";
import { UsageError } from "../usage-error.js";

export function define(command: Command): void {
  command
    .argument("[name...]", "a command, or a topic")
    .action((names: string[]) => show(command.parent!, names));
}

function show(program: Command, names: readonly string[]): void {
  if (names.length === 0) {
    const topics = listTopics().map(({ name, title }) => `  ${name.padEnd(16)} ${title}\n`);
    process.stdout.write(`${helpOf(program)}\nTopics (bootproof help TOPIC):\n${topics.join("")}`);
    return;
  }
  const command = find(program, names);
  const text = names.length === 1 ? readTopic(names[0]!) : undefined;
  if (!command && text === undefined)
    throw new UsageError(
      `There is no command or topic "${names.join(" ")}".`,
      "Run `bootproof help` for a list of both.",
    );
  // A command and a topic may share a name: first how it is called, then what there is to know.
  process.stdout.write([command && helpOf(command), text].filter((part) => part !== undefined).join("\n"));
}

function find(program: Command, names: readonly string[]): Command | undefined {
  let found: Command | undefined = program;
  for (const name of names) found = found?.commands.find((command) => command.name() === name);
  return found;
}

/** What `--help` prints, with the examples and notes behind the options. */
function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  return text;
}
