import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { BootproofError } from "../errors.js";
import { PowerError } from "../power/power.js";
import type { BoardProfile } from "../profiles/profile.js";
import { ProfileError } from "../profiles/read.js";
import { configFingerprint, isAllowed, isForeign } from "./allowed-configs.js";

import {
  BoardDescriptionError,
  type BoardDetails,
  readBoards,
  readOwnProfiles,
} from "./board-description.js";
import { readTufPlaces, type TufPlace } from "./tuf-config.js";

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
  /** The config file that names them, where there are any. */
  keysFrom?: string;
  /** Key files of which one must have signed Mender artifacts. */
  artifactKeys?: string[];
  /** Image files whose versions and counters are known, to explain what a board holds. */
  known: string[];
  /** Plug-in files, whose commands are there without --plugin. */
  plugins: string[];
  /** The policy to judge by. */
  policy?: string;
  /** TUF repositories by name. */
  tuf: Record<string, TufPlace>;
  /** The file that all this stands in. */
  file?: string;
  /** What the file holds and was left out, because the user has not allowed it. */
  leftOut?: LeftOut;
}

/** What a config file may not do by lying in the current folder. */
export interface LeftOut {
  /** `not-allowed`: `bootproof allow` does. `foreign`: the file belongs to another user, and is never allowed. */
  why: "not-allowed" | "foreign";
  /** In words, each entry one field: `plugins`, `power of "bench"`. */
  what: string[];
  /** The board that the file would have commands reach that name none. */
  device?: string;
}

/** The project's config file of the current folder. */
export const projectConfigFile = () => join(process.cwd(), ".bootproof.json");

/** The config file cannot be read as one. */
export class ConfigError extends BootproofError {
  declare readonly code: "bad-config";
}

const userConfigFile = () =>
  join(process.env.XDG_CONFIG_HOME ?? join(homedir(), ".config"), "bootproof", "config.json");

const NOTHING: Config = { boards: {}, details: {}, profiles: [], keys: [], known: [], plugins: [], tuf: {} };

/**
 * The user's config file, `bootproof/config.json` in the user's config folder, and over it `.bootproof.json` of this folder.
 * Paths in a file are relative to it. What runs programs, says whom to trust or decides which board is meant
 * and what is true of it is left out of a file of this folder until the user allows its content, and out of any file of another
 * user. Such a file adds to the user's: it hides neither the user's keys nor policy, nor a board of the same name.
 *
 * @returns the fields of both with paths made absolute; an empty config when there is no file
 * @throws ConfigError when a file is not what it should be
 */
export function loadConfig(): Config {
  const user = configIn(userConfigFile());
  const project = configIn(projectConfigFile());
  if (project === undefined) return user ?? NOTHING;
  if (user === undefined) return project;
  return project.leftOut || !project.isAllowed ? strangersOver(user, project) : over(user, project);
}

