import type { TokenOption } from "./bridge-token.js";

export type { TokenOption } from "./bridge-token.js";

/** The framing the board behind the pipe is known to speak; left out, it is found out. */
export interface FramingOption {
  readonly framing?: "console" | "raw";
}

/** A line of a serial port. `dtr` and `rts` are set when the port opens; left out, both are on. */
export interface LineOptions {
  readonly baudRate: number;
  readonly dtr?: boolean;
  readonly rts?: boolean;
}

export interface SerialAddress extends FramingOption, LineOptions {
  readonly kind: "serial";
  readonly path: string;
}

/** A serial port of this machine by what it is and not by its name of today; see `devices/open.ts`. */
export interface PortAddress extends FramingOption, LineOptions {
  readonly kind: "port";
  readonly selector: string;
  /** USB interface number, to tell the ports of one board apart. */
  readonly usbInterface?: number;
}

export interface TcpAddress extends FramingOption, TokenOption {
  readonly kind: "tcp";
  readonly host: string;
  readonly port: number;
}

/** A serial port of another machine, by RFC 2217: baud and control lines are set over there. */
export interface Rfc2217Address extends FramingOption, LineOptions {
  readonly kind: "rfc2217";
  readonly host: string;
  readonly port: number;
}

/** A CDC-ACM port of a USB board by what the board is, without the kernel's driver; see `openUsbCdc`. */
export interface UsbAddress extends FramingOption, LineOptions {
  readonly kind: "usb";
  readonly vendorId: number;
  readonly productId: number;
  readonly serialNumber?: string;
  /** Bus and ports it is plugged into, e.g. `1-1.4`: tells boards without a serial number apart. */
  readonly usbPort?: string;
  /** USB interface number of the port's control interface. */
  readonly usbInterface?: number;
}

/** Datagrams. */
export interface UdpAddress extends TokenOption {
  readonly kind: "udp";
  readonly host: string;
  readonly port: number;
}

/** An emulated board to be started. `flash` is the file that keeps its flash; without one it forgets. */
export interface BoardAddress {
  readonly kind: "wasm" | "qemu";
  readonly variant: string;
  readonly flash?: string;
}

/** What {@link openStream} can open. */
export type WireAddress = SerialAddress | TcpAddress | Rfc2217Address | UsbAddress | UdpAddress;
/** What leads to a pipe, once it is known which port is meant; boards are started by their own room. */
export type PipeAddress = WireAddress | PortAddress;
export type Address = PipeAddress | BoardAddress;

/** Baud of most boards' consoles; USB serial ports ignore it. */
export const DEFAULT_BAUD_RATE = 115200;

/**
 * The address as {@link parseAddress} reads it; defaults are left out.
 *
 * @param address - by {@link parseAddress}
 * @returns text that reads back as the same
 */
export function formatAddress(address: Address): string {
  switch (address.kind) {
    case "serial":
      return `serial:${address.path}${lineQuery(address)}`;
    case "port":
      return `port:${address.selector}${lineQuery(address)}`;
    case "tcp":
      return `tcp:${formatHost(address)}${query({ framing: address.framing, ...tokenQuery(address) }, ["framing", "token", "token-file"])}`;
    case "rfc2217":
      return `rfc2217:${formatHost(address)}${lineQuery(address)}`;
    case "usb":
      return formatUsb(address);
    case "udp":
      return `udp:${formatHost(address)}${query(tokenQuery(address), ["token", "token-file"])}`;
    case "wasm":
    case "qemu":
      return `${address.kind}:${address.variant}${address.flash === undefined ? "" : `?flash=${address.flash}`}`;
  }
}

/**
 * True for addresses {@link openStream} opens; false for boards that have to be started.
 *
 * @param address - by {@link parseAddress}
 * @returns false for `wasm:` and `qemu:`
 */
export function isPipe<A extends Address>(address: A): address is Exclude<A, BoardAddress> {
  return address.kind !== "wasm" && address.kind !== "qemu";
}

/** The options that are there, in this order. */
function query<K extends string>(
  address: { readonly [key in K]?: string | undefined },
  names: readonly K[],
): string {
  const options = names.flatMap((name) => (address[name] === undefined ? [] : `${name}=${address[name]}`));
  return options.length > 0 ? `?${options.join("&")}` : "";
}

function lineQuery(line: FramingOption & LineOptions & { readonly usbInterface?: number }): string {
  const options: string[] = [];
  if (line.baudRate !== DEFAULT_BAUD_RATE) options.push(`baud=${line.baudRate}`);
  if (line.dtr !== undefined) options.push(`dtr=${line.dtr ? "on" : "off"}`);
  if (line.rts !== undefined) options.push(`rts=${line.rts ? "on" : "off"}`);
  if (line.usbInterface !== undefined) options.push(`interface=${line.usbInterface}`);
  if (line.framing !== undefined) options.push(`framing=${line.framing}`);
  return options.length > 0 ? `?${options.join("&")}` : "";
}

function formatHost({ host, port }: { host: string; port: number }): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

const tokenQuery = ({ tokenFile, tokenFromEnvironment }: TokenOption) => ({
  token: tokenFromEnvironment ? "env" : undefined,
  "token-file": tokenFile,
});

function formatUsb(address: UsbAddress): string {
  const ids = [address.vendorId, address.productId].map((id) => id.toString(16).padStart(4, "0")).join(":");
  const serial = address.serialNumber === undefined ? "" : `:${address.serialNumber}`;
  const query = lineQuery(address);
  const port = address.usbPort === undefined ? "" : `${query === "" ? "?" : "&"}port=${address.usbPort}`;
  return `usb:${ids}${serial}${query}${port}`;
}
