import { isList, isObject, type Json, type JsonObject } from "./canonical-json.js";
import { TufError } from "./error.js";

/** A value and where it stands in its file. */
export class Place {
  readonly #role: string;
  readonly #path: string;
  readonly #value: Json | undefined;

  constructor(role: string, path: string, value?: Json) {
    this.#role = role;
    this.#path = path;
    this.#value = value;
  }

  field(object: JsonObject, name: string): Place {
    const place = this.optional(object, name);
    if (!place) throw this.wrong(`"${name}" is missing`);
    return place;
  }

  optional(object: JsonObject, name: string): Place | undefined {
    const value = Object.hasOwn(object, name) ? object[name] : undefined;
    return value === undefined ? undefined : this.#child(name, value);
  }

  object(value: Json | undefined = this.#value): JsonObject {
    if (!isObject(value)) throw this.wrong("it is not an object");
    return value;
  }

  entries(): [string, Place][] {
    return Object.entries(this.object()).map(([name, value]) => [name, this.#child(name, value)]);
  }

  list(): Place[] {
    const value = this.#value;
    if (value === undefined || !isList(value)) throw this.wrong("it is not a list");
    return value.map((item, index) => this.#child(String(index), item));
  }

  text(): string {
    if (typeof this.#value !== "string") throw this.wrong("it is not text");
    return this.#value;
  }

  texts(): string[] {
    return this.list().map((item) => item.text());
  }

  hex(): string {
    const text = this.text();
    if (!/^([0-9a-f]{2})+$/i.test(text)) throw this.wrong("it is not hex");
    return text.toLowerCase();
  }

  whole(min: number, max = Number.MAX_SAFE_INTEGER): number {
    const value = this.#value;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max)
      throw this.wrong(`it is ${JSON.stringify(value)}, not a whole number of at least ${min}`);
    return value;
  }

  flag(): boolean {
    if (typeof this.#value !== "boolean") throw this.wrong("it is neither true nor false");
    return this.#value;
  }

  wrong(what: string): TufError {
    const where = this.#path === "" ? "" : ` at ${this.#path}`;
    return new TufError(
      "bad-metadata",
      this.#role,
      `The ${this.#role} metadata is malformed${where}: ${what}.`,
    );
  }

  #child(name: string, value: Json): Place {
    return new Place(this.#role, this.#path === "" ? name : `${this.#path}.${name}`, value);
  }
}
