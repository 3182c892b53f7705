import { UsageError } from "../usage-error.js";

const FORMS: readonly { readonly pattern: RegExp; readonly base: number }[] = [
  { pattern: /^0x(?:_?[0-9a-f])+$/i, base: 16 },
  { pattern: /^0o(?:_?[0-7])+$/i, base: 8 },
  { pattern: /^0b(?:_?[01])+$/i, base: 2 },
  // Like C before it, Python takes no leading zero for a decimal number.
  { pattern: /^(?:0(?:_?0)*|[1-9](?:_?[0-9])*)$/, base: 10 },
];

/** A whole number as Python spells it: decimal, 0x, 0o, 0b, with single underscores; undefined for anything else. */
export function pythonInteger(text: string): number | undefined {
  const [, sign, digits] = /^\s*([+-]?)(\S+)\s*$/.exec(text) ?? [];
  const form = FORMS.find(({ pattern }) => pattern.test(digits ?? ""));
  if (!form) return undefined;
  const plain = digits!.replaceAll("_", "");
  const value = Number.parseInt(form.base === 10 ? plain : plain.slice(2), form.base);
  return sign === "-" ? -value : value;
}

/** {@link pythonInteger} of an option's value. Throws `UsageError`. */
export function integerOption(name: string, text: string): number {
  const value = pythonInteger(text);
  if (value !== undefined) return value;
  throw new UsageError(
    `Invalid value for '--${name}': ${text} is not a valid integer.`,
    "Numbers are decimal, 0x.., 0o.. or 0b...",
  );
}
