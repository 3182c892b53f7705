import { BootproofError } from "../errors.js";
import type { AnyCommand, Command } from "../smp/command.js";
import { consoleFraming } from "../smp/framing/console.js";
import type { Framing } from "../smp/framing/framing.js";
import { answers, decodeHeader, type Header, MessageError, OPS, type SmpVersion } from "../smp/header.js";
import { decodeResponse, encodeRequest } from "../smp/message.js";
import { type ByteStream, TransportError } from "../transport/transport.js";
import type { Ear, HeardInstead } from "./ear.js";
import { isBurst, Link } from "./link.js";
import { type TraceSink, traceRecord } from "./trace.js";

/** What is known of the server at the other end. `connect` finds it out; before, the values are assumed. */
export interface ServerFacts {
  readonly version: SmpVersion;
  /** Decoded bytes it can reassemble, its length and CRC included. */
  readonly bufSize: number;
  /** Messages it can hold, the answer in the making included; absent when it does not say. */
  readonly bufCount?: number;
  /** Whether `bufSize` was told by the server or is the usual value of its kind. */
  readonly bufSizeFrom: "server" | "assumed";
  /** Who answers: the application, the bootloader's serial recovery, or something that could not be told. */
  readonly mode: "application" | "recovery" | "unknown";
}

export interface ClientOptions {
  /** Default: console framing. */
  framing?: Framing | undefined;
  /** How long to wait for an answer, each time. Default 2500. */
  timeoutMs?: number | undefined;
  /** How often a command that may be repeated is sent again. Default 3. */
  retries?: number | undefined;
  /** Lines of the log that shares the wire, as sent: clean them before they reach a terminal. */
  onText?: ((line: string) => void) | undefined;
  trace?: TraceSink | undefined;
}

export interface SendOptions {
  signal?: AbortSignal | undefined;
  /** How long to wait for an answer, each time. */
  timeoutMs?: number | undefined;
  /** How often to send it again on silence; 0 for commands that must not run twice, whatever is said here. */
  retries?: number | undefined;
  /** The SMP version of each try, over and over. Default: the server's. */
  versions?: readonly SmpVersion[] | undefined;
}

/** What happened on this link so far. */
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

/** A command was sent, as often as it may be, and no answer came. */
export class RequestTimeout extends BootproofError {
  declare readonly code: "timeout";
  readonly command: string;
  readonly attempts: number;
  /** Waited for each attempt. */
  readonly timeoutMs: number;
  readonly heard: HeardInstead;
  /** The end of the text that was heard, on one line. */
  readonly text: string;

  constructor(pipe: string, request: { command: string; attempts: number; timeoutMs: number }, ear: Ear) {
    const { command, attempts, timeoutMs } = request;
    const asked = attempts === 1 ? "one request" : `${attempts} requests`;
    const { says, hint } = SILENCES[ear.heard];
    const quote = ear.heard === "text" && ear.quote !== "" ? ` ("${ear.quote}")` : "";
    const message = `${command}: ${pipe} did not answer ${asked} of ${timeoutMs} ms each; heard ${says}${quote}.`;
    super("timeout", message, { hint });
    this.command = command;
    this.attempts = attempts;
    this.timeoutMs = timeoutMs;
    this.heard = ear.heard;
    this.text = ear.quote;
  }
}

/** What a silence sounds like, and what it usually means. */
const SILENCES: Readonly<Record<HeardInstead, { says: string; hint: string }>> = {
  nothing: {
    says: "nothing at all",
    hint: "Is the board on, is this its SMP port and not its log port, and does its firmware have an SMP server?",
  },
  text: {
    says: "only log text",
    hint: "This is the log or shell port, or the firmware has no SMP server on it. Try the board's other port, or enter serial recovery.",
  },
  noise: {
    says: "bytes that are no text",
    hint: "Usually a wrong baud rate: give the board's own with ?baud=, for instance ?baud=1000000.",
  },
  damaged: {
    says: "damaged frames",
    hint: "Bytes get lost on the way: try a lower baud rate, a shorter cable, or close other programs on this port.",
  },
  echo: {
    says: "its own requests come back",
    hint: "Something echoes: transmit and receive are bridged, or a terminal is in echo mode.",
  },
  "other-answers": {
    says: "answers to other requests",
    hint: "Another program speaks to this board, or it is slower than the time given: try a longer --timeout.",
  },
};

