import { BootproofError } from "bootproof";
import {
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLMap,
  type YAMLParseError,
  type YAMLSeq,
} from "yaml";

/** A board or policy file says something that cannot be. The message names file, line and field. */
export class FactsError extends BootproofError {
  declare readonly code: "bad-facts";
  readonly file: string;
  readonly line: number;

  constructor(
    file: string,
    line: number,
    message: string,
    hint = "bootproof help prove explains board files, bootproof help policy explains policies.",
  ) {
    super("bad-facts", `${file}, line ${line}: ${message}`, { hint });
    this.file = file;
    this.line = line;
  }
}

/** No board file describes more. */
const LONGEST_FILE = 1024 * 1024;
const LONGEST_LIST = 1000;
const LONGEST_TEXT = 4096;

/**
 * Reads a YAML file of facts. Anchors and tags are refused: a board file is a table of facts, and an alias of an alias
 * of an alias fills any memory.
 *
 * @param listHint - the way on when the file is a list
 * @throws FactsError naming file and line
 */
export function readFacts(file: string, text: string, listHint?: string): Fields {
  const lines = new LineCounter();
  if (text.length > LONGEST_FILE)
    throw new FactsError(file, 1, `it has ${text.length} characters, more than a board file may have.`);
  const document = parseDocument(text, { lineCounter: lines, schema: "core", uniqueKeys: true });
  const broken = document.errors[0];
  if (broken) {
    const line = lines.linePos(broken.pos[0]).line;
    throw notYaml(file, line, broken);
  }
  const place: Place = { file, lineOf: (node) => lines.linePos(node?.range?.[0] ?? 0).line };
  const { contents } = document;
  if (!isMap(contents))
    throw new FactsError(
      file,
      1,
      'it should contain fields with names, as in "boards:".',
      isSeq(contents) ? listHint : undefined,
    );
  return new Fields(contents, "", place);
}

/** The parser's message without its own position and the excerpt below it: file and line stand in front. */
export function notYaml(file: string, line: number, error: YAMLParseError): FactsError {
  const why = error.message.split("\n")[0]!.replace(/(?: at line \d+, column \d+)?:?$/, "");
  return new FactsError(file, line, `this is not YAML: ${why}.`);
}

interface Place {
  readonly file: string;
  lineOf(node: Node | null | undefined): number;
}

/** The fields of one map, each asked for by name and kind; {@link Fields.finish} refuses what nobody asked for. */
export class Fields {
  readonly #map: YAMLMap;
  readonly #path: string;
  readonly #place: Place;
  readonly #asked = new Set<string>();

  constructor(map: YAMLMap, path: string, place: Place) {
    this.#map = map;
    this.#path = path;
    this.#place = place;
  }

  get names(): string[] {
    return this.#map.items.map(({ key }) => String(isScalar(key) ? key.value : key));
  }

  /** Where this map stands in the file. */
  get path(): string {
    return this.#path;
  }

  has(name: string): boolean {
    return this.#node(name) !== undefined;
  }

  /** Those of the fields that are there, as plain values, for a reader that judges them itself. */
  plain(names: readonly string[]): Record<string, unknown> {
    return Object.fromEntries(
      names.flatMap((name) => {
        const node = this.#node(name);
        return node === undefined ? [] : [[name, node.toJSON()]];
      }),
    );
  }

  text(name: string): string | undefined {
    return this.#scalar(name, (value) => (typeof value === "string" ? bounded(value) : undefined), "a text");
  }

  required(name: string): string {
    const value = this.text(name);
    if (value === undefined) throw this.fault(`field "${this.#full(name)}" is missing.`);
    return value;
  }

  number(name: string, { min = 0, max = 0xffff_ffff } = {}): number | undefined {
    const fits = (value: unknown) =>
      typeof value === "number" && Number.isInteger(value) && value >= min && value <= max
        ? value
        : undefined;
    return this.#scalar(name, fits, `a whole number from ${min} to ${max}`);
  }

  flag(name: string): boolean | undefined {
    return this.#scalar(name, (value) => (typeof value === "boolean" ? value : undefined), "true or false");
  }

