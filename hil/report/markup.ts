import { printable } from "./labels.js";

/** A piece of HTML. Only this file makes one out of text, and text is always escaped. */
export class Markup {
  readonly #source: string;

  constructor(source: string) {
    this.#source = source;
  }

  toString(): string {
    return this.#source;
  }
}

export type Part = Markup | string | number | undefined | false | readonly Part[];

/** Text and markup joined; every text is escaped, control characters in it are shown. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return new Markup(strings.map((string, index) => string + sourceOf(parts[index])).join(""));
}

function sourceOf(part: Part): string {
  if (part === undefined || part === false) return "";
  if (part instanceof Markup) return part.toString();
  if (typeof part === "number") return String(part);
  if (typeof part === "string") return escaped(part);
  return part.map(sourceOf).join("");
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escaped(text: string): string {
  return text
    .split("\n")
    .map(printable)
    .join("\n")
    .replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}