interface Pending {
  readonly command: string;
  readonly header: Header;
  readonly ear: Ear;
  resolve(answer: Uint8Array): void;
  reject(reason: unknown): void;
}

/** Rest between lines for a server that lost a burst. Go's client uses 20 ms and is known to be slow enough. */
const LINE_PAUSE_MS = 20;
/** Bursts that only got through with pauses before all bursts are paused. */
const RESCUES_UNTIL_SLOW = 2;

const ASSUMED_SERVER: ServerFacts = { version: 2, bufSize: 384, bufSizeFrom: "assumed", mode: "unknown" };

/** One verb: {@link Client.send}. The stories are in `workflow`. */
export class Client {
  server: ServerFacts = ASSUMED_SERVER;
  readonly counts: ClientCounts = { sent: 0, answered: 0, repeated: 0, late: 0, faults: 0 };
  /** The SMP version of the last answer. */
  answeredIn: SmpVersion | undefined;
  readonly #link: Link;
  readonly #options: ClientOptions;
  /** Random, so that a late answer to a program that ran before is not taken for ours. */
  #seq = Math.floor(Math.random() * 256);
  #pending: Pending | undefined;
  #ended: { error: unknown } | undefined;
  /** Resolves when the request before is done: the server handles one at a time. */
  #turn: Promise<void> = Promise.resolve();
  #rescues = 0;

