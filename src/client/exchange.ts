import type { Framing } from "../smp/framing/framing.js";
import { answers, decodeHeader, type Header, MessageError, OPS, type SmpVersion } from "../smp/header.js";
import { type ByteStream, TransportError } from "../transport/transport.js";
import { Link } from "./link.js";
import type { ReceiveDiagnostics } from "./receive-diagnostics.js";
import { type TraceSink, traceRecord } from "./trace.js";

/** What happened on a link so far. */
export interface ClientCounts {
  /** Messages sent, repeats included. */
  sent: number;
  answered: number;
  repeated: number;
  /** Messages that nobody waited for (any more). */
  late: number;
  /** Damaged or incomplete frames heard. */
  faults: number;
}

/** Who is told of what is no answer. */
export interface ExchangeListener {
  readonly onText?: ((line: string) => void) | undefined;
  readonly trace?: TraceSink | undefined;
}

/** One try of one message. */
export interface Attempt {
  readonly diagnostics: ReceiveDiagnostics;
  /** How long to wait for an answer, milliseconds. */
  readonly timeoutMs: number;
  readonly linePauseMs: number;
  /** Added to the deadline. Default: what the message takes on the wire, where that is known. */
  readonly wireMs?: number;
  readonly framing?: Framing;
  readonly signal: AbortSignal | undefined;
}

/** A try that is under way. */
export interface Try {
  readonly answer: Promise<Uint8Array | undefined>;
  /** Waits no longer: the answer fails with `reason`. */
  giveUp(reason: unknown): void;
}

interface Pending {
  readonly command: string;
  readonly header: Header;
  readonly diagnostics: ReceiveDiagnostics;
  resolve(answer: Uint8Array): void;
  reject(reason: unknown): void;
}

/** A request between two of its tries. */
interface Between {
  readonly header: Header;
  readonly command: string;
  /** To an earlier try. */
  answer?: Uint8Array;
}

/** The messages under way on one link: numbers for requests, and each answer to whoever asked. */
export class Exchange {
  readonly link: Link;
  readonly counts: ClientCounts = { sent: 0, answered: 0, repeated: 0, late: 0, faults: 0 };
  /** The SMP version of the last answer. */
  answeredIn: SmpVersion | undefined;
  readonly #trace: TraceSink | undefined;
  /**
   * Random, so that a late answer to a program that ran before is not taken for ours. From 128 on, so that a raw
   * question, should it reach a shell, holds no key that means anything there.
   */
  #seq = 128 + Math.floor(Math.random() * 112);
  readonly #pending = new Map<number, Pending>();
  /** Whom a second answer with this number concerns. */
  readonly #repeated = new Map<number, () => void>();
  /** The request that is between two of its tries; an answer to an earlier one may come just then. */
  #between: Between | undefined;
  #ended: { error: unknown } | undefined;

  /** Starts to listen at once. `framings`: the likeliest first. */
  constructor(
    stream: ByteStream,
    framings: readonly [Framing, ...Framing[]],
    { onText, trace }: ExchangeListener,
  ) {
    this.#trace = trace;
    this.link = new Link(stream, framings, {
      message: (bytes, framing) => this.#receive(bytes, framing),
      text: (line) => onText?.(line),
      fault: () => void this.counts.faults++,
      ended: (error) =>
        this.#end(error ?? new TransportError("failed", stream.name, `${stream.name} is closed.`)),
    });
  }

  nextSeq(): number {
    this.#seq = (this.#seq + 1) % 256;
    return this.#seq;
  }

