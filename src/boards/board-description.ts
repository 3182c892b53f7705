import { BootproofError } from "../errors.js";
import { type PowerConfig, readPower } from "../power/power.js";
import type { BoardProfile } from "../profiles/profile.js";
import { readProfiles } from "../profiles/read.js";

/** What a file says of one board: the config file's `boards` and a board file's rows of kind `attached` hold the same fields. */
export interface BoardDescription {
  /** Address or device selector. In files `device`, or `address`. */
  readonly device: string;
  /** Short name of the profile that holds for it. */
  readonly profile?: string;
  readonly power?: PowerConfig;
  /** How long the board lives on after power was taken away. In files `settle-ms`, within `power`. */
  readonly settleMs?: number;
  /** Address of the port that carries its log, where that is another one. */
  readonly log?: string;
  /** A command line for the shell that resets it: a probe's. */
  readonly reset?: string;
  /** Where the board itself tells which one it is: a setting, or a command of its shell. */
  readonly identity?: IdentitySource;
}

/** What a board is asked for its own serial number or chip id. */
export type IdentitySource = { readonly setting: string } | { readonly shell: string };

/** What is known of a board besides its address. */
export type BoardDetails = Omit<BoardDescription, "device">;

export interface BoardsConfig {
  /** Name -> address or device selector. */
  readonly boards: Record<string, string>;
  readonly details: Record<string, BoardDetails>;
}

/** The fields of {@link BoardDescription} as files have them. */
export const BOARD_FIELDS = ["device", "address", "profile", "power", "log", "reset", "identity"] as const;

/** A board is described by what cannot be. The message names the field. */
export class BoardDescriptionError extends BootproofError {
  declare readonly code: "bad-board";
  /** The field that is wrong, without its path. */
  readonly field: string;

  constructor(field: string, message: string, hint?: string) {
    super("bad-board", message, { hint });
    this.field = field;
  }
}

/** A board lives on for at most so long without power. */
const LONGEST_SETTLE_MS = 60_000;

/**
 * Reads one board: an address alone, `"1-1.4"`, or with details,
 * `{"device": "683001122", "profile": "nrf52840dk", "power": "hub"}`. `path` is where it stands, for messages.
 *
 * @param entry - a value out of JSON or YAML, not believed yet
 * @param path - where it stands, for messages
 * @returns the address and what else is known of the board
 * @throws BoardDescriptionError naming the field
 * @throws PowerError when its power switch is not one
 */
export function readBoardDescription(entry: unknown, path: string): BoardDescription {
  if (typeof entry === "string") return { device: entry };
  if (typeof entry !== "object" || entry === null || Array.isArray(entry))
    throw new BoardDescriptionError("", `"${path}" is neither an address nor an object.`);
  const fields = entry as Record<string, unknown>;
  const unknown = Object.keys(fields).find((key) => !BOARD_FIELDS.some((known) => known === key));
  if (unknown !== undefined)
    throw new BoardDescriptionError(
      unknown,
      `Unknown field "${path}.${unknown}".`,
      `Known here: ${BOARD_FIELDS.join(", ")}.`,
    );
  const text = (name: (typeof BOARD_FIELDS)[number]): string | undefined => {
    const value = fields[name];
    if (value === undefined) return undefined;
    if (typeof value === "string" && value !== "") return value;
    throw new BoardDescriptionError(name, `"${path}.${name}" is not text.`);
  };
  const device = text("device") ?? text("address");
  if (device === undefined)
    throw new BoardDescriptionError("device", `"${path}" names no device: field "device" is missing.`);
  const [profile, log, reset] = [text("profile"), text("log"), text("reset")];
  return {
    device,
    ...(profile === undefined ? {} : { profile }),
    ...(log === undefined ? {} : { log }),
    ...(reset === undefined ? {} : { reset }),
    ...(fields.identity === undefined ? {} : { identity: readIdentity(fields.identity, `${path}.identity`) }),
    ...readPowerAndSettling(fields.power, `${path}.power`),
  };
}

function readIdentity(value: unknown, path: string): IdentitySource {
  const [[kind, text] = [], ...more] =
    typeof value === "object" && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
  const isText = typeof text === "string" && text.trim() !== "" && text.length <= 100 && more.length === 0;
  if (isText && kind === "setting") return { setting: text };
  if (isText && kind === "shell") return { shell: text };
  throw new BoardDescriptionError(
    "identity",
    `"${path}" contains nothing that identifies a board.`,
    'Write {"setting": "id/serial"} or {"shell": "hwinfo devid"}.',
  );
}

function readPowerAndSettling(value: unknown, path: string): Pick<BoardDescription, "power" | "settleMs"> {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, "settle-ms"))
    return { power: readPower(value, path) };
  const { "settle-ms": settleMs, ...power } = value as Record<string, unknown>;
  const isTime =
    typeof settleMs === "number" &&
    Number.isInteger(settleMs) &&
    settleMs >= 0 &&
    settleMs <= LONGEST_SETTLE_MS;
  if (!isTime)
    throw new BoardDescriptionError(
      "power",
      `"${path}.settle-ms" should be a whole number from 0 to ${LONGEST_SETTLE_MS}.`,
    );
  return { power: readPower(power, path), settleMs };
}

/**
 * The `boards` of the config file: name -> board, see {@link readBoardDescription}.
 *
 * @throws BoardDescriptionError, PowerError
 */
export function readBoards(value: unknown): BoardsConfig {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new BoardDescriptionError("", '"boards" is not an object of name and address.');
  const boards: Record<string, string> = {};
  const details: Record<string, BoardDetails> = {};
  for (const [name, entry] of Object.entries(value)) {
    if (/\p{C}/u.test(name))
      throw new BoardDescriptionError(
        "",
        `A board's name contains a control character: ${JSON.stringify(name)}.`,
        "Write its name without control characters.",
      );
    if (looksLikeAddress(name))
      throw new BoardDescriptionError(
        "",
        `The board name "${name}" looks like an address: commands that mean that address would reach this board.`,
        "Give the board another name, such as bench-3.",
      );
    const { device, ...rest } = readBoardDescription(entry, `boards.${name}`);
    boards[name] = device;
    if (typeof entry !== "string") details[name] = rest;
  }
  return { boards, details };
}

/** A path, scheme, host, port, USB port or VID:PID: what `-d` takes for a device without a name. */
const ADDRESS_LIKE = [
  /[/\\:]/,
  /^(COM|cu\.|tty|pts)\d*/i,
  /^\d+(-\d+(\.\d+)*)?$/,
  /^\d+(\.\d+){3}$/,
  /^localhost$/i,
];

function looksLikeAddress(name: string): boolean {
  return ADDRESS_LIKE.some((pattern) => pattern.test(name));
}

/** The `profiles` of the config file. */
export function readOwnProfiles(value: unknown): BoardProfile[] {
  return value === undefined ? [] : readProfiles(value, "profiles");
}
