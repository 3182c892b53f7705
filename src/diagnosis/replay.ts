import { equal } from "../bytes.js";
import type { TraceRecord } from "../client/trace.js";
import { encodeCbor } from "../smp/cbor.js";
import { answers, decodeHeader, HEADER_SIZE, type Header, joinMessage, MessageError } from "../smp/header.js";

/** What a recorded device did with one request: nothing, an answer, or more than one message. */
interface Exchange {
  readonly request: Uint8Array;
  readonly header: Header;
  readonly received: readonly Uint8Array[];
}

export interface Replayed {
  /** Messages to send, in order. Empty where the recorded device kept silent. */
  readonly messages: readonly Uint8Array[];
  /** `recorded`: this request is in the trace; `unknown`: it is not, and is refused as an unknown command is. */
  readonly from: "recorded" | "unknown";
}

/** Where in a message the sequence number stands. */
const SEQ_AT = 6;
/** MGMT_ERR_ENOTSUP, what a server says to a command that it does not have. */
const ENOTSUP = 8;

/**
 * A device made of a trace: it answers each request as the recorded one did, in the order of the recording where a request
 * occurs several times. Requests are recognised by group, command, operation and payload; sequence numbers are the
 * caller's.
 */
export class Replay {
  readonly #exchanges: readonly Exchange[];
  /** Behind the exchange that was replayed last. */
  #next = 0;

  constructor(records: readonly (Pick<TraceRecord, "direction"> & { readonly bytes: Uint8Array })[]) {
    this.#exchanges = exchangesOf(records);
  }

  /** How many requests the trace has. */
  get size(): number {
    return this.#exchanges.length;
  }

  /** What the recorded device would send now. Throws MessageError when `message` is none. */
  answer(message: Uint8Array): Replayed {
    const header = decodeHeader(message);
    const index = this.#find(message, header);
    if (index === undefined) return { messages: [refusal(header)], from: "unknown" };
    this.#next = index + 1;
    const { received, header: recorded } = this.#exchanges[index]!;
    return {
      messages: received.map((bytes) => renumbered(bytes, recorded.seq, header.seq)),
      from: "recorded",
    };
  }

  /** The next exchange from here on with this request; behind the end it goes on at the beginning. */
  #find(message: Uint8Array, header: Header): number | undefined {
    const count = this.#exchanges.length;
    for (let step = 0; step < count; step++) {
      const index = (this.#next + step) % count;
      const exchange = this.#exchanges[index]!;
      if (isSame(exchange, message, header)) return index;
    }
    return undefined;
  }
}

function exchangesOf(
  records: readonly (Pick<TraceRecord, "direction"> & { readonly bytes: Uint8Array })[],
): Exchange[] {
  const exchanges: (Exchange & { received: Uint8Array[] })[] = [];
  for (const { direction, bytes } of records) {
    if (direction === "received") {
      // Answers to requests sent before this trace began belong to nothing.
      exchangeFor(bytes, exchanges)?.received.push(bytes);
      continue;
    }
    const header = headerOf(bytes);
    if (header) exchanges.push({ request: bytes, header, received: [] });
  }
  return exchanges;
}

/** The request that a message answers: the newest that fits, else the newest of all. */
function exchangeFor<E extends Exchange>(bytes: Uint8Array, exchanges: readonly E[]): E | undefined {
  const header = headerOf(bytes);
  const asked = header && exchanges.findLast((exchange) => answers(header, exchange.header));
  return asked ?? exchanges.at(-1);
}

function isSame({ request, header }: Exchange, message: Uint8Array, asked: Header): boolean {
  return (
    header.op === asked.op &&
    header.group === asked.group &&
    header.id === asked.id &&
    equal(request.subarray(HEADER_SIZE), message.subarray(HEADER_SIZE))
  );
}

/** The same message with the sequence number that the request of now has; a wrong one stays as wrong as it was. */
function renumbered(bytes: Uint8Array, recorded: number, now: number): Uint8Array {
  const copy = bytes.slice();
  if (copy.length > SEQ_AT) copy[SEQ_AT] = (copy[SEQ_AT]! - recorded + now + 256) % 256;
  return copy;
}

function refusal({ version, op, group, seq, id }: Header): Uint8Array {
  const answer = op === "read" ? "read-rsp" : "write-rsp";
  return joinMessage({ version, op: answer, group, seq, id }, encodeCbor({ rc: ENOTSUP }));
}

function headerOf(bytes: Uint8Array): Header | undefined {
  try {
    return decodeHeader(bytes);
  } catch (error) {
    // A broken message is worth replaying as an answer, but is no request.
    if (error instanceof MessageError) return undefined;
    throw error;
  }
}
