import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { BootproofError } from "../errors.js";
import { type AnyCommand, command } from "../smp/command.js";
import * as schema from "../smp/schema.js";

/** What a plug-in file gives: a group of commands under a verb of its own. */
export interface Plugin {
  /** The verb: `lamp`. */
  readonly name: string;
  /** What it is for, for the list of commands. */
  readonly does: string;
  /** Declared as ours are, with `command`. */
  readonly commands: readonly AnyCommand[];
}

/** Handed to a plug-in that is a function, so that its file needs to import nothing. */
const { anything, bool, bytes, int, list, object, optional, record, text, uint, uint64 } = schema;
export const pluginWords = {
  command,
  anything,
  bool,
  bytes,
  int,
  list,
  object,
  optional,
  record,
  text,
  uint,
  uint64,
};
export type PluginWords = typeof pluginWords;

/** A plug-in file cannot be used. */
export class PluginError extends BootproofError {
  declare readonly code: "bad-plugin";

  constructor(file: string, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super("bad-plugin", `${file}: ${message}`, options);
  }
}

const FORM_HINT =
  'its default export is { name: "lamp", does: "...", commands: [command({...})] }, or a function that returns that';

/**
 * Loads a plug-in: a JavaScript module, or TypeScript where this Node.js can (22.18 and later). It is a program and runs
 * with all rights of this one.
 *
 * @throws PluginError
 */
export async function loadPlugin(file: string): Promise<Plugin> {
  const made = await exportOf(file);
  if (typeof made !== "object" || made === null)
    throw new PluginError(file, "this is no plug-in", { hint: FORM_HINT });
  const { name, does = "commands of a plug-in", commands } = made as Partial<Record<string, unknown>>;
  if (typeof name !== "string" || !/^[a-z][a-z0-9-]*$/.test(name))
    throw new PluginError(file, "its name is no word of small letters, digits and -", { hint: FORM_HINT });
  if (typeof does !== "string") throw new PluginError(file, '"does" is no text', { hint: FORM_HINT });
  if (!Array.isArray(commands) || commands.length === 0)
    throw new PluginError(file, "it has no commands", { hint: FORM_HINT });
  return { name, does, commands: commands.map((entry: unknown, index) => checked(file, entry, index)) };
}

async function exportOf(file: string): Promise<unknown> {
  try {
    const module = (await import(pathToFileURL(resolve(file)).href)) as { default?: unknown };
    const made = module.default;
    return typeof made === "function" ? await (made as (words: PluginWords) => unknown)(pluginWords) : made;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ERR_UNKNOWN_FILE_EXTENSION" && /\.[cm]?ts$/.test(file))
      throw new PluginError(file, `Node.js ${process.versions.node} cannot run TypeScript by itself`, {
        cause,
        hint: "use Node.js 22.18 or later, or compile the file to JavaScript first",
      });
    if (code === "ERR_MODULE_NOT_FOUND" && message.includes(resolve(file)))
      throw new PluginError(file, "there is no such plug-in file", { cause });
    throw new PluginError(file, `cannot be loaded: ${message}`, { cause });
  }
}

function checked(file: string, entry: unknown, index: number): AnyCommand {
  const { name, does, group, id, op, request, response } = (entry ?? {}) as Partial<AnyCommand>;
  const wrong = (what: string) =>
    new PluginError(file, `command ${index} (${typeof name === "string" ? name : "no name"}): ${what}`, {
      hint: "declare it with command({ name, does, group, id, op, request, response })",
    });
  if (typeof name !== "string" || !/^[a-z][a-z0-9 -]*$/.test(name))
    throw wrong("its name is not of small letters, digits, - and spaces");
  if (typeof does !== "string") throw wrong("it does not say what it does");
  if (!isWhole(group, 0xffff)) throw wrong("its group is no number from 0 to 65535");
  if (!isWhole(id, 0xff)) throw wrong("its id is no number from 0 to 255");
  if (op !== "read" && op !== "write") throw wrong("its op is neither read nor write");
  if (typeof request?.check !== "function" || typeof request.fields !== "object")
    throw wrong("its request was not made with command()");
  if (typeof response?.check !== "function") throw wrong("its response was not made with command()");
  return entry as AnyCommand;
}

function isWhole(value: unknown, max: number): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max;
}
