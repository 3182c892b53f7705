import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { BootproofError } from "../errors.js";
import { PowerError } from "../power/power.js";
import type { BoardProfile } from "../profiles/profile.js";
import { ProfileError } from "../profiles/read.js";
import { type BoardDetails, readBoards, readOwnProfiles } from "./board-config.js";

/** What may stand in the config file; every field can also be given on the command line. */
export interface Config {
  /** Default board address, or the name of one in `boards`. */
  device?: string;
  /** Names for addresses and devices: `{"bench-3": "serial:/dev/ttyACM0", "bench-4": "683001122"}`. */
  boards: Record<string, string>;
  /** What else is said of the boards: profile, power switch. */
  details: Record<string, BoardDetails>;
  /** Profiles of boards that are not built in. */
  profiles: BoardProfile[];
  /** Key files against which images are checked. */
  keys: string[];
  /** Image files whose versions and counters are known, to explain what a board holds. */
  known: string[];
  /** Plug-in files, whose commands are there without --plugin. */
  plugins: string[];
}

/** The config file cannot be read as one. */
export class ConfigError extends BootproofError {
  declare readonly code: "bad-config";
}

const fileNames = () => [
  join(process.cwd(), ".bootproof.json"),
  join(process.env.XDG_CONFIG_HOME ?? join(homedir(), ".config"), "bootproof", "config.json"),
];

/**
 * The first config file that exists: `.bootproof.json` in this folder, else `bootproof/config.json` in the user's
 * config folder. Paths in it are relative to the file.
 *
 * @throws ConfigError when the file is not what it should be
 */
export function loadConfig(): Config {
  for (const path of fileNames()) {
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (cause) {
      // No file there is the ordinary case; anything else is worth a word.
      if (["ENOENT", "ENOTDIR"].includes((cause as NodeJS.ErrnoException).code ?? "")) continue;
      throw new ConfigError(
        "bad-config",
        `Cannot read the config file ${path}: ${(cause as Error).message}.`,
        { cause, hint: "Is it a file, and yours to read?" },
      );
    }
    return parseConfig(path, text);
  }
  return { boards: {}, details: {}, profiles: [], keys: [], known: [], plugins: [] };
}

/** @throws ConfigError naming the field that is wrong */
export function parseConfig(path: string, text: string): Config {
  const wrong = (what: string, cause?: unknown) =>
    new ConfigError("bad-config", `${path}: ${what}.`, {
      cause,
      hint: 'It is a JSON object with the optional fields "device", "boards", "profiles", "keys", "known" and "plugins".',
    });
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw wrong(`this is not JSON (${(cause as Error).message})`, cause);
  }
  if (typeof data !== "object" || data === null || Array.isArray(data))
    throw wrong("the top level is not an object");
  const fields = new Map(Object.entries(data));
  for (const name of fields.keys()) {
    if (!["device", "boards", "profiles", "keys", "known", "plugins"].includes(name))
      throw wrong(`unknown field "${name}"`);
  }
  const files = (name: string): string[] => {
    const list = fields.get(name) ?? [];
    if (!Array.isArray(list) || !list.every((item) => typeof item === "string"))
      throw wrong(`"${name}" is not a list of file names`);
    return list.map((file) => (isAbsolute(file) ? file : resolve(dirname(path), file)));
  };
  const profiles = inFile(path, () => readOwnProfiles(fields.get("profiles")));
  const { boards, details } = inFile(path, () => readBoards(fields.get("boards") ?? {}, wrong));
  const device = fields.get("device");
  if (device !== undefined && typeof device !== "string") throw wrong('"device" is not text');
  return {
    ...(device === undefined ? {} : { device }),
    boards,
    details,
    profiles,
    keys: files("keys"),
    known: files("known"),
    plugins: files("plugins"),
  };
}

/** What is wrong with a part of the file, with the file's name before it. */
function inFile<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof PowerError || cause instanceof ProfileError)) throw cause;
    throw new ConfigError("bad-config", `${path}: ${cause.message}`, {
      cause,
      ...(cause.hint === undefined ? {} : { hint: cause.hint }),
    });
  }
}
