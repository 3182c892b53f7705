import type { GivenOptions, OptionSpec } from "../signing/option-table.js";
import { UsageError } from "../usage-error.js";

/** One subcommand's command line. */
export interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  readonly operands: readonly string[];
  readonly options: readonly OptionSpec[];
}

/** `-h` was given. */
export class HelpAsked extends Error {}

/** What was given. */
export class Arguments implements GivenOptions {
  readonly #flags = new Set<string>();
  readonly #texts = new Map<string, string>();
  readonly #pairs = new Map<string, [string, string][]>();
  readonly operands: string[] = [];

  flag(name: string): boolean {
    return this.#flags.has(name);
  }
  text(name: string): string | undefined {
    return this.#texts.get(name);
  }
  pairs(name: string): readonly (readonly [string, string])[] {
    return this.#pairs.get(name) ?? [];
  }
  /** The operand at this place, which the command's spec asks for. */
  operand(index: number): string {
    return this.operands[index]!;
  }

  /** For the parser. */
  add(option: OptionSpec, values: readonly string[]): void {
    if (option.value === undefined) this.#flags.add(option.name);
    else if (isPair(option))
      this.#pairs.set(option.name, [...this.pairs(option.name), [...values]] as [string, string][]);
    else this.#texts.set(option.name, values[0]!);
  }
}

/**
 * Reads a command line by the rules of Python's click, which imgtool's users rely on: options and operands in any
 * order, `--long=value`, `-Svalue`, letters in a row, `--` before operands that look like options; no abbreviations.
 * Throws `UsageError`, or {@link HelpAsked}.
 */
export function parseArguments(spec: CommandSpec, argv: readonly string[]): Arguments {
  const found = new Arguments();
  const left = [...argv];
  let help = false;
  while (left.length > 0) {
    const word = left.shift()!;
    if (word === "--") found.operands.push(...left.splice(0));
    else if (word === "--help") help = true;
    else if (word.startsWith("--")) takeLong(spec, word, left, found);
    else if (word.startsWith("-") && word.length > 1) help = takeLetters(spec, word, left, found) || help;
    else found.operands.push(word);
  }
  if (help) throw new HelpAsked();
  mustBeComplete(spec, found);
  return found;
}

/** What `-h` prints. */
export function usageOf({ name, summary, operands, options }: CommandSpec): string {
  const rows = options.map(({ name: long, short, value, choices, help, required }) => {
    const takes = choices ? ` [${choices.join("|")}]` : value ? ` ${value}` : "";
    const left = `  ${short ? `-${short}, ` : ""}--${long}${takes}`;
    return `${left.padEnd(34)} ${help}${required ? " (required)" : ""}`;
  });
  return [
    usageLine(name, operands),
    "",
    `  ${summary}`,
    "",
    "Options:",
    ...rows,
    "  -h, --help                         show this message",
  ].join("\n");
}

export function usageLine(name: string, operands: readonly string[]): string {
  return ["Usage: bootproof imgtool", name, "[OPTIONS]", ...operands].join(" ");
}

function isPair({ value }: OptionSpec): boolean {
  return value?.includes(" ") ?? false;
}

function takeLong(spec: CommandSpec, word: string, left: string[], found: Arguments): void {
  const equals = word.indexOf("=");
  const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
  const option = spec.options.find((row) => row.name === name);
  if (!option) throw new UsageError(`No such option: --${name}`);
  if (equals >= 0 && option.value === undefined)
    throw new UsageError(`Option '--${name}' does not take a value.`);
  const given = equals < 0 ? [] : [word.slice(equals + 1)];
  found.add(option, valuesOf(option, given, left));
}

/** Letters in a row: flags, the last of which may take the rest of the word as its value. True when `-h` was there. */
function takeLetters(spec: CommandSpec, word: string, left: string[], found: Arguments): boolean {
  let help = false;
  for (let at = 1; at < word.length; at++) {
    const letter = word[at]!;
    if (letter === "h") {
      help = true;
      continue;
    }
    const option = spec.options.find((row) => row.short === letter);
    if (!option) throw new UsageError(`No such option: -${letter}`);
    const rest = word.slice(at + 1);
    const takesRest = option.value !== undefined;
    found.add(option, valuesOf(option, takesRest && rest !== "" ? [rest] : [], left));
    if (takesRest) break;
  }
  return help;
}

function valuesOf(option: OptionSpec, given: readonly string[], left: string[]): string[] {
  const count = option.value === undefined ? 0 : isPair(option) ? 2 : 1;
  const values = [...given];
  while (values.length < count) {
    const value = left.shift();
    if (value === undefined)
      throw new UsageError(
        `Option '--${option.name}' requires ${count === 1 ? "an argument" : "2 arguments"}.`,
      );
    values.push(value);
  }
  const { choices } = option;
  if (choices && !choices.includes(values[0]!))
    throw new UsageError(
      `Invalid value for '--${option.name}': '${values[0]}' is not one of ${choices.map((choice) => `'${choice}'`).join(", ")}.`,
    );
  return values;
}

function mustBeComplete(spec: CommandSpec, found: Arguments): void {
  const missing = spec.options.find(({ name, required }) => required && found.text(name) === undefined);
  if (missing)
    throw new UsageError(
      `Missing option '${missing.short ? `-${missing.short}' / '` : ""}--${missing.name}'.`,
    );
  const operand = spec.operands[found.operands.length];
  if (operand !== undefined) throw new UsageError(`Missing argument '${operand}'.`);
  const extra = found.operands.slice(spec.operands.length);
  if (extra.length > 0) throw new UsageError(`Got unexpected extra argument(s): ${extra.join(" ")}`);
}
