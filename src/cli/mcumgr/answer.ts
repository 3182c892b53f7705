/** An answer that lacks the shape of one; mcumgr goes on waiting, as if it had not come. */
export class NoAnswer extends Error {}

/** The fields of an answer. A field that is missing is zero, empty or false, as in mcumgr; one of another kind is refused. */
export class Answer {
  readonly #fields: ReadonlyMap<string, unknown>;

  constructor(value: unknown) {
    if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array)
      throw new NoAnswer("not a map");
    this.#fields = new Map(Object.entries(value));
  }

  int(name: string): number | bigint {
    return this.#of(name, 0, (value) => typeof value === "bigint" || Number.isInteger(value));
  }

  text(name: string): string {
    return this.#of(name, "", (value) => typeof value === "string");
  }

  flag(name: string): boolean {
    return this.#of(name, false, (value) => typeof value === "boolean");
  }

  bytes(name: string): Uint8Array {
    return this.#of(name, new Uint8Array(), (value) => value instanceof Uint8Array);
  }

  texts(name: string): string[] {
    const isTexts = (value: unknown) => Array.isArray(value) && value.every((one) => typeof one === "string");
    return this.#of<string[]>(name, [], isTexts);
  }

  maps(name: string): Answer[] {
    return this.#of<unknown[]>(name, [], Array.isArray).map((one) => new Answer(one));
  }

  /** Name and value of each entry of a map, by name. */
  entries(name: string): [string, unknown][] {
    const value = this.#fields.get(name);
    if (value === undefined || value === null) return [];
    return [...new Answer(value).#fields].sort(([a], [b]) => (a < b ? -1 : Number(a > b)));
  }

  /** The result code; 0 is success. */
  get rc(): number | bigint {
    return this.int("rc");
  }

  #of<T>(name: string, missing: T, fits: (value: unknown) => boolean): T {
    const value = this.#fields.get(name);
    if (value === undefined || value === null) return missing;
    if (!fits(value)) throw new NoAnswer(`${name} is of another kind`);
    return value as T;
  }
}
