import { encodeCbor } from "../../src/smp/cbor.js";
import { consoleFraming } from "../../src/smp/framing/console.js";
import { type Header, joinMessage, readMessage } from "../../src/smp/header.js";
import { decodePayload } from "../../src/smp/message.js";
import { type ByteStream, TransportError } from "../../src/transport/transport.js";

/** A message on its way between the client and the real firmware. */
export interface Passing {
  direction: "to-board" | "to-host";
  header: Header;
  fields: Record<string, unknown>;
  /** How many went the same way before it. */
  index: number;
}

/** What becomes of it: passes, is lost, arrives damaged, goes on with other fields, or the cable is pulled in its place. */
export type Fate = "pass" | "drop" | "damage" | "pull-cable" | { fields: Record<string, unknown> };
export type Fault = (message: Passing) => Fate;

/** True for requests and answers of "image upload". */
export const isUpload = ({ header }: Passing) => header.group === 1 && header.id === 1;
/** True for requests and answers of "os reset". */
export const isReset = ({ header }: Passing) => header.group === 0 && header.id === 5;

/**
 * A bad cable in front of a real board: `fault` decides what happens to each message. Text between messages passes. When
 * the cable is pulled this pipe is dead; the board goes on, and a new pipe reaches it.
 */
export class BadCable implements ByteStream {
  readonly name: string;
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly #inner: ByteStream;
  readonly #fault: Fault;
  readonly #counts = { "to-board": 0, "to-host": 0 };
  readonly #toBoard = consoleFraming().decoder();
  readonly #toHost = consoleFraming().decoder();
  #pulled: TransportError | undefined;
  #sayPulled: () => void = () => {};

  constructor(inner: ByteStream, fault: Fault) {
    this.name = inner.name;
    this.#inner = inner;
    this.#fault = fault;
    this.chunks = this.#listen();
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#pulled) throw this.#pulled;
    for (const item of this.#toBoard.push(bytes)) {
      if (item.kind !== "message") continue;
      for (const out of this.#pass("to-board", item.bytes)) await this.#inner.write(out);
    }
    if (this.#pulled) throw this.#pulled;
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async *#listen(): AsyncGenerator<Uint8Array, void, void> {
    const inner = this.#inner.chunks[Symbol.asyncIterator]();
    const pulled = new Promise<"pulled">((resolve) => {
      this.#sayPulled = () => resolve("pulled");
    });
    for (;;) {
      const next = await Promise.race([inner.next(), pulled]);
      if (next === "pulled") throw this.#pulled;
      if (next.done) return;
      for (const item of this.#toHost.push(next.value)) {
        if (item.kind === "text") yield Buffer.from(`${item.text}\n`);
        if (item.kind === "message") yield* this.#pass("to-host", item.bytes);
      }
      if (this.#pulled) throw this.#pulled;
    }
  }

  #pass(direction: Passing["direction"], message: Uint8Array): Uint8Array[] {
    const { header, payload } = readMessage(message);
    const outcome = this.#fault({
      direction,
      header,
      fields: decodePayload(payload),
      index: this.#counts[direction]++,
    });
    const { length: _length, ...rest } = header as Header & { length?: number };
    if (typeof outcome === "object")
      return [consoleFraming().encode(joinMessage(rest, encodeCbor(outcome.fields)))];
    const bytes = consoleFraming().encode(message);
    if (outcome === "pass") return [bytes];
    if (outcome === "damage") {
      // A letter in the middle: the line still is a line, its CRC says that it is damaged.
      const at = bytes.length >> 1;
      bytes[at] = bytes[at] === 0x41 ? 0x42 : 0x41;
      return [bytes];
    }
    if (outcome === "pull-cable") {
      this.#pulled = new TransportError("lost", this.name, `${this.name} disconnected.`);
      void this.#inner.close();
      this.#sayPulled();
    }
    return [];
  }
}
