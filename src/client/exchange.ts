import type { Framing } from "../smp/framing/framing.js";
import { answers, decodeHeader, type Header, MessageError, OPS, type SmpVersion } from "../smp/header.js";
import { type ByteStream, TransportError } from "../transport/transport.js";
import { type Deadline, Deadlines } from "./deadlines.js";
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
  /** Waits no longer: the asker is told `reason`, and of the message nothing more is sent. */
  giveUp(reason: unknown): void;
}

/** Who is told what becomes of a try, once. */
export interface Asker {
  answered(bytes: Uint8Array): void;
  /** There was no answer in time. */
  silent(): void;
  failed(reason: unknown): void;
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
  readonly #deadlines = new Deadlines();
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
    else if (this.#repeated.size > 0) this.#repeated.delete(seq);
  }

  /** One try: the answer, or undefined after the deadline. */
  attempt(command: string, message: Uint8Array, options: Attempt): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      const asker = { answered: resolve, silent: () => resolve(undefined), failed: reject };
      this.begin(command, message, options, asker);
    });
  }

  /**
   * One try, of which `asker` is told. Without a signal, a promise or a timer of its own for each message: their making and
   * joining took half of a message's processor time. The asker is never told before this has returned.
   */
  begin(command: string, message: Uint8Array, options: Attempt, asker: Asker): Try {
    const { diagnostics, timeoutMs, signal, linePauseMs, framing } = options;
    const dueAt = performance.now() + timeoutMs + (options.wireMs ?? this.link.wireMs(message));
    const pending = new Pending(
      { command, header: decodeHeader(message), diagnostics, dueAt, signal },
      asker,
      this.#over,
    );
    const failure = signal?.aborted ? { error: signal.reason } : this.#ended;
    if (failure) {
      void Promise.resolve().then(() => pending.giveUp(failure.error));
      return pending;
    }
    signal?.addEventListener("abort", pending, { once: true });
    this.#pending.set(pending.header.seq, pending);
    this.#deadlines.add(pending);
    this.counts.sent++;
    if (this.#trace) this.#record("sent", message, command);
    this.link
      .send(message, { linePauseMs, framing, wanted: pending })
      ?.catch((error) => pending.giveUp(error));
    return pending;
  }

  readonly #over = (pending: Pending): void => {
    this.#deadlines.delete(pending);
    const { seq } = pending.header;
    if (this.#pending.get(seq) === pending) this.#pending.delete(seq);
  };

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
      if (pending) pending.answer(bytes);
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
    for (const pending of this.#pending.values()) pending.giveUp(this.#ended.error);
  }

  #record(direction: "sent" | "received", message: Uint8Array, command?: string): void {
    this.#trace?.(traceRecord(direction, message, command, Date.now()));
  }
}

/** A try, from its sending to what becomes of it. */
class Pending implements Deadline, Try {
  readonly command: string;
  readonly header: Header;
  readonly diagnostics: ReceiveDiagnostics;
  readonly dueAt: number;
  /** Whether what is not sent yet of the message is of use. */
  isWanted = true;
  #isOver = false;
  readonly #signal: AbortSignal | undefined;
  readonly #asker: Asker;
  readonly #ended: (pending: Pending) => void;

  constructor(
    {
      command,
      header,
      diagnostics,
      dueAt,
      signal,
    }: Pick<Pending, "command" | "header" | "diagnostics" | "dueAt"> & Pick<Attempt, "signal">,
    asker: Asker,
    ended: (pending: Pending) => void,
  ) {
    this.command = command;
    this.header = header;
    this.diagnostics = diagnostics;
    this.dueAt = dueAt;
    this.#signal = signal;
    this.#asker = asker;
    this.#ended = ended;
  }

  /** What is being sent goes on: half a message would spoil the next. */
  answer(bytes: Uint8Array): void {
    if (this.#end()) this.#asker.answered(bytes);
  }

  due(): void {
    this.isWanted = false;
    if (this.#end()) this.#asker.silent();
  }

  giveUp(reason: unknown): void {
    this.isWanted = false;
    if (this.#end()) this.#asker.failed(reason);
  }

  /** The signal is aborted. */
  handleEvent(): void {
    this.giveUp(this.#signal?.reason);
  }

  /** False when it was over already. */
  #end(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#signal?.removeEventListener("abort", this);
    this.#ended(this);
    return true;
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
