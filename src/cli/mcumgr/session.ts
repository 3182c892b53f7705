import { encodeCbor } from "../../smp/cbor.js";
import { consoleFraming } from "../../smp/framing/console.js";
import { type Header, joinMessage, readMessage } from "../../smp/header.js";
import { decodePayload } from "../../smp/message.js";
import type { ByteStream } from "../../transport/transport.js";
import { Answer } from "./answer.js";
import { McumgrFailure } from "./failure.js";
import type { McumgrIo } from "./io.js";
import type { Request, Watch } from "./request.js";

export type { Request } from "./request.js";

export interface SessionOptions {
  /** The longest request that goes out, header included, bytes. */
  readonly mtu: number;
  /** Characters of base64 a console line holds; undefined where each message is a datagram. */
  readonly lineLength?: number;
  readonly seconds: number;
  readonly tries: number;
  readonly watch?: Watch | undefined;
}

/** A link with an SMP server, one request at a time: SMP version 0, as mcumgr speaks it. */
export class Session {
  readonly mtu: number;
  readonly #pipe: ByteStream;
  readonly #io: McumgrIo;
  readonly #options: SessionOptions;
  #seq = Math.floor(Math.random() * 256);
  #heard: (message: Uint8Array) => void = () => {};
  #failed: (error: unknown) => void = () => {};
  #failure: unknown;

  constructor(pipe: ByteStream, io: McumgrIo, options: SessionOptions) {
    this.#pipe = pipe;
    this.#io = io;
    this.#options = options;
    this.mtu = options.mtu;
    void this.#listen();
  }

  /** Bytes that a request takes on the link, its header included. Uses up a sequence number, as in mcumgr. */
  sizeOf(request: Request): number {
    return this.#encode(request, this.#nextSeq()).length;
  }

  /** As {@link sizeOf}, without using up a number. */
  measure(request: Request): number {
    return this.#encode(request, this.#seq).length;
  }

  /**
   * Sends a request, again after each timeout, and hands its answer to `read`. What `read` refuses counts as not heard.
   * Throws {@link McumgrFailure}.
   */
  async ask<T>(request: Request, read: (answer: Answer) => T, leastTries = 1): Promise<T> {
    let last: Answer | undefined;
    const asked = this.#ask(
      request,
      (answer) => {
        const value = read(answer);
        last = answer;
        return value;
      },
      leastTries,
    );
    this.#options.watch?.(
      request,
      asked.then(() => last!),
    );
    return asked;
  }

  async #ask<T>(request: Request, read: (answer: Answer) => T, leastTries: number): Promise<T> {
    const seq = this.#nextSeq();
    const message = this.#encode(request, seq);
    if (message.length > this.mtu) throw new McumgrFailure("Request too big");
    const framed = this.#frame(message);
    const { seconds, tries } = this.#options;
    for (let left = Math.max(leastTries, tries); left > 0; left--) {
      const answer = await this.#once(framed, request, seq, seconds, read);
      if (answer !== undefined) return answer.read;
    }
    throw new McumgrFailure("NMP timeout");
  }

  close(): Promise<void> {
    return this.#pipe.close();
  }

  #nextSeq(): number {
    const seq = this.#seq;
    this.#seq = (seq + 1) & 0xff;
    return seq;
  }

  #encode({ op, group, id, fields }: Request, seq: number): Uint8Array {
    return joinMessage({ version: 1, op, group, id, seq }, encodeCbor(fields));
  }

  #frame(message: Uint8Array): Uint8Array {
    const { lineLength } = this.#options;
    if (lineLength === undefined) return message;
    // Marker and line feed come on top of the characters.
    return consoleFraming({ lineLength: lineLength + 3 }).encode(message);
  }

  #once<T>(
    framed: Uint8Array,
    request: Request,
    seq: number,
    seconds: number,
    read: (answer: Answer) => T,
  ): Promise<{ read: T } | undefined> {
    if (!(seconds > 0)) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      const stop = this.#io.after(seconds * 1000, () => resolve(undefined));
      const end = (how: () => void) => {
        stop();
        how();
      };
      this.#heard = (message) => {
        const answer = answerIn(message, request, seq, read);
        if (answer !== undefined) end(() => resolve(answer));
      };
      this.#failed = (error) => end(() => reject(error));
      if (this.#failure !== undefined) this.#failed(this.#failure);
      else this.#pipe.write(framed).catch((error: unknown) => this.#failed(error));
    });
  }

  async #listen(): Promise<void> {
    const decoder = this.#options.lineLength === undefined ? undefined : consoleFraming().decoder();
    try {
      for await (const chunk of this.#pipe.chunks)
        if (decoder === undefined) this.#heard(chunk);
        else
          for (const received of decoder.push(chunk))
            if (received.kind === "message") this.#heard(received.bytes);
    } catch (error) {
      this.#failure = error;
      this.#failed(error);
    }
  }
}

/** What `read` makes of a message that answers the request; nothing else on the link is looked at. */
function answerIn<T>(
  message: Uint8Array,
  request: Request,
  seq: number,
  read: (answer: Answer) => T,
): { read: T } | undefined {
  try {
    const { header, payload } = readMessage(message);
    if (payload.length === 0 || !isAnswer(header, request, seq)) return undefined;
    return { read: read(new Answer(decodePayload(payload))) };
  } catch {
    // A message that cannot be read is one that was not heard: the timeout says so.
    return undefined;
  }
}

function isAnswer(header: Header, { op, group, id }: Request, seq: number): boolean {
  return header.seq === seq && header.group === group && header.id === id && header.op === `${op}-rsp`;
}