  /** One that no request under way has. */
  freeSeq(): number {
    for (let tries = 0; tries < 256; tries++) {
      const seq = this.nextSeq();
      if (!this.#pending.has(seq)) return seq;
    }
    throw new RangeError("256 requests are in flight; there is no free sequence number for another one.");
  }

  /** `onAnsweredTwice` is called when a second answer with this number comes; undefined: nobody. */
  expectTwice(seq: number, onAnsweredTwice: (() => void) | undefined): void {
    if (onAnsweredTwice) this.#repeated.set(seq, onAnsweredTwice);
    else this.#repeated.delete(seq);
  }

  /**
   * One try: the answer, or undefined after the deadline. Without a signal of its own for each message, whose making and
   * joining took half of a message's processor time.
   */
  attempt(command: string, message: Uint8Array, options: Attempt): Try {
    const { diagnostics, timeoutMs, signal } = options;
    const header = decodeHeader(message);
    let isWanted = true;
    let giveUp = (_reason: unknown): void => {};
    const answer = new Promise<Uint8Array | undefined>((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#ended) throw this.#ended.error;
      let isOver = false;
      const end = () => {
        isOver = true;
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        if (this.#pending.get(header.seq) === pending) this.#pending.delete(header.seq);
      };
      giveUp = (reason) => {
        isWanted = false;
        end();
        reject(reason);
      };
      const onAbort = () => giveUp(signal?.reason);
      const pending: Pending = {
        command,
        header,
        diagnostics,
        // What is being sent goes on: half a message would spoil the next.
        resolve: (bytes) => {
          end();
          resolve(bytes);
        },
        reject: (reason) => giveUp(reason),
      };
      const giveUpSilently = () => {
        if (isOver) return;
        isWanted = false;
        end();
        resolve(undefined);
      };
      // After a time in which this process had no processor the answer may lie there already: what has come is read first.
      const timer = setTimeout(
        () => setImmediate(giveUpSilently),
        timeoutMs + (options.wireMs ?? this.link.wireMs(message)),
      );
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#pending.set(header.seq, pending);
      this.counts.sent++;
      this.#record("sent", message, command);
      const { linePauseMs, framing } = options;
      this.link.send(message, { linePauseMs, framing, isWanted: () => isWanted }).catch(giveUp);
    });
    return { answer, giveUp: (reason) => giveUp(reason) };
  }

  /** Ends the device's half line; an answer to the try before that comes meanwhile counts. */
  async answeredBetween(
    command: string,
    message: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array | undefined> {
    const between: Between = { header: decodeHeader(message), command };
    this.#between = between;
    try {
      await this.link.endLine(signal);
      return between.answer;
    } finally {
      this.#between = undefined;
    }
  }

  /** Closes the pipe; requests under way fail. Closing twice is harmless. */
  async close(): Promise<void> {
    const { name } = this.link;
    this.#end(new TransportError("failed", name, `${name} is closed.`));
    await this.link.close();
  }

  #receive(bytes: Uint8Array, framing: Framing): void {
    const header = headerOf(bytes);
    const pending = header && this.#pending.get(header.seq);
    const asked = pending ?? this.#between;
    if (header && asked && answers(header, asked.header)) {
      this.link.settle(framing);
      this.#record("received", bytes, asked.command);
      this.counts.answered++;
      this.answeredIn = header.version;
      if (pending) pending.resolve(bytes);
      else if (this.#between) this.#between.answer = bytes;
      return;
    }
    // By another framing than the one that is spoken, noise may look like a message.
    if (framing !== this.link.framing) return;
    this.#record("received", bytes);
    this.counts.late++;
    if (header && !pending) {
      this.#repeated.get(header.seq)?.();
      this.#repeated.delete(header.seq);
    }
    if (this.#pending.size === 0) return;
    if (header && OPS[header.op] % 2 === 0) this.link.diagnostics.echoes++;
    else this.link.diagnostics.otherAnswers++;
  }

  #end(error: unknown): void {
    this.#ended ??= { error };
    for (const pending of this.#pending.values()) pending.reject(this.#ended.error);
  }

  #record(direction: "sent" | "received", message: Uint8Array, command?: string): void {
    this.#trace?.(traceRecord(direction, message, command, Date.now()));
  }
}

function headerOf(bytes: Uint8Array): Header | undefined {
  try {
    return decodeHeader(bytes);
  } catch (error) {
    if (error instanceof MessageError) return undefined;
    throw error;
  }
}
