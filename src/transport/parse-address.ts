import {
  type Address,
  type BoardAddress,
  DEFAULT_BAUD_RATE,
  type FramingOption,
  type LineOptions,
  type UsbAddress,
} from "./address.js";
import type { TokenOption } from "./bridge-token.js";
import { portPath } from "./list.js";
import { TransportError } from "./transport.js";

const MAX_BAUD_RATE = 20_000_000;

interface Scheme {
  /** How the address is written, for error messages. */
  readonly form: string;
  readonly options: readonly string[];
  read(body: string, options: ReadonlyMap<string, string>, text: string): Address;
}

const LINE_OPTIONS = ["baud", "dtr", "rts", "framing"] as const;

/** CONFIG_MCUMGR_TRANSPORT_UDP_PORT where nobody changed it. */
const SMP_UDP_PORT = 1337;

/** The address schemes: a row each. To add one: a row here, and a case in {@link openStream} if it is a pipe. */
const SCHEMES: Readonly<Record<string, Scheme>> = {
  serial: {
    form: "serial:PATH?baud=115200",
    options: LINE_OPTIONS,
    read: (path, options, text) => ({ kind: "serial", path: portPath(path), ...readLine(options, text) }),
  },
  port: {
    form: "port:SERIAL-NUMBER, port:VID:PID or port:NAME",
    options: [...LINE_OPTIONS, "interface"],
    read: (selector, options, text) => ({
      kind: "port",
      selector,
      ...readLine(options, text),
      ...given("usbInterface", readInterface(options, text)),
    }),
  },
  tcp: {
    form: "tcp:HOST:PORT",
    options: ["framing", "token", "token-file"],
    read: (body, options, text) => ({
      kind: "tcp",
      ...readHost("tcp", body, text),
      ...readFraming(options, text),
      ...readToken(options, text),
    }),
  },
  rfc2217: {
    form: "rfc2217:HOST:PORT?baud=115200",
    options: LINE_OPTIONS,
    read: (body, options, text) => ({
      kind: "rfc2217",
      ...readHost("rfc2217", body, text),
      ...readLine(options, text),
    }),
  },
  usb: {
    form: "usb:VID:PID or usb:VID:PID:SERIAL-NUMBER",
    options: [...LINE_OPTIONS, "interface", "port"],
    read: readUsb,
  },
  udp: {
    form: "udp:HOST:PORT",
    options: ["token", "token-file"],
    read: (body, options, text) => ({
      kind: "udp",
      ...readHost("udp", body, text, SMP_UDP_PORT),
      ...readToken(options, text),
    }),
  },
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
 * Reads an address: `serial:/dev/ttyACM0?baud=115200`, `port:1366:1051?interface=2`, `tcp:127.0.0.1:5000`,
 * `tcp:[::1]:5000`, `rfc2217:bench:2217?baud=1000000`, `usb:2fe3:0004:SERIAL`, `udp:192.0.2.7:1337`, `wasm:VARIANT`,
 * `qemu:VARIANT?flash=FILE`. A bare `/dev/..` or `COM3` is a serial port. Nothing is unescaped: a path is taken up
 * to the first `?`, an option up to the next `&`.
 *
 * @param text - as somebody typed it
 * @returns with the options that it names
 * @throws {@link TransportError} `bad-address`
 */
export function parseAddress(text: string): Address {
  const full = BARE_PORT.test(text) ? `serial:${text}` : text;
  const colon = full.indexOf(":");
  const scheme = colon < 0 ? undefined : schemeNamed(full.slice(0, colon));
  if (!scheme) throw bad(text, "no such kind of address", `Known: ${ADDRESS_FORMS.join(", ")}.`);
  const [body = "", query] = splitOnce(full.slice(colon + 1), "?");
  if (body === "") throw bad(text, "nothing follows the colon", `Write it as ${scheme.form}.`);
  return scheme.read(body, readOptions(query, scheme, text), text);
}

function readLine(options: ReadonlyMap<string, string>, text: string): LineOptions & FramingOption {
  const baud = options.get("baud");
  return {
    baudRate: baud === undefined ? DEFAULT_BAUD_RATE : readNumber(baud, "baud", MAX_BAUD_RATE, text),
    ...given("dtr", readSwitch("dtr", options, text)),
    ...given("rts", readSwitch("rts", options, text)),
    ...readFraming(options, text),
  };
}

function readFraming(options: ReadonlyMap<string, string>, text: string): FramingOption {
  const framing = options.get("framing");
  if (framing === undefined) return {};
  if (framing === "console" || framing === "raw") return { framing };
  throw bad(text, `framing is "console" or "raw", not "${framing}"`, "If omitted, it is detected.");
}

/** The token itself never stands in an address: those are in the process list, in configs, logs and reports. */
function readToken(options: ReadonlyMap<string, string>, text: string): TokenOption {
  const token = options.get("token");
  if (token !== undefined && token !== "env") {
    const shown = text.replace(/([?&]token=)[^&]*/g, "$1...");
    throw bad(
      shown,
      "everybody could see a token there",
      "Write token-file=FILE with a file that holds it, or token=env and set BOOTPROOF_TOKEN.",
    );
  }
  return {
    ...(token === "env" && { tokenFromEnvironment: true as const }),
    ...given("tokenFile", options.get("token-file")),
  };
}

function readInterface(options: ReadonlyMap<string, string>, text: string): number | undefined {
  const value = options.get("interface");
  if (value === undefined) return undefined;
  if (!/^\d{1,3}$/.test(value) || Number(value) > 255)
    throw bad(text, `interface "${value}" is not a number from 0 to 255`);
  return Number(value);
}

function readUsb(body: string, options: ReadonlyMap<string, string>, text: string): UsbAddress {
  const match = /^([0-9a-f]{4}):([0-9a-f]{4})(?::(.+))?$/i.exec(body);
  if (!match) throw bad(text, "vendor and product are four hex digits each", "Write usb:2fe3:0004.");
  return {
    kind: "usb",
    vendorId: Number.parseInt(match[1]!, 16),
    productId: Number.parseInt(match[2]!, 16),
    ...given("serialNumber", match[3]),
    ...given("usbPort", options.get("port")),
    ...given("usbInterface", readInterface(options, text)),
    ...readLine(options, text),
  };
}

function readHost(
  scheme: string,
  body: string,
  text: string,
  usualPort?: number,
): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]/]+))(?::([^:]+))?$/.exec(body);
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] ?? usualPort?.toString();
  if (host === undefined || port === undefined) {
    throw bad(
      text,
      "host and port cannot be told apart",
      `Write ${scheme}:HOST:PORT, an IPv6 host in brackets: ${scheme}:[::1]:5000.`,
    );
  }
  return { host, port: readNumber(port, "port", 65535, text) };
}

function readBoard(
  kind: BoardAddress["kind"],
  variant: string,
  options: ReadonlyMap<string, string>,
): BoardAddress {
  return { kind, variant, ...given("flash", options.get("flash")) };
}

/** The field, or nothing at all when there is no value. */
function given<K extends string, V>(name: K, value: V | undefined): { [key in K]?: V } {
  return value === undefined ? {} : ({ [name]: value } as { [key in K]?: V });
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
