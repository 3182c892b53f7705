import { type PowerConfig, readPower } from "../power/power.js";
import type { BoardProfile } from "../profiles/profile.js";
import { readProfiles } from "../profiles/read.js";

/** What the config file says of a board besides its address. */
export interface BoardDetails {
  /** Short name of the profile that holds for it. */
  readonly profile?: string;
  readonly power?: PowerConfig;
}

export interface BoardsConfig {
  /** Name -> address or device selector. */
  readonly boards: Record<string, string>;
  readonly details: Record<string, BoardDetails>;
}

type Complain = (what: string) => Error;

const KNOWN = ["device", "profile", "power"];

/**
 * The `boards` of the config file: `"bench-3": "1-1.4"`, or with details
 * `"bench-3": {"device": "683001122", "profile": "nrf52840dk", "power": "hub"}`.
 * Throws what `wrong` makes, PowerError and ProfileError.
 */
export function readBoards(value: unknown, wrong: Complain): BoardsConfig {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw wrong('"boards" is not an object of name and address');
  const boards: Record<string, string> = {};
  const details: Record<string, BoardDetails> = {};
  for (const [name, entry] of Object.entries(value)) {
    if (typeof entry === "string") {
      boards[name] = entry;
      continue;
    }
    const { device, ...rest } = readEntry(name, entry, wrong);
    boards[name] = device;
    details[name] = rest;
  }
  return { boards, details };
}

function readEntry(name: string, entry: unknown, wrong: Complain): BoardDetails & { device: string } {
  const field = `boards.${name}`;
  if (typeof entry !== "object" || entry === null || Array.isArray(entry))
    throw wrong(`"${field}" is neither an address nor an object`);
  const unknown = Object.keys(entry).find((key) => !KNOWN.includes(key));
  if (unknown !== undefined) throw wrong(`unknown field "${field}.${unknown}"`);
  const { device, profile, power } = entry as Record<string, unknown>;
  if (typeof device !== "string" || device === "") throw wrong(`"${field}.device" is not text`);
  if (profile !== undefined && typeof profile !== "string") throw wrong(`"${field}.profile" is not text`);
  return {
    device,
    ...(profile === undefined ? {} : { profile }),
    ...(power === undefined ? {} : { power: readPower(power, `${field}.power`) }),
  };
}

/** The `profiles` of the config file. */
export function readOwnProfiles(value: unknown): BoardProfile[] {
  return value === undefined ? [] : readProfiles(value, "profiles");
}
