import { concat, u8, u16le } from "../bytes.js";

export interface UsbEndpoint {
  /** Without the direction bit. */
  readonly number: number;
  readonly toHost: boolean;
  readonly kind: "control" | "isochronous" | "bulk" | "interrupt";
  readonly maxPacket: number;
}

/** One alternate setting of an interface. */
export interface UsbInterface {
  readonly number: number;
  readonly alternate: number;
  readonly class: number;
  readonly subclass: number;
  readonly protocol: number;
  /** Number of the text that names it; 0 is none. */
  readonly nameIndex: number;
  readonly endpoints: readonly UsbEndpoint[];
  /** Descriptors of its class, as they stand between its own and the next interface's. */
  readonly extra: Uint8Array;
}

/** USB 2.0, table 9-5. */
export const DESCRIPTOR_TYPE = { configuration: 2, string: 3, interface: 4, endpoint: 5 } as const;

const LENGTH = { configuration: 9, interface: 9, endpoint: 7 } as const;
const KINDS = ["control", "isochronous", "bulk", "interrupt"] as const;

/** More than any board has; a device that declares more is not believed. */
const MOST_INTERFACES = 64;

interface Draft extends UsbInterface {
  endpoints: UsbEndpoint[];
  extra: Uint8Array;
}

/**
 * The interfaces of a configuration descriptor, every alternate setting, in the device's order. The bytes are the
 * device's and may lie: reading stops where they stop making sense, and what came before counts.
 */
export function readInterfaces(bytes: Uint8Array): UsbInterface[] {
  const found: Draft[] = [];
  for (const [type, body] of descriptors(bytes)) {
    const current = found.at(-1);
    if (type === DESCRIPTOR_TYPE.interface && body.length >= LENGTH.interface) {
      if (found.length === MOST_INTERFACES) break;
      found.push(readInterface(body));
    } else if (type === DESCRIPTOR_TYPE.endpoint && body.length >= LENGTH.endpoint) {
      current?.endpoints.push(readEndpoint(body));
    } else if (current) {
      current.extra = concat(current.extra, body);
    }
  }
  return found;
}

/** Descriptors one after the other, each with its type; ends at the first whose length cannot be. */
export function* descriptors(bytes: Uint8Array): Generator<[type: number, body: Uint8Array]> {
  for (let at = 0; at + 2 <= bytes.length; ) {
    const length = u8(bytes, at);
    if (length < 2 || at + length > bytes.length) return;
    yield [u8(bytes, at + 1), bytes.subarray(at, at + length)];
    at += length;
  }
}

/** A string descriptor's text, cleaned of what could steer a terminal; undefined when it is none or says nothing. */
export function readText(bytes: Uint8Array): string | undefined {
  if (bytes.length < 2 || u8(bytes, 1) !== DESCRIPTOR_TYPE.string) return undefined;
  const end = Math.min(u8(bytes, 0), bytes.length);
  return cleanText(new TextDecoder("utf-16le").decode(bytes.subarray(2, end - (end % 2))));
}

/** Longest text of a USB string descriptor. */
const MAX_TEXT = 126;

/** A text that a device chose: bounded, without control characters; undefined when nothing is left. */
export function cleanText(text: string | null | undefined): string | undefined {
  return (text ?? "").slice(0, MAX_TEXT).replace(/\p{C}/gu, " ").trim() || undefined;
}

function readInterface(body: Uint8Array): Draft {
  return {
    number: u8(body, 2),
    alternate: u8(body, 3),
    class: u8(body, 5),
    subclass: u8(body, 6),
    protocol: u8(body, 7),
    nameIndex: u8(body, 8),
    endpoints: [],
    extra: new Uint8Array(0),
  };
}

function readEndpoint(body: Uint8Array): UsbEndpoint {
  const address = u8(body, 2);
  return {
    number: address & 0x0f,
    toHost: (address & 0x80) !== 0,
    kind: KINDS[u8(body, 3) & 3]!,
    // The bits above count transactions per microframe.
    maxPacket: u16le(body, 4) & 0x7ff,
  };
}
