import { encodeCbor } from "../../src/smp/cbor.js";
import { consoleFraming } from "../../src/smp/framing/console.js";
import { type Header, joinMessage, readMessage } from "../../src/smp/header.js";
import { decodePayload } from "../../src/smp/message.js";
import { ChunkQueue } from "../../src/transport/chunk-queue.js";
import { type ByteStream, TransportError } from "../../src/transport/transport.js";

/** One request as the scripted device heard it. */
export interface HeardRequest {
  header: Header;
  fields: Record<string, unknown>;
  /** How many there were before it, repeats included. */
  index: number;
}

/**
 * A pipe to a device that misbehaves as a test says: firmware cannot be asked to answer late, twice, or with another's
 * sequence number. Only for faults; behaviour is tested on real firmware.
 */
export class ScriptedPipe implements ByteStream {
  readonly name = "scripted";
  readonly chunks = new ChunkQueue();
  readonly requests: HeardRequest[] = [];
  /** Every write, as it came. */
  readonly writes: Uint8Array[] = [];
  readonly #decoder = consoleFraming().decoder();
  readonly #script: (request: HeardRequest, pipe: ScriptedPipe) => void;
  /** Lines of one write that are heard; a server with few line buffers drops the rest. */
  linesPerWrite = Number.POSITIVE_INFINITY;
  closed = false;

  constructor(script: (request: HeardRequest, pipe: ScriptedPipe) => void = () => {}) {
    this.#script = script;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.writes.push(bytes.slice());
    const lines = Buffer.from(bytes)
      .toString("latin1")
      .split(/(?<=\n)/);
    const heard = Buffer.from(lines.slice(0, this.linesPerWrite).join(""), "latin1");
    for (const item of this.#decoder.push(heard)) {
      if (item.kind !== "message") continue;
      const { header, payload } = readMessage(item.bytes);
      const request = { header, fields: decodePayload(payload), index: this.requests.length };
      this.requests.push(request);
      this.#script(request, this);
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    this.chunks.end();
  }

  say(bytes: Uint8Array | string): void {
    this.chunks.push(Uint8Array.from(Buffer.from(bytes as string)));
  }

  /** Answers a request; `changes` make the answer wrong. */
  answer(request: HeardRequest, fields: Record<string, unknown>, changes: Partial<Header> = {}): void {
    this.say(this.answerBytes(request, fields, changes));
  }

  answerBytes(
    request: HeardRequest,
    fields: Record<string, unknown>,
    changes: Partial<Header> = {},
  ): Uint8Array {
    const op = request.header.op === "read" ? "read-rsp" : "write-rsp";
    return consoleFraming().encode(joinMessage({ ...request.header, op, ...changes }, encodeCbor(fields)));
  }

  /** The cable is pulled. */
  vanish(): void {
    this.chunks.fail(new TransportError("lost", this.name, "scripted went away"));
  }
}
