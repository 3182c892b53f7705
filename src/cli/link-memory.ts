import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { LinkMemory } from "../client/flow-control.js";
import { makeFolder } from "./make-folder.js";

/** Boards that are remembered; the one that was not used for longest goes first. */
const MOST_BOARDS = 200;
const LARGEST_FILE = 256 * 1024;
const LIMITS = { window: 128, maxMessage: 0xffff, linePauseMs: 1000 } as const;

/** What the links to this user's boards taught, in the user's cache folder. Losing it costs a few questions. */
const fileName = () =>
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "bootproof", "links.json");

/** What is remembered of the board under this key, its serial number or else its address. */
export function recallLink(key: string): LinkMemory {
  return readAll().get(key) ?? {};
}

/** Keeps what a link taught. A cache that cannot be written is no reason to fail. */
export function rememberLink(key: string, memory: LinkMemory): void {
  const all = readAll();
  if (JSON.stringify(all.get(key) ?? {}) === JSON.stringify(memory)) return;
  all.delete(key);
  all.set(key, memory);
  const kept = [...all].slice(-MOST_BOARDS);
  try {
    makeFolder(dirname(fileName()));
    // Another run may read it meanwhile: it finds the old file or the new one.
    const fresh = `${fileName()}.${process.pid}`;
    writeFileSync(fresh, `${JSON.stringify(Object.fromEntries(kept), undefined, 1)}\n`);
    renameSync(fresh, fileName());
  } catch {
    // A read-only home, a full disk: the next run finds out anew.
  }
}

function readAll(): Map<string, LinkMemory> {
  let data: unknown;
  try {
    const text = readFileSync(fileName(), "utf8");
    data = text.length > LARGEST_FILE ? undefined : JSON.parse(text);
  } catch {
    // None yet, or damaged: it is made anew.
    return new Map();
  }
  if (typeof data !== "object" || data === null || Array.isArray(data)) return new Map();
  return new Map(Object.entries(data).map(([key, value]) => [key, checked(value)]));
}

function checked(value: unknown): LinkMemory {
  if (typeof value !== "object" || value === null) return {};
  const fields = new Map(Object.entries(value));
  const framing = fields.get("framing");
  const number = (name: keyof typeof LIMITS) => {
    const entry = fields.get(name);
    const isGood = Number.isInteger(entry) && (entry as number) > 0 && (entry as number) <= LIMITS[name];
    return isGood ? { [name]: entry as number } : {};
  };
  return {
    ...(framing === "console" || framing === "raw" ? { framing } : {}),
    ...number("window"),
    ...number("maxMessage"),
    ...number("linePauseMs"),
  };
}