  oneOf<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const fits = (value: unknown) => choices.find((choice) => choice === value);
    return this.#scalar(name, fits, `one of ${choices.join(", ")}`);
  }

  /** A list of texts; one text alone counts as a list of one. */
  texts(name: string): string[] | undefined {
    const node = this.#node(name);
    if (node === undefined) return undefined;
    const items = isSeq(node) ? this.#bounded(name, node) : [node];
    return items.map((item) => {
      const value = isScalar(item) && typeof item.value === "string" ? bounded(item.value) : undefined;
      if (value === undefined)
        throw this.fault(`field "${this.#full(name)}" should be a list of texts.`, node);
      return value;
    });
  }

  /** A list of texts of a closed set. */
  someOf<T extends string>(name: string, choices: readonly T[]): T[] | undefined {
    return this.texts(name)?.map((text) => {
      const known = choices.find((choice) => choice === text);
      if (known !== undefined) return known;
      throw this.fault(
        `field "${this.#full(name)}": there is no "${text}".`,
        this.#node(name),
        `There are: ${choices.join(", ")}.`,
      );
    });
  }

  object(name: string): Fields | undefined {
    const node = this.#node(name);
    if (node === undefined) return undefined;
    if (!isMap(node)) throw this.fault(`field "${this.#full(name)}" should hold fields of its own.`, node);
    return new Fields(node, this.#full(name), this.#place);
  }

  objects(name: string): Fields[] | undefined {
    const node = this.#node(name);
    if (node === undefined) return undefined;
    if (!isSeq(node)) throw this.fault(`field "${this.#full(name)}" should be a list.`, node);
    return this.#bounded(name, node).map((item, index) => {
      if (isMap(item)) return new Fields(item, `${this.#full(name)}[${index}]`, this.#place);
      throw this.fault(`entry ${index + 1} of "${this.#full(name)}" should hold fields.`, node);
    });
  }

  /** A field nobody asked for is a misspelt one. */
  finish(): void {
    for (const { key } of this.#map.items) {
      const name = String(isScalar(key) ? key.value : key);
      if (this.#asked.has(name)) continue;
      throw this.fault(
        `there is no field "${this.#full(name)}".`,
        key as Node,
        `Known here: ${[...this.#asked].join(", ")}.`,
      );
    }
  }

  fault(message: string, node: Node | undefined = this.#map, hint?: string): FactsError {
    return new FactsError(this.#place.file, this.#place.lineOf(node), message, hint);
  }

  /** The fault of a field, at its line. */
  faultOf(name: string, message: string, hint?: string): FactsError {
    return this.fault(`field "${this.#full(name)}": ${message}`, this.#node(name), hint);
  }

  /** All entries of a list; one that is too long is refused rather than cut. */
  #bounded(name: string, { items }: YAMLSeq): readonly unknown[] {
    if (items.length <= LONGEST_LIST) return items;
    throw this.faultOf(name, `it has ${items.length} entries; at most ${LONGEST_LIST} are read.`);
  }

  /** A message that names its field itself, at the field's line. */
  faultAt(name: string, message: string, hint?: string): FactsError {
    return this.fault(message, this.#node(name), hint);
  }

  #scalar<T>(name: string, fits: (value: unknown) => T | undefined, kind: string): T | undefined {
    const node = this.#node(name);
    if (node === undefined) return undefined;
    const value = isScalar(node) ? fits(node.value) : undefined;
    if (value === undefined) throw this.fault(`field "${this.#full(name)}" should be ${kind}.`, node);
    return value;
  }

  #node(name: string): Node | undefined {
    this.#asked.add(name);
    const node = this.#map.get(name, true) as Node | null | undefined;
    if (node === undefined || node === null || (isScalar(node) && node.value === null)) return undefined;
    return node;
  }

  #full(name: string): string {
    return this.#path === "" ? name : `${this.#path}.${name}`;
  }
}

function bounded(text: string): string | undefined {
  return text.length <= LONGEST_TEXT ? text : undefined;
}
