import { type ByteStream, TransportError } from "./transport.js";

/** A serial port. `dtr` and `rts` are set when the port opens; left out, both are on. */
export interface SerialAddress {
  readonly kind: "serial";
  readonly path: string;
  readonly baudRate: number;
  readonly dtr?: boolean;
  readonly rts?: boolean;
}

export interface TcpAddress {
  readonly kind: "tcp";
  readonly host: string;
  readonly port: number;
}

/** An emulated board to be started. `flash` is the file that keeps its flash; without one it forgets. */
export interface BoardAddress {
  readonly kind: "wasm" | "qemu";
  readonly variant: string;
  readonly flash?: string;
}

/** What {@link openStream} can open; boards are started by their own room. */
export type PipeAddress = SerialAddress | TcpAddress;
export type Address = PipeAddress | BoardAddress;

/** Baud of most boards' consoles; USB serial ports ignore it. */
export const DEFAULT_BAUD_RATE = 115200;
const MAX_BAUD_RATE = 20_000_000;

interface Scheme {
  /** How the address is written, for error messages. */
  readonly form: string;
  readonly options: readonly string[];
  read(body: string, options: ReadonlyMap<string, string>, text: string): Address;
}

/** The address schemes: a row each. To add one: a row here, and a case in {@link openStream} if it is a pipe. */
const SCHEMES: Readonly<Record<string, Scheme>> = {
  serial: { form: "serial:PATH?baud=115200", options: ["baud", "dtr", "rts"], read: readSerial },
  tcp: { form: "tcp:HOST:PORT", options: [], read: readTcp },
  wasm: {
    form: "wasm:VARIANT?flash=FILE",
    options: ["flash"],
    read: (body, options) => readBoard("wasm", body, options),
  },
  qemu: {
    form: "qemu:VARIANT?flash=FILE",
    options: ["flash"],
    read: (body, options) => readBoard("qemu", body, options),
  },
};

/** Every form an address can take, in the words of its scheme. */
export const ADDRESS_FORMS: readonly string[] = Object.values(SCHEMES).map((scheme) => scheme.form);

const BARE_PORT = /^(\/dev\/|COM\d|\\\\\.\\)/i;

/**
 * Reads an address: `serial:/dev/ttyACM0?baud=115200`, `tcp:127.0.0.1:5000`, `tcp:[::1]:5000`, `wasm:VARIANT`,
 * `qemu:VARIANT?flash=FILE`. A bare `/dev/...` or `COM3` is a serial port. Nothing is unescaped: a path is taken up to
 * the first `?`, an option up to the next `&`. Throws {@link TransportError} `bad-address`.
 */
export function parseAddress(text: string): Address {
  const full = BARE_PORT.test(text) ? `serial:${text}` : text;
  const colon = full.indexOf(":");
  const scheme = colon < 0 ? undefined : schemeNamed(full.slice(0, colon));
  if (!scheme) throw bad(text, "no such kind of address", `Known: ${ADDRESS_FORMS.join(", ")}.`);
  const [body = "", query] = splitOnce(full.slice(colon + 1), "?");
  if (body === "") throw bad(text, "nothing stands after the colon", `Write it as ${scheme.form}.`);
  return scheme.read(body, readOptions(query, scheme, text), text);
}

/** The address as {@link parseAddress} reads it; defaults are left out. */
export function formatAddress(address: Address): string {
  switch (address.kind) {
    case "serial": {
      const options: string[] = [];
      if (address.baudRate !== DEFAULT_BAUD_RATE) options.push(`baud=${address.baudRate}`);
      if (address.dtr !== undefined) options.push(`dtr=${address.dtr ? "on" : "off"}`);
      if (address.rts !== undefined) options.push(`rts=${address.rts ? "on" : "off"}`);
      return `serial:${address.path}${options.length > 0 ? `?${options.join("&")}` : ""}`;
    }
    case "tcp":
      return `tcp:${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
    case "wasm":
    case "qemu":
      return `${address.kind}:${address.variant}${address.flash === undefined ? "" : `?flash=${address.flash}`}`;
  }
}

/** True for addresses {@link openStream} opens; false for boards that have to be started. */
export function isPipe(address: Address): address is PipeAddress {
  return address.kind === "serial" || address.kind === "tcp";
}

/** Opens the pipe at `address`. Throws {@link TransportError}; abort throws the signal's reason. */
export async function openStream(
  address: PipeAddress,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<ByteStream> {
  switch (address.kind) {
    case "serial": {
      // Imported late: loading it loads native code, which a TCP or emulated board does without.
      const { openSerial } = await import("./serial.js");
      return openSerial(address, options);
    }
    case "tcp": {
      const { openTcp } = await import("./tcp.js");
      return openTcp(address.host, address.port, options);
    }
  }
}

function readSerial(path: string, options: ReadonlyMap<string, string>, text: string): SerialAddress {
  const baud = options.get("baud");
  const dtr = readSwitch("dtr", options, text);
  const rts = readSwitch("rts", options, text);
  return {
    kind: "serial",
    path,
    baudRate: baud === undefined ? DEFAULT_BAUD_RATE : readNumber(baud, "baud", MAX_BAUD_RATE, text),
    ...(dtr === undefined ? {} : { dtr }),
    ...(rts === undefined ? {} : { rts }),
  };
}

function readTcp(body: string, _options: ReadonlyMap<string, string>, text: string): TcpAddress {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):([^:]+)$/.exec(body);
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3];
  if (host === undefined || port === undefined) {
    throw bad(
      text,
      "host and port cannot be told apart",
      "Write tcp:HOST:PORT, an IPv6 host in brackets: tcp:[::1]:5000.",
    );
  }
  return { kind: "tcp", host, port: readNumber(port, "port", 65535, text) };
}

function readBoard(
  kind: BoardAddress["kind"],
  variant: string,
  options: ReadonlyMap<string, string>,
): BoardAddress {
  const flash = options.get("flash");
  return { kind, variant, ...(flash === undefined ? {} : { flash }) };
}

function readOptions(query: string | undefined, scheme: Scheme, text: string): Map<string, string> {
  const options = new Map<string, string>();
  for (const pair of query ? query.split("&") : []) {
    const [name = "", value] = splitOnce(pair, "=");
    if (!scheme.options.includes(name)) {
      const known =
        scheme.options.length > 0
          ? `Known here: ${scheme.options.join(", ")}.`
          : "This kind takes no options.";
      throw bad(text, `no option "${name}"`, known);
    }
    if (!value) throw bad(text, `option "${name}" has no value`, `Write ${name}=VALUE.`);
    options.set(name, value);
  }
  return options;
}

function readNumber(value: string, name: string, max: number, text: string): number {
  const number = /^[0-9]{1,9}$/.test(value) ? Number(value) : 0;
  if (number < 1 || number > max) throw bad(text, `${name} "${value}" is not a number from 1 to ${max}`);
  return number;
}

function readSwitch(name: string, options: ReadonlyMap<string, string>, text: string): boolean | undefined {
  const value = options.get(name);
  if (value === undefined) return undefined;
  if (value !== "on" && value !== "off") throw bad(text, `${name} is "on" or "off", not "${value}"`);
  return value === "on";
}

function schemeNamed(name: string): Scheme | undefined {
  return Object.hasOwn(SCHEMES, name) ? SCHEMES[name] : undefined;
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function bad(text: string, why: string, hint?: string): TransportError {
  return new TransportError("bad-address", text, `"${text}" is not an address: ${why}.`, { hint });
}