/** A config file as far as it counts; undefined where there is none. */
function configIn(path: string): (Config & { isAllowed: boolean }) | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    // No file there is the ordinary case; anything else is worth a word.
    if (["ENOENT", "ENOTDIR"].includes((cause as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw new ConfigError("bad-config", `Cannot read the config file ${path}: ${(cause as Error).message}.`, {
      cause,
      hint: "Is it a file, and may you read it?",
    });
  }
  const config: Config = { ...parseConfig(path, text), file: path };
  if (config.keys.length > 0) config.keysFrom = path;
  const foreign = isForeign(path);
  const isProject = path === projectConfigFile();
  const allowed = !foreign && (!isProject || isAllowed(configFingerprint(path, text, config)));
  return { ...(allowed ? config : guarded(foreign, config)), isAllowed: allowed };
}

/** The user has allowed this folder's file: what it says counts more than the user's own. */
function over(user: Config, project: Config): Config {
  const own = project.keys.length > 0 ? project : user;
  return {
    ...user,
    ...project,
    boards: { ...user.boards, ...project.boards },
    details: { ...user.details, ...project.details },
    profiles: [...project.profiles, ...user.profiles],
    keys: own.keys,
    ...(own.keysFrom !== undefined && { keysFrom: own.keysFrom }),
    known: [...project.known, ...user.known],
    plugins: [...new Set([...user.plugins, ...project.plugins])],
    tuf: { ...user.tuf, ...project.tuf },
  };
}

/** Nobody has allowed it: it adds boards and files, and where both say something the user's own counts. */
function strangersOver(user: Config, project: Config): Config {
  const details = { ...project.details };
  // A board is one thing: an address of the user's with a stranger's wiring would be neither's.
  for (const name of Object.keys(user.boards)) delete details[name];
  return {
    ...project,
    ...user,
    boards: { ...project.boards, ...user.boards },
    details: { ...details, ...user.details },
    profiles: [...user.profiles, ...project.profiles],
    known: [...user.known, ...project.known],
    ...(project.file !== undefined && { file: project.file }),
    ...(project.leftOut && { leftOut: project.leftOut }),
  };
}

function guarded(foreign: boolean, config: Config): Config {
  const what = sensitiveParts(config);
  if (what.length === 0) return config;
  const details = Object.entries(config.details).map(
    ([name, { power, reset, identity, profile, ...rest }]) => {
      const isOwn = config.profiles.some(({ id }) => id === profile);
      const kept: BoardDetails = {
        ...rest,
        ...(power?.kind === "hub" && { power }),
        ...(profile !== undefined && !isOwn && { profile }),
      };
      return [name, kept] as const;
    },
  );
  const { artifactKeys: _, keysFrom: __, device, ...kept } = config;
  return {
    ...kept,
    boards: withoutTokens(config.boards),
    details: Object.fromEntries(details),
    profiles: [],
    keys: [],
    known: [],
    plugins: [],
    tuf: {},
    leftOut: { why: foreign ? "foreign" : "not-allowed", what, ...(device !== undefined && { device }) },
  };
}

/**
 * The fields of a config that run programs, reach other machines, or say whom to trust; in words.
 *
 * @param config - by {@link parseConfig}
 * @returns sentences' parts, like `plug-ins`; empty when anybody may have written the file
 */
export function sensitiveParts(config: Config): string[] {
  const { plugins, keys, known, profiles, tuf, details, boards, device } = config;
  const ofBoards = Object.entries(details).flatMap(([name, { power, reset, identity }]) => [
    ...(power !== undefined && power.kind !== "hub" ? [`power of "${name}"`] : []),
    ...(reset === undefined ? [] : [`reset of "${name}"`]),
    // Whoever may say what a board is called could make it another one for the ratchet.
    ...(identity === undefined ? [] : [`identity of "${name}"`]),
  ]);
  return [
    ...(plugins.length > 0 ? ["plugins"] : []),
    ...(keys.length > 0 ? ["keys"] : []),
    ...(config.artifactKeys === undefined ? [] : ["artifactKeys"]),
    ...(Object.keys(tuf).length > 0 ? ["tuf"] : []),
    // Commands that name no board would reach this one.
    ...(device === undefined ? [] : ["device"]),
    // They say where `recover` writes, and which lines it moves.
    ...(profiles.length > 0 ? ["profiles"] : []),
    // What they say of a running image's counter decides which older ones the preflight lets pass.
    ...(known.length > 0 ? ["known"] : []),
    ...ofBoards,
    ...Object.entries(boards).flatMap(([name, address]) =>
      SAYS_TOKEN.test(address) ? [`token of "${name}"`] : [],
    ),
  ];
}

/** An address that has a file's content, or a secret of the environment, said to whoever listens there. */
const SAYS_TOKEN = /[?&]token(-file)?=/;

function withoutTokens(boards: Config["boards"]): Config["boards"] {
  return Object.fromEntries(Object.entries(boards).filter(([, address]) => !SAYS_TOKEN.test(address)));
}

/**
 * The board of commands that name none, as the config files say.
 *
 * @param config - by {@link loadConfig}
 * @returns an address or a name; undefined where no file names one
 * @throws ConfigError when only a file names one that the user has not allowed: neither that board nor another is meant
 */
export function defaultDevice({ device, file, leftOut }: Config): string | undefined {
  if (device !== undefined || leftOut?.device === undefined) return device;
  const isForeign = leftOut.why === "foreign";
  const why = isForeign ? "belongs to another user" : "is not allowed yet";
  throw new ConfigError(
    "bad-config",
    `No board is named, and ${file}, which names "${leftOut.device}", ${why}.`,
    { hint: `Name a board with -d${isForeign ? "" : ", or read the file and run bootproof allow"}.` },
  );
}

/**
 * Reads the text of a config file.
 *
 * @param path - of the file, for messages and for paths in it
 * @param text - JSON
 * @returns its fields, paths made absolute
 * @throws ConfigError naming the field that is wrong
 */
export function parseConfig(path: string, text: string): Config {
  const wrong = (what: string, cause?: unknown) =>
    new ConfigError("bad-config", `${path}: ${what}.`, {
      cause,
      hint: 'It is a JSON object with the optional fields "device", "boards", "profiles", "keys", "artifactKeys", "known", "plugins", "policy" and "tuf".',
    });
  let data: unknown;
  try {
    // Editors of Windows put a byte order mark in front.
    data = JSON.parse(text.replace(/^\ufeff/, ""));
  } catch (cause) {
    if (text.includes("\0")) throw wrong("this is UTF-16 or binary, not JSON in UTF-8", cause);
    const isPath = /"[^"\n]*[A-Za-z0-9_. -]\\[A-Za-z0-9_.]/.test(text);
    const hint = isPath ? ". In JSON a path of Windows is written with \\\\ or with / for each \\" : "";
    throw wrong(`this is not JSON (${(cause as Error).message})${hint}`, cause);
  }
  if (typeof data !== "object" || data === null || Array.isArray(data))
    throw wrong("the top level is not an object");
  const fields = new Map(Object.entries(data));
  for (const name of fields.keys()) {
    if (
      !["device", "boards", "profiles", "keys", "artifactKeys", "known", "plugins", "policy", "tuf"].includes(
        name,
      )
    )
      throw wrong(`unknown field "${name}"`);
  }
  const files = (name: string): string[] => {
    const list = fields.get(name) ?? [];
    if (!Array.isArray(list) || !list.every((item) => typeof item === "string"))
      throw wrong(`"${name}" is not a list of file names`);
    return list.map((file) => (isAbsolute(file) ? file : resolve(dirname(path), file)));
  };
  const profiles = inFile(path, () => readOwnProfiles(fields.get("profiles")));
  const { boards, details } = inFile(path, () => readBoards(fields.get("boards") ?? {}));
  const device = fields.get("device");
  if (device !== undefined && typeof device !== "string") throw wrong('"device" is not text');
  const policy = fields.get("policy");
  if (policy !== undefined && typeof policy !== "string") throw wrong('"policy" is not a file name');
  return {
    ...(device === undefined ? {} : { device }),
    ...(policy === undefined ? {} : { policy: resolve(dirname(path), policy) }),
    boards,
    details,
    profiles,
    keys: files("keys"),
    ...(fields.has("artifactKeys") && { artifactKeys: files("artifactKeys") }),
    known: files("known"),
    plugins: files("plugins"),
    tuf: readTufPlaces(fields.get("tuf"), dirname(path), wrong),
  };
}

/** What is wrong with a part of the file, with the file's name before it. */
function inFile<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (
      !(
        cause instanceof PowerError ||
        cause instanceof ProfileError ||
        cause instanceof BoardDescriptionError
      )
    )
      throw cause;
    throw new ConfigError("bad-config", `${path}: ${cause.message}`, {
      cause,
      ...(cause.hint === undefined ? {} : { hint: cause.hint }),
    });
  }
}
