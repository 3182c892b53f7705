import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
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
  'its default export must be { name: "lamp", does: "...", commands: [command({...})] }, or a function that returns that';

/**
 * Loads a plug-in: a JavaScript module, or TypeScript where this Node.js runs it (22.18 and later) or the package
 * `typescript` is installed where the file lies. It is a program and runs with all rights of this one.
 *
 * @throws PluginError
 */
export async function loadPlugin(file: string): Promise<Plugin> {
  const made = await exportOf(file);
  if (typeof made !== "object" || made === null)
    throw new PluginError(file, "this is not a plug-in", { hint: FORM_HINT });
  const { name, does = "commands of a plug-in", commands } = made as Partial<Record<string, unknown>>;
  if (typeof name !== "string" || !/^[a-z][a-z0-9-]*$/.test(name))
    throw new PluginError(file, "its name must have only lower-case letters, digits and -", {
      hint: FORM_HINT,
    });
  if (typeof does !== "string") throw new PluginError(file, '"does" is no text', { hint: FORM_HINT });
  if (!Array.isArray(commands) || commands.length === 0)
    throw new PluginError(file, "it has no commands", { hint: FORM_HINT });
  return { name, does, commands: commands.map((entry: unknown, index) => checked(file, entry, index)) };
}

async function exportOf(file: string): Promise<unknown> {
  try {
    const made = (await moduleOf(resolve(file))).default;
    return typeof made === "function" ? await (made as (words: PluginWords) => unknown)(pluginWords) : made;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (isUnknownKind(cause) && TYPESCRIPT.test(file))
      throw new PluginError(file, `Node.js ${process.versions.node} cannot run TypeScript by itself`, {
        cause,
        hint: "run npm install typescript in the file's folder, use Node.js 22.18 or later, or compile it to JavaScript",
      });
    if (code === "ERR_MODULE_NOT_FOUND" && message.includes(resolve(file)))
      throw new PluginError(file, "there is no such plug-in file", {
        cause,
        hint: "give its path from this folder; one of the config file is meant from the config file's folder",
      });
    throw new PluginError(file, `cannot be loaded: ${message}`, {
      cause,
      hint: `node ${file} shows the wrong line`,
    });
  }
}

const TYPESCRIPT = /\.[cm]?ts$/;

const isUnknownKind = (error: unknown) =>
  (error as NodeJS.ErrnoException).code === "ERR_UNKNOWN_FILE_EXTENSION";

async function moduleOf(path: string): Promise<{ default?: unknown }> {
  try {
    return (await import(pathToFileURL(path).href)) as { default?: unknown };
  } catch (error) {
    const compile = isUnknownKind(error) && TYPESCRIPT.test(path) ? compilerAt(path) : undefined;
    if (!compile) throw error;
    // Beside the original, so that what it imports is found.
    const compiled = `${path}.${process.pid}.mjs`;
    writeFileSync(compiled, compile(readFileSync(path, "utf8")));
    try {
      return (await import(pathToFileURL(compiled).href)) as { default?: unknown };
    } finally {
      rmSync(compiled);
    }
  }
}

/** What is used of the package `typescript`. */
interface Compiler {
  transpileModule(source: string, options: object): { outputText: string };
  ModuleKind: { ESNext: number };
  ScriptTarget: { ES2022: number };
}

/** The user's own `typescript`; undefined when none is installed where the file lies. */
function compilerAt(path: string): ((source: string) => string) | undefined {
  const require = createRequire(path);
  let ts: Compiler;
  try {
    ts = require("typescript") as Compiler;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND") return undefined;
    throw error;
  }
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
  return (source) => ts.transpileModule(source, { compilerOptions }).outputText;
}

function checked(file: string, entry: unknown, index: number): AnyCommand {
  const { name, does, group, id, op, request, response } = (entry ?? {}) as Partial<AnyCommand>;
  const wrong = (what: string) =>
    new PluginError(file, `command ${index} (${typeof name === "string" ? name : "no name"}): ${what}`, {
      hint: "declare it with command({ name, does, group, id, op, request, response })",
    });
  if (typeof name !== "string" || !/^[a-z][a-z0-9 -]*$/.test(name))
    throw wrong("its name may only have lower-case letters, digits, - and spaces");
  if (typeof does !== "string") throw wrong("it has no description (does)");
  if (!isWhole(group, 0xffff)) throw wrong("its group is not a number from 0 to 65535");
  if (!isWhole(id, 0xff)) throw wrong("its id is not a number from 0 to 255");
  if (op !== "read" && op !== "write") throw wrong("its op is neither read nor write");
  if (typeof request?.check !== "function" || typeof request.fields !== "object")
    throw wrong("its request was not made with command()");
  if (typeof response?.check !== "function") throw wrong("its response was not made with command()");
  return entry as AnyCommand;
}

function isWhole(value: unknown, max: number): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max;
}
