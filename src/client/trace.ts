import { toHex } from "../bytes.js";
import { type Header, readMessage } from "../smp/header.js";
import { type Json, toJson } from "../smp/json.js";
import { decodePayload } from "../smp/message.js";

export { type Json, toJson } from "../smp/json.js";

/** One message, as it went over the wire. `hex` and `payload` together make a test vector. */
export interface TraceRecord {
  readonly direction: "sent" | "received";
  /** Milliseconds since 1970. */
  readonly at: number;
  /** The command it belongs to; absent for what nobody waited for. */
  readonly command?: string;
  /** Header and payload. */
  readonly hex: string;
  /** Absent when the bytes are no message. */
  readonly header?: Header;
  /** Absent when the payload is no CBOR map. */
  readonly payload?: Json;
}

/** Receives every message sent and heard. Must not throw. */
export type TraceSink = (record: TraceRecord) => void;

export function traceRecord(
  direction: TraceRecord["direction"],
  message: Uint8Array,
  command: string | undefined,
  at: number,
): TraceRecord {
  const named = command === undefined ? {} : { command };
  return { direction, at, ...named, hex: toHex(message), ...contents(message) };
}

function contents(message: Uint8Array): Pick<TraceRecord, "header" | "payload"> {
  try {
    const { header, payload } = readMessage(message);
    try {
      return { header, payload: toJson(decodePayload(payload)) };
    } catch {
      // Payloads of user groups need not be CBOR; `hex` has them.
      return { header };
    }
  } catch {
    // Broken messages are what traces are read for; `hex` has it.
    return {};
  }
}
