import { readFileSync } from "node:fs";
import { fromHex } from "../../src/bytes.js";

/** A message somebody else made. */
export interface Golden {
  name: string;
  message: Uint8Array;
  crc: number;
  /** Its console lines. */
  wire: Uint8Array;
  value: Record<string, unknown>;
}

export interface Side {
  message: Uint8Array;
  /** Console lines as recorded; two when servers split them differently, none for raw and datagram links. */
  wire: Uint8Array[];
  value: Record<string, unknown>;
}

/** A request and what a server that nobody here wrote answered; without a response, it was silent. */
export interface Exchange {
  name: string;
  /** Targets and sessions this was recorded on. */
  on: string[];
  request: Side;
  response: Side | undefined;
}

interface StoredSide {
  hex: string;
  wire?: string[];
  value: Record<string, unknown>;
}

export function goldenMessages(): Golden[] {
  const stored = load("golden.json") as {
    messages: { name: string; hex: string; crc: number; wire: string; value: Record<string, unknown> }[];
  };
  return stored.messages.map(({ name, hex, crc, wire, value }) => ({
    name,
    message: fromHex(hex),
    crc,
    wire: latin1(wire),
    value: withBytes(value) as Record<string, unknown>,
  }));
}

export function recordedExchanges(): Exchange[] {
  const stored = load("zephyr-4.4.json") as {
    exchanges: { name: string; on: string[]; request: StoredSide; response?: StoredSide }[];
  };
  return stored.exchanges.map(({ name, on, request, response }) => ({
    name,
    on,
    request: side(request),
    response: response && side(response),
  }));
}

export function latin1(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}

function side({ hex, wire, value }: StoredSide): Side {
  return {
    message: fromHex(hex),
    wire: (wire ?? []).map(latin1),
    value: withBytes(value) as Record<string, unknown>,
  };
}

/** `{"$bytes": hex}` becomes the bytes. */
function withBytes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withBytes);
  if (typeof value !== "object" || value === null) return value;
  if ("$bytes" in value) return fromHex(value.$bytes as string);
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, withBytes(entry)]));
}

function load(file: string): unknown {
  return JSON.parse(readFileSync(new URL(`../vectors/smp/${file}`, import.meta.url), "utf8"));
}
