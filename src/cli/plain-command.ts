import type { Command } from "commander";

/**
 * Reads the plain command lines, which nearly all are, as commander would, at a tenth of what loading commander costs. A verb
 * defines itself on it as on commander's `Command`. Whatever is not plain, mistakes and help first of all, is left to commander.
 */

type Parse = (value: string, before: unknown) => unknown;
type Action = (...given: unknown[]) => unknown;

/** Not a plain line, or a verb that asks for more than is here. Commander reads it. */
class NotPlain extends Error {}

/** What is understood without a value, wherever it stands, and was obeyed before any verb was known. */
const COLOURS: ReadonlySet<string> = new Set(["--color", "--no-color"]);

class PlainOption {
  readonly long: string | undefined;
  readonly short: string | undefined;
  readonly takesValue: boolean;
  readonly negates: boolean;
  readonly name: string;
  isPlain: boolean;
  isRequired = false;
  defaultValue: unknown;
  parse: Parse | undefined;

  constructor(flags: string) {
    const words = flags.split(/[ |,]+/);
    this.long = words.find((word) => word.startsWith("--"));
    this.short = words.find((word) => /^-[^-]$/.test(word));
    this.takesValue = flags.includes("<");
    this.negates = this.long?.startsWith("--no-") ?? false;
    this.name = (this.long ?? this.short ?? "")
      .replace(/^--?(?:no-)?/, "")
      .replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
    this.isPlain = !flags.includes("[") && !flags.includes("...") && this.long !== undefined;
  }

  default(value: unknown): this {
    this.defaultValue = value;
    return this;
  }

  makeOptionMandatory(): this {
    this.isRequired = true;
    return this;
  }

  choices(values: readonly string[]): this {
    this.parse = (value) => {
      if (!values.includes(value)) throw new NotPlain();
      return value;
    };
    return this;
  }
}

interface Argument {
  readonly isRequired: boolean;
  readonly takesAll: boolean;
  readonly parse: Parse | undefined;
  readonly defaultValue: unknown;
}

/** What a plain line asks for. */
export interface PlainLine {
  readonly action: Action;
  /** What the action is called with: arguments, then options. */
  readonly given: readonly unknown[];
}

/**
 * What a plain line asks for; undefined for any other line.
 *
 * @param define - describes the verb
 * @param words - what stands behind its name
 */
export function readPlain(
  define: (command: Command) => void,
  words: readonly string[],
): PlainLine | undefined {
  const verb = new PlainCommand();
  try {
    // Written for commander's; what is missing here ends as a line that is not plain.
    define(verb as unknown as Command);
    return verb.read(words);
  } catch {
    // What a value is refused for, commander says with the usage around it.
    return undefined;
  }
}

/** As much of commander's `Command` as verbs use to describe themselves. */
export class PlainCommand {
  readonly #options: PlainOption[] = [];
  readonly #arguments: Argument[] = [];
  readonly #below = new Map<string, PlainCommand>();
  #action: Action | undefined;
  readonly #given = new Set<string>();
  #isPlain = true;

  description(): this {
    return this;
  }

  addHelpText(): this {
    return this;
  }

  usage(): this {
    return this;
  }

  /** Asked by an action, of an option by its name. */
  getOptionValueSource(name: string): "cli" | "default" | undefined {
    if (this.#given.has(name)) return "cli";
    return Object.hasOwn(this.#defaults(), name) ? "default" : undefined;
  }

  /** What is asked before an action is commander's to ask. */
  hook(): this {
    return this.#notPlain();
  }

  allowUnknownOption(): this {
    return this.#notPlain();
  }

  command(signature: string): PlainCommand {
    const [name = "", ...declared] = signature.split(" ");
    const below = new PlainCommand();
    for (const argument of declared) below.argument(argument);
    this.#below.set(name, below);
    return below;
  }

  argument(declared: string, _help?: string, parse?: unknown, defaultValue?: unknown): this {
    const reads = typeof parse === "function";
    this.#arguments.push({
      isRequired: declared.startsWith("<"),
      takesAll: declared.includes("..."),
      parse: reads ? (parse as Parse) : undefined,
      defaultValue: reads ? defaultValue : parse,
    });
    return this;
  }

