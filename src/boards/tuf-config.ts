import { isAbsolute, resolve } from "node:path";

/** A TUF repository as the config file describes it. */
export interface TufPlace {
  /** Where it is: an `https:` or `http:` address, or a folder. */
  readonly from: string;
  /** Where its metadata is, when that is not `metadata` below `from`. */
  readonly metadata?: string;
  /** Where its targets are, when that is not `targets` below `from`. */
  readonly targets?: string;
  /** File of the root that is trusted at first. */
  readonly root?: string;
}

const FIELDS = ["from", "metadata", "targets", "root"] as const;

/**
 * The `tuf` of the config file: `"vendor": "https://updates.example"`, or with details
 * `"vendor": {"from": "https://updates.example", "root": "vendor-root.json"}`. Folders and files are relative to `base`.
 * Throws what `wrong` makes.
 */
export function readTufPlaces(
  value: unknown,
  base: string,
  wrong: (what: string) => Error,
): Record<string, TufPlace> {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw wrong('"tuf" is not an object of name and repository');
  return Object.fromEntries(
    Object.entries(value).map(([name, entry]) => [name, readPlace(name, entry, base, wrong)]),
  );
}

function readPlace(name: string, entry: unknown, base: string, wrong: (what: string) => Error): TufPlace {
  const field = `tuf.${name}`;
  if (!/^[\w.-]+$/.test(name) || /^\.+$/.test(name))
    throw wrong(`"${field}" is not a name of letters, digits, dots and dashes`);
  const absolute = (text: string) => (isUrl(text) || isAbsolute(text) ? text : resolve(base, text));
  if (typeof entry === "string") return { from: absolute(entry) };
  if (typeof entry !== "object" || entry === null || Array.isArray(entry))
    throw wrong(`"${field}" is neither an address nor an object`);
  const fields = entry as Record<string, unknown>;
  const unknown = Object.keys(fields).find((key) => !(FIELDS as readonly string[]).includes(key));
  if (unknown !== undefined) throw wrong(`unknown field "${field}.${unknown}"`);
  const text = (key: (typeof FIELDS)[number]): string | undefined => {
    const found = fields[key];
    if (found === undefined) return undefined;
    if (typeof found !== "string" || found === "") throw wrong(`"${field}.${key}" is not text`);
    return absolute(found);
  };
  const [from, metadata, targets, root] = FIELDS.map(text);
  if (from === undefined) throw wrong(`"${field}.from" is missing`);
  return { from, ...(metadata && { metadata }), ...(targets && { targets }), ...(root && { root }) };
}

/**
 * Is this an address of the network and not a folder?
 *
 * @param text - as the config file has it
 * @returns true for `http:` and `https:`
 */
export function isUrl(text: string): boolean {
  return /^https?:\/\//i.test(text);
}
