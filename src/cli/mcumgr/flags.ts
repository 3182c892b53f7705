import { goFloat, goInteger } from "./go-text.js";

/** An option as the command line of a Go program knows it: `--name VALUE`, `--name=VALUE`, `-n VALUE`, `-nVALUE`. */
export interface Flag {
  readonly name: string;
  readonly letter?: string;
  readonly kind: "text" | "int" | "uint32" | "float" | "bool";
  readonly summary: string;
}

export type FlagValue = string | number | boolean;
export type FlagValues = ReadonlyMap<string, FlagValue>;

/** An option that there is not, or a value that it cannot have. The run ends with status 0, as in mcumgr. */
export class FlagProblem extends Error {}

export interface ParsedLine {
  readonly words: readonly string[];
  readonly flags: FlagValues;
  readonly wantsHelp: boolean;
}

/** The words of a command line up to `--` or an option that is not known: enough to find the command. */
export function wordsAmong(argv: readonly string[], flags: readonly Flag[]): string[] {
  const words: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    if (word === "--") break;
    if (word.startsWith("-") && word !== "-") {
      if (takesNext(word, flags)) at++;
    } else words.push(word);
  }
  return words;
}

/** The value of an option is the word behind it: `--name` without `=`, or a lone letter; only of those that have values. */
function takesNext(word: string, flags: readonly Flag[]): boolean {
  if (word.startsWith("--")) {
    const flag = flags.find(({ name }) => name === word.slice(2));
    return flag !== undefined && flag.kind !== "bool";
  }
  const flag = flags.find(({ letter }) => letter === word[1]);
  return word.length === 2 && flag !== undefined && flag.kind !== "bool";
}

/** All of a command line, options anywhere. Throws {@link FlagProblem}. */
export function parseLine(argv: readonly string[], flags: readonly Flag[]): ParsedLine {
  const rest = [...argv];
  const words: string[] = [];
  const values = new Map<string, FlagValue>();
  let wantsHelp = false;
  const next = () => rest.shift();
  for (let word = next(); word !== undefined; word = next()) {
    if (word === "--") {
      words.push(...rest.splice(0));
    } else if (word.startsWith("--")) {
      wantsHelp = long(word, flags, values, next) || wantsHelp;
    } else if (word.startsWith("-") && word !== "-") {
      wantsHelp = short(word, flags, values, next) || wantsHelp;
    } else words.push(word);
  }
  return { words, flags: values, wantsHelp };
}

/** True when the option asks for help. */
function long(
  word: string,
  flags: readonly Flag[],
  values: Map<string, FlagValue>,
  next: () => string | undefined,
): boolean {
  const cut = word.indexOf("=");
  const name = word.slice(2, cut < 0 ? undefined : cut);
  const flag = flags.find((one) => one.name === name);
  if (flag === undefined) {
    if (name === "help") return true;
    throw new FlagProblem(`unknown flag: --${name}`);
  }
  const value = cut < 0 ? (flag.kind === "bool" ? "true" : next()) : word.slice(cut + 1);
  if (value === undefined) throw new FlagProblem(`flag needs an argument: --${name}`);
  values.set(flag.name, flagValue(flag, value));
  return false;
}

/** True when one of the letters asks for help. */
function short(
  word: string,
  flags: readonly Flag[],
  values: Map<string, FlagValue>,
  next: () => string | undefined,
): boolean {
  for (let at = 1; at < word.length; at++) {
    const letter = word[at]!;
    const flag = flags.find((one) => one.letter === letter);
    if (flag === undefined) {
      if (letter === "h") return true;
      throw new FlagProblem(`unknown shorthand flag: '${letter}' in ${word}`);
    }
    const rest = word.slice(at + 1);
    if (flag.kind === "bool" && !rest.startsWith("=")) {
      values.set(flag.name, true);
      continue;
    }
    const value = rest === "" ? next() : rest.replace(/^=/, "");
    if (value === undefined) throw new FlagProblem(`flag needs an argument: '${letter}' in ${word}`);
    values.set(flag.name, flagValue(flag, value));
    return false;
  }
  return false;
}

function flagValue(flag: Flag, text: string): FlagValue {
  const value = read(flag.kind, text);
  if (typeof value === "object") {
    const name = flag.letter === undefined ? `--${flag.name}` : `-${flag.letter}, --${flag.name}`;
    throw new FlagProblem(`invalid argument ${JSON.stringify(text)} for "${name}" flag: ${value.problem}`);
  }
  return value;
}

const TRUE = new Set(["1", "t", "T", "true", "TRUE", "True"]);
const FALSE = new Set(["0", "f", "F", "false", "FALSE", "False"]);

function read(kind: Flag["kind"], text: string): FlagValue | { problem: string } {
  switch (kind) {
    case "text":
      return text;
    case "bool":
      if (TRUE.has(text) || FALSE.has(text)) return TRUE.has(text);
      return { problem: `strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax` };
    case "float":
      return orProblem(goFloat(text));
    case "int":
      return orProblem(goInteger(text, "ParseInt", [-(2n ** 63n), 2n ** 63n - 1n]));
    case "uint32":
      return orProblem(goInteger(text, "ParseUint", [0n, 2n ** 32n - 1n]));
  }
}

const orProblem = (value: bigint | number | string) =>
  typeof value === "string" ? { problem: value } : Number(value);