  constructor(stream: ByteStream, options: ClientOptions = {}) {
    this.#options = options;
    this.#link = new Link(stream, options.framing ?? consoleFraming(), {
      message: (bytes) => this.#hear(bytes),
      text: (line) => options.onText?.(line),
      fault: () => void this.counts.faults++,
      ended: (error) =>
        this.#end(error ?? new TransportError("failed", stream.name, `${stream.name} is closed.`)),
    });
  }

  get name(): string {
    return this.#link.name;
  }

  get framing(): Framing {
    return this.#link.framing;
  }

  /** The longest message, header included, that the server can take. */
  get largestMessage(): number {
    return this.framing.largestMessage(this.server.bufSize);
  }

  /** True once bursts of lines are sent with pauses, because the server kept losing them. */
  get slowedDown(): boolean {
    return this.#rescues >= RESCUES_UNTIL_SLOW;
  }

  /**
   * Sends a command and waits for its answer. Calls wait for each other. On silence it is sent again, if it may be
   * repeated, with the same sequence number, so that a slow answer to an earlier try still counts.
   * Throws `DeviceError` when the device refuses, {@link RequestTimeout} when it is silent, `TransportError` when the pipe
   * is gone, `ShapeError`, `CborError` or `MessageError` when an answer makes no sense. Abort throws the signal's reason.
   */
  async send<Req, Res>(command: Command<Req, Res>, request: Req, options: SendOptions = {}): Promise<Res> {
    const done = await this.#takeTurn(options.signal);
    try {
      return decodeResponse(command, await this.#ask(command, request, options)) as Res;
    } finally {
      done();
    }
  }

  /** Resolves when the device has fallen silent; see {@link Link.quiet}. */
  quiet(options: { quietMs: number; atMostMs: number; signal?: AbortSignal | undefined }): Promise<void> {
    return this.#link.quiet(options);
  }

  /** Ends whatever half line the device may hold; see {@link Link.endLine}. */
  endLine(): Promise<void> {
    return this.#link.endLine();
  }

  /** Closes the pipe; a request under way fails. Closing twice is harmless. */
  async close(): Promise<void> {
    this.#end(new TransportError("failed", this.name, `${this.name} is closed.`));
    await this.#link.close();
  }

  async #takeTurn(signal: AbortSignal | undefined): Promise<() => void> {
    const before = this.#turn;
    let done = () => {};
    this.#turn = new Promise((resolve) => {
      done = resolve;
    });
    try {
      await untilAborted(before, signal);
      return done;
    } catch (error) {
      void before.then(done);
      throw error;
    }
  }

  async #ask<Req>(command: Command<Req, unknown>, request: Req, options: SendOptions): Promise<Uint8Array> {
    const { timeoutMs = this.#options.timeoutMs ?? 2500, versions = [this.server.version] } = options;
    const attempts = 1 + (mayRepeat(command) ? (options.retries ?? this.#options.retries ?? 3) : 0);
    const seq = this.#nextSeq();
    const ear = this.#link.newEar();
    for (let attempt = 0; attempt < attempts; attempt++) {
      const version = versions[attempt % versions.length] ?? this.server.version;
      const message = encodeRequest(command, request, { seq, version });
      if (attempt > 0) this.counts.repeated++;
      const pause = (attempt > 0 || this.slowedDown) && isBurst(this.framing, message);
      const linePauseMs = pause ? LINE_PAUSE_MS : 0;
      const answer = await this.#attempt(command.name, message, {
        ear,
        timeoutMs,
        linePauseMs,
        signal: options.signal,
      });
      if (answer) {
        if (pause) this.#rescues++;
        return answer;
      }
      this.#link.giveUpPartial();
    }
    throw new RequestTimeout(this.name, { command: command.name, attempts, timeoutMs }, ear);
  }

  /** One try: the answer, or undefined after the deadline. */
  async #attempt(
    command: string,
    message: Uint8Array,
    options: { ear: Ear; timeoutMs: number; linePauseMs: number; signal: AbortSignal | undefined },
  ): Promise<Uint8Array | undefined> {
    const { ear, timeoutMs, linePauseMs, signal } = options;
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), timeoutMs);
    const stop = signal ? AbortSignal.any([signal, deadline.signal]) : deadline.signal;
    try {
      return await this.#exchange(command, message, { ear, linePauseMs, stop });
    } catch (error) {
      if (stop.aborted && stop.reason === deadline.signal.reason && error === stop.reason) return undefined;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #exchange(
    command: string,
    message: Uint8Array,
    options: { ear: Ear; linePauseMs: number; stop: AbortSignal },
  ): Promise<Uint8Array> {
    const { ear, linePauseMs, stop } = options;
    stop.throwIfAborted();
    if (this.#ended) throw this.#ended.error;
    const answer = new Promise<Uint8Array>((resolve, reject) => {
      this.#pending = { command, header: decodeHeader(message), ear, resolve, reject };
      this.counts.sent++;
      this.#trace("sent", message, command);
      this.#link.send(message, { signal: stop, linePauseMs }).catch(reject);
    });
    return untilAborted(answer, stop).finally(() => {
      this.#pending = undefined;
    });
  }

  #hear(bytes: Uint8Array): void {
    const pending = this.#pending;
    const header = headerOf(bytes);
    if (header && pending && answers(header, pending.header)) {
      this.#trace("received", bytes, pending.command);
      this.counts.answered++;
      this.answeredIn = header.version;
      pending.resolve(bytes);
      return;
    }
    this.#trace("received", bytes);
    this.counts.late++;
    if (!pending) return;
    if (header && OPS[header.op] % 2 === 0) pending.ear.echoes++;
    else pending.ear.otherAnswers++;
  }

  #end(error: unknown): void {
    this.#ended ??= { error };
    this.#pending?.reject(this.#ended.error);
  }

  #nextSeq(): number {
    this.#seq = (this.#seq + 1) % 256;
    return this.#seq;
  }

  #trace(direction: "sent" | "received", message: Uint8Array, command?: string): void {
    this.#options.trace?.(traceRecord(direction, message, command, Date.now()));
  }
}

/** Reads are repeated unless declared otherwise, writes only when declared so. */
function mayRepeat(command: Pick<AnyCommand, "op" | "repeatable">): boolean {
  return command.repeatable ?? command.op === "read";
}

function headerOf(bytes: Uint8Array): Header | undefined {
  try {
    return decodeHeader(bytes);
  } catch (error) {
    if (error instanceof MessageError) return undefined;
    throw error;
  }
}

/** The promise's outcome, or the signal's reason if that comes first. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    const settled = () => signal.removeEventListener("abort", onAbort);
    promise.then(resolve, reject).finally(settled);
  });
}
