import { BootproofError } from "../errors.js";

/** Something that can take a board's power away and give it back. */
export interface PowerSwitch {
  /** How it switches; left out by one that a caller made. */
  readonly kind?: PowerConfig["kind"];
  /** In words: `port 4 of hub 1-1`. */
  readonly name: string;
  /** What it does, before it does it. */
  describe(action: "on" | "off"): string;
  /** Resolves when the switch has acted, which does not prove that the board lost power. Throws {@link PowerError}. */
  off(signal?: AbortSignal): Promise<void>;
  on(signal?: AbortSignal): Promise<void>;
}

export type PowerErrorCode =
  /** The switch is not described as one. */
  | "bad-power"
  /** No way to switch this port on this machine. */
  | "no-switch"
  /** The command, relay or hub refused or failed. */
  | "switch-failed"
  /** The switch acted and the board stayed alive. */
  | "still-powered"
  /** It went away and did not come back. */
  | "not-back";

export class PowerError extends BootproofError {
  declare readonly code: PowerErrorCode;
}

/** How a board's power is switched, as the config file has it. */
export type PowerConfig =
  /** Command lines for a shell. */
  | { readonly kind: "command"; readonly on: string; readonly off: string }
  /** A relay with a web interface. */
  | { readonly kind: "http"; readonly on: HttpCall; readonly off: HttpCall }
  /** The USB port that the board hangs on. Left out: the one it is plugged into. */
  | { readonly kind: "hub"; readonly usbPort?: string };

export interface HttpCall {
  readonly url: string;
  /** Default GET. */
  readonly method?: string;
  readonly body?: string;
}

/**
 * Reads a switch, as the config file and board files have it: `{"command": {"on": "...", "off": "..."}}`,
 * `{"http": {"on": "URL", "off": "URL"}}` or `{"hub": "1-1.4"}`; `"hub"` alone means the port that the board is plugged into.
 * `{"on": "...", "off": "..."}` is the older form of a command. `field` is named in messages.
 *
 * @param value - out of JSON or YAML, not believed yet
 * @param field - where it stands, for messages
 * @returns which kind of switch, and its words
 * @throws PowerError `bad-power`
 */
export function readPower(value: unknown, field: string): PowerConfig {
  if (value === "hub") return { kind: "hub" };
  const given = typeof value === "object" && value !== null ? Object.entries(value) : [];
  const isOldForm = given.length === 2 && given.every(([key]) => key === "on" || key === "off");
  const [kind, inner] = isOldForm ? ["command", value] : given.length === 1 ? given[0]! : [];
  if (kind === "hub" && typeof inner === "string" && /^\d+-\d+(\.\d+)*$/.test(inner))
    return { kind: "hub", usbPort: inner };
  const { on, off } = (typeof inner === "object" && inner !== null ? inner : {}) as Record<string, unknown>;
  if (kind === "command" && typeof on === "string" && typeof off === "string")
    return { kind: "command", on, off };
  const [onCall, offCall] = [readCall(on), readCall(off)];
  if (kind === "http" && onCall && offCall) return { kind: "http", on: onCall, off: offCall };
  const [name, wrong] = kind === "http" ? (onCall ? ["off", off] : ["on", on]) : [];
  throw new PowerError(
    "bad-power",
    typeof wrong === "string"
      ? `"${field}.http.${name}": "${wrong}" is not a web address.`
      : `${field} is not a switch.`,
    {
      hint: 'Write {"command": {"on": "...", "off": "..."}}, {"http": {"on": "URL", "off": "URL"}} or {"hub": "1-1.4"}.',
    },
  );
}

function readCall(value: unknown): HttpCall | undefined {
  if (typeof value === "string") return isWeb(value) ? { url: value } : undefined;
  if (typeof value !== "object" || value === null) return undefined;
  const { url, method, body, ...rest } = value as Record<string, unknown>;
  const plain = Object.keys(rest).length === 0 && typeof url === "string" && isWeb(url);
  if (!plain || (method !== undefined && typeof method !== "string")) return undefined;
  if (body !== undefined && typeof body !== "string") return undefined;
  return { url, ...(method === undefined ? {} : { method }), ...(body === undefined ? {} : { body }) };
}

function isWeb(url: string): boolean {
  return /^https?:\/\//i.test(url) && URL.canParse(url);
}