  createOption(flags: string): PlainOption {
    return new PlainOption(flags);
  }

  addOption(option: unknown): this {
    // One of commander's own has more ways than are known here.
    if (!(option instanceof PlainOption)) return this.#notPlain();
    this.#options.push(option);
    return this;
  }

  option(flags: string, _help?: string, parse?: unknown, defaultValue?: unknown): this {
    const option = new PlainOption(flags);
    if (typeof parse === "function") option.parse = parse as Parse;
    option.defaultValue = typeof parse === "function" ? defaultValue : parse;
    return this.addOption(option);
  }

  requiredOption(flags: string, help?: string, parse?: unknown, defaultValue?: unknown): this {
    this.option(flags, help, parse, defaultValue);
    this.#options.at(-1)?.makeOptionMandatory();
    return this;
  }

  action(run: Action): this {
    this.#action = run;
    return this;
  }

  /** Throws for what is not plain. */
  read(words: readonly string[]): PlainLine {
    const below = this.#below.get(words[0] ?? "");
    if (below && this.#isPlain && this.#options.length === 0) return below.read(words.slice(1));
    const action = this.#action;
    if (!this.#isPlain || this.#below.size > 0 || action === undefined) throw new NotPlain();
    const values = this.#defaults();
    const operands: string[] = [];
    const seen = new Set<PlainOption>();
    for (let at = 0; at < words.length; at++) {
      const word = words[at]!;
      if (COLOURS.has(word)) continue;
      if (!isOption(word)) {
        operands.push(word);
        continue;
      }
      const option = this.#options.find(({ long, short }) => long === word || short === word);
      if (!option?.isPlain) throw new NotPlain();
      seen.add(option);
      this.#given.add(option.name);
      if (option.takesValue) {
        const value = words[++at];
        if (value === undefined || isOption(value)) throw new NotPlain();
        values[option.name] = option.parse ? option.parse(value, values[option.name]) : value;
      } else values[option.name] = !option.negates;
    }
    if (this.#options.some((option) => option.isRequired && !seen.has(option))) throw new NotPlain();
    const given = [...this.#operands(operands), values];
    // One that looks at its command asks for commander's.
    if (action.length > given.length) throw new NotPlain();
    return { action, given };
  }

  #defaults(): Record<string, unknown> {
    const values: Record<string, unknown> = {};
    for (const [index, { name, negates, defaultValue }] of this.#options.entries()) {
      // Without a word of either a pair says nothing.
      const isPair = negates && this.#options.slice(0, index).some((before) => before.name === name);
      const value = negates && !isPair ? (defaultValue ?? true) : defaultValue;
      if (value !== undefined) values[name] = value;
    }
    return values;
  }

  #operands(words: readonly string[]): unknown[] {
    const last = this.#arguments.at(-1);
    if (words.length > this.#arguments.length && !last?.takesAll) throw new NotPlain();
    return this.#arguments.map(({ isRequired, takesAll, parse, defaultValue }, index) => {
      const word = words[index];
      if (word === undefined) {
        if (isRequired) throw new NotPlain();
        return takesAll ? (defaultValue ?? []) : defaultValue;
      }
      if (!takesAll) return parse ? parse(word, defaultValue) : word;
      const rest = words.slice(index);
      return parse ? rest.reduce<unknown>((before, value) => parse(value, before), defaultValue) : rest;
    });
  }

  #notPlain(): this {
    this.#isPlain = false;
    return this;
  }
}

/** Of a word, whatever it is of. A dash alone is stdin's name. */
const isOption = (word: string) => word.length > 1 && word.startsWith("-");
