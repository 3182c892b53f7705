import { CborError } from "../smp/cbor.js";
import type { AnyCommand, Command } from "../smp/command.js";
import { consoleFraming } from "../smp/framing/console.js";
import { datagramFraming } from "../smp/framing/datagram.js";
import type { Framing } from "../smp/framing/framing.js";
import {
  answers,
  decodeHeader,
  type Header,
  joinMessage,
  MessageError,
  OPS,
  readMessage,
  type SmpVersion,
} from "../smp/header.js";
import { decodeResponse, encodeRequest } from "../smp/message.js";
import { ShapeError } from "../smp/schema.js";
import { type ByteStream, TransportError } from "../transport/transport.js";
import { AnswerTime } from "./answer-time.js";
import type { Ear } from "./ear.js";
import { isBurst, Link } from "./link.js";
import { LINE_PAUSE_MS, type LinkMemory, Pace, windowSizes } from "./pace.js";
import { RequestTimeout } from "./request-timeout.js";
import { type TraceSink, traceRecord } from "./trace.js";
import { Turns } from "./turns.js";
import { untilAborted } from "./until-aborted.js";

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
  /** How messages are told apart on this pipe. Default: console framing, on a pipe of datagrams one message each. */
  framing?: Framing | undefined;
  /** Framings to try when it is not known which the device speaks, the likeliest first; the first answer settles it. */
  framings?: readonly [Framing, ...Framing[]] | undefined;
  /** How long to wait for an answer, each time. Default 2500. */
  timeoutMs?: number | undefined;
  /** How often a command that may be repeated is sent again. Default 3. */
  retries?: number | undefined;
  /** Lines of the log that shares the wire, as sent: clean them before they reach a terminal. */
  onText?: ((line: string) => void) | undefined;
  trace?: TraceSink | undefined;
  /** What this link taught before: see {@link Client.memory}. */
  memory?: LinkMemory | undefined;
}

export interface SendOptions {
  signal?: AbortSignal | undefined;
  /** How long to wait for an answer, each time. */
  timeoutMs?: number | undefined;
  /** How often to send it again on silence; 0 for commands that must not run twice, whatever is said here. */
  retries?: number | undefined;
  /** The SMP version of each try, over and over. Default: the server's. */
  versions?: readonly SmpVersion[] | undefined;
  /** Tries each of the framings that are still possible in turn, `versions` counting rounds. */
  everyFraming?: boolean | undefined;
}

export interface PostOptions {
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
  linePauseMs?: number | undefined;
  /** Of an earlier try of the same request, so that a slow answer to that one still counts. */
  seq?: number | undefined;
  /** A repeat was answered, and then so was the earlier try. */
  onAnsweredTwice?: (() => void) | undefined;
}

/** A request that was sent and is not waited for yet. */
export interface Posted<Res> {
  readonly seq: number;
  /** Of its message, header included, bytes. */
  readonly length: number;
  /** What it takes on the wire, where its speed is known. */
  readonly wireMs: number | undefined;
  /** As {@link Client.send}, after one try. */
  readonly answer: Promise<Res>;
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

export { RequestTimeout };

interface Pending {
  readonly command: string;
  readonly header: Header;
  readonly ear: Ear;
  resolve(answer: Uint8Array): void;
  reject(reason: unknown): void;
}

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
  /**
   * Random, so that a late answer to a program that ran before is not taken for ours. From 128 on, so that a raw
   * question, should it reach a shell, holds no key that means anything there.
   */
  #seq = 128 + Math.floor(Math.random() * 112);
  readonly #pending = new Map<number, Pending>();
  readonly #turns = new Turns();
  readonly #answerTime: AnswerTime;
  /** Whom a second answer with this number concerns. */
  readonly #repeated = new Map<number, () => void>();
  /** The request that is between two of its tries; an answer to an earlier one may come just then. */
  #between: Between | undefined;
  #ended: { error: unknown } | undefined;
  #rescues = 0;
  #paces: { server: ServerFacts; framing: Framing; writing: Pace; reading: Pace } | undefined;

  constructor(stream: ByteStream, options: ClientOptions = {}) {
    this.#options = options;
    this.#link = new Link(stream, framingsFor(stream, options), {
      message: (bytes, framing) => this.#hear(bytes, framing),
      text: (line) => options.onText?.(line),
      fault: () => void this.counts.faults++,
      ended: (error) =>
        this.#end(error ?? new TransportError("failed", stream.name, `${stream.name} is closed.`)),
    });
    this.#answerTime = new AnswerTime(this.byteMs);
  }

  get name(): string {
    return this.#link.name;
  }

  get framing(): Framing {
    return this.#link.framing;
  }

  /** False while it is not known yet how the device tells messages apart. */
  get isFramingKnown(): boolean {
    return this.#link.isSettled;
  }

  /** How long an answer is waited for, when nothing else is said. */
  get timeoutMs(): number {
    return this.#options.timeoutMs ?? 2500;
  }

  /** How often a request is repeated on silence, when nothing else is said. */
  get retries(): number {
    return this.#options.retries ?? 3;
  }

  /** The longest message, header included, that the server can take. */
  get largestMessage(): number {
    return this.framing.largestMessage(this.server.bufSize);
  }

  /** What a byte of a message takes on the wire, framing included; undefined where the speed is not known. */
  get byteMs(): number | undefined {
    return this.#link.byteMs(this.framing);
  }

  /** True once bursts of lines are sent with pauses, because the server kept losing them. */
  get slowedDown(): boolean {
    return this.#rescues >= RESCUES_UNTIL_SLOW || (this.#options.memory?.linePauseMs ?? 0) > 0;
  }

  /** How transfers speak to the server that is there now. */
  get pace(): Pace {
    return this.#pacesNow.writing;
  }

  /** The same for those that bring data from it. */
  get readingPace(): Pace {
    return this.#pacesNow.reading;
  }

  get #pacesNow() {
    const { server, framing } = this;
    if (this.#paces?.server !== server || this.#paces.framing !== framing) {
      const sizes = windowSizes(server, framing.name);
      const writing = new Pace(sizes, this.#answerTime, this.#options.memory);
      this.#paces = { server, framing, writing, reading: new Pace(sizes, new AnswerTime(), {}, true) };
    }
    return this.#paces;
  }

  /** What this link taught, for the next time: give it to `connect`. */
  get memory(): LinkMemory {
    const { pace } = this;
    const best = pace.nextLength(this.largestMessage);
    const { window, linePauseMs } = pace;
    return {
      ...(this.isFramingKnown ? { framing: this.framing.name } : {}),
      ...(window.size > 1 ? { window: window.size } : {}),
      ...(best < this.largestMessage ? { maxMessage: best } : {}),
      ...(linePauseMs > 0 || this.slowedDown ? { linePauseMs: LINE_PAUSE_MS } : {}),
    };
  }

  /**
   * Sends a command and waits for its answer. Calls wait for each other. On silence it is sent again, if it may be
   * repeated, with the same sequence number, so that a slow answer to an earlier try still counts.
   * Throws `DeviceError` when the device refuses, {@link RequestTimeout} when it is silent, `TransportError` when the pipe
   * is gone, `ShapeError`, `CborError` or `MessageError` when an answer makes no sense or the request is longer than the
   * server's buffer. Abort throws the signal's reason.
   */
  async send<Req, Res>(command: Command<Req, Res>, request: Req, options: SendOptions = {}): Promise<Res> {
    const done = await this.#turns.alone(options.signal);
    try {
      return understood(command, await this.#ask(command, request, options));
    } finally {
      done();
    }
  }

  /**
   * Sends a command once without waiting for answers to others that were posted: for transfers that keep several requests
   * under way. `send` waits until all that was posted before it is answered, and the other way round. `timeoutMs` counts
   * from the start, the time on the wire included: what is under way before may be on it too.
   */
  async post<Req, Res>(command: Command<Req, Res>, request: Req, options: PostOptions): Promise<Posted<Res>> {
    const { signal, timeoutMs = this.timeoutMs, linePauseMs = 0, seq = this.#freeSeq() } = options;
    if (options.seq !== undefined && options.onAnsweredTwice)
      this.#repeated.set(seq, options.onAnsweredTwice);
    else this.#repeated.delete(seq);
    const done = await this.#turns.shared(signal);
    const ear = this.#link.ear;
    const message = encodeRequest(command, request, { seq, version: this.server.version });
    const trying = this.#attempt(command.name, message, { ear, timeoutMs, linePauseMs, signal, wireMs: 0 });
    const answer = trying
      .then((bytes) => {
        if (bytes) return understood(command, bytes);
        throw new RequestTimeout(this.name, { command: command.name, attempts: 1, timeoutMs }, ear);
      })
      .finally(done);
    // Whoever posted may have given up waiting.
    answer.catch(() => {});
    return { seq, length: message.length, wireMs: this.byteMs && this.#link.wireMs(message), answer };
  }

  /**
   * Passes on a message that somebody else made, with a number of ours, and gives back the answer with his. One try, beside
   * whatever else was posted. Throws {@link RequestTimeout}, `TransportError`, `MessageError` when it is no request.
   */
  async relay(message: Uint8Array, options: PostOptions = {}): Promise<Uint8Array> {
    const { signal, timeoutMs = this.timeoutMs, linePauseMs = 0 } = options;
    const { header, payload } = readMessage(message);
    const done = await this.#turns.shared(signal);
    try {
      const ours = joinMessage({ ...header, seq: this.#freeSeq() }, payload);
      const command = `group ${header.group} command ${header.id}`;
      const { ear } = this.#link;
      const answer = await this.#attempt(command, ours, { ear, timeoutMs, linePauseMs, signal });
      if (!answer) throw new RequestTimeout(this.name, { command, attempts: 1, timeoutMs }, ear);
      const heard = readMessage(answer);
      return joinMessage({ ...heard.header, seq: header.seq }, heard.payload);
    } finally {
      done();
    }
  }

  /** True when the device was heard starting, and has said no message since. */
  get isBooting(): boolean {
    return this.#link.isBooting;
  }

  /** Resolves when the device has fallen silent; see {@link Link.quiet}. */
  quiet(options: { quietMs: number; atMostMs: number; signal?: AbortSignal | undefined }): Promise<void> {
    return this.#link.quiet(options);
  }

  /** Gives up half a message whose rest did not come; see {@link Link.giveUpPartial}. */
  giveUpPartial(): void {
    this.#link.giveUpPartial();
  }

  /** Ends whatever half line the device may hold; see {@link Link.endLine}. Other framings have no lines. */
  async endLine(signal?: AbortSignal): Promise<void> {
    if (this.framing.name === "console") await this.#link.endLine(signal);
  }

  /** Closes the pipe; a request under way fails. Closing twice is harmless. */
  async close(): Promise<void> {
    this.#end(new TransportError("failed", this.name, `${this.name} is closed.`));
    await this.#link.close();
  }

  async #ask<Req>(command: Command<Req, unknown>, request: Req, options: SendOptions): Promise<Uint8Array> {
    const plan = this.#triesOf(command, options);
    const seq = this.#nextSeq();
    const ear = this.#link.newEar();
    for (const [index, { version, framing }] of plan.tries.entries()) {
      const message = encodeRequest(command, request, { seq, version });
      this.#refuseTooLong(command.name, message);
      // The question before may be half a line to the device, or, read in pieces, half a header to a raw server.
      if (!this.#link.isSettled && (index > 0 || framing.name === "console")) {
        const late = await this.#answeredBetween(command.name, message, options.signal);
        if (late) return late;
      }
      if (index > 0) this.counts.repeated++;
      // What may be sent only once had better arrive.
      const slowly = index > 0 || this.slowedDown || !mayRepeat(command);
      const pause = slowly && this.#link.isSettled && isBurst(framing, message);
      const linePauseMs = pause ? LINE_PAUSE_MS : 0;
      const { timeoutMs } = plan;
      const attempt = { ear, timeoutMs, linePauseMs, framing, signal: options.signal };
      const sentAt = performance.now();
      const answer = await this.#attempt(command.name, message, attempt);
      if (answer) {
        if (index === 0) this.#answerTime.firstAnswered(message.length, performance.now() - sentAt);
        if (pause && mayRepeat(command)) this.#rescues++;
        return answer;
      }
      this.#link.giveUpPartial();
    }
    const attempts = plan.tries.length;
    throw new RequestTimeout(this.name, { command: command.name, attempts, timeoutMs: plan.timeoutMs }, ear);
  }

  /** Ends the device's half line; an answer to the try before that comes meanwhile counts. */
  async #answeredBetween(
    command: string,
    message: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array | undefined> {
    const between: Between = { header: decodeHeader(message), command };
    this.#between = between;
    try {
      await this.#link.endLine(signal);
      return between.answer;
    } finally {
      this.#between = undefined;
    }
  }

  /** A server that told its buffer drops what is longer, without a word. */
  #refuseTooLong(command: string, message: Uint8Array): void {
    const { largestMessage: expected } = this;
    if (this.server.bufSizeFrom !== "server" || message.length <= expected) return;
    const says = `${command}: a message of ${message.length} bytes, where the board takes ${expected} at most.`;
    const hint =
      "Shorten what is sent, or build the firmware with a larger CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE.";
    throw new MessageError("too-long", says, { expected, got: message.length }, hint);
  }

  /** Every try of a request; while the framing is open, each of them in the time that one would have. */
  #triesOf(command: Pick<AnyCommand, "op" | "repeatable">, options: SendOptions) {
    const { timeoutMs = this.timeoutMs, versions = [this.server.version] } = options;
    const rounds = 1 + (mayRepeat(command) ? (options.retries ?? this.retries) : 0);
    const framings = options.everyFraming ? this.#link.framings : [this.#link.framing];
    const tries = Array.from({ length: rounds }, (_, round) =>
      framings.map((framing) => ({
        framing,
        version: versions[round % versions.length] ?? this.server.version,
      })),
    ).flat();
    return { tries, timeoutMs: timeoutMs / framings.length };
  }

  /** One try: the answer, or undefined after the deadline. */
  async #attempt(command: string, message: Uint8Array, options: Attempt): Promise<Uint8Array | undefined> {
    const { timeoutMs, signal } = options;
    const deadline = new AbortController();
    const timer = setTimeout(
      () => deadline.abort(),
      timeoutMs + (options.wireMs ?? this.#link.wireMs(message)),
    );
    const stop = signal ? AbortSignal.any([signal, deadline.signal]) : deadline.signal;
    try {
      return await this.#exchange(command, message, { ...options, signal: stop });
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
    options: Attempt & { signal: AbortSignal },
  ): Promise<Uint8Array> {
    const { ear, signal: stop } = options;
    stop.throwIfAborted();
    if (this.#ended) throw this.#ended.error;
    const header = decodeHeader(message);
    const answer = new Promise<Uint8Array>((resolve, reject) => {
      this.#pending.set(header.seq, { command, header, ear, resolve, reject });
      this.counts.sent++;
      this.#trace("sent", message, command);
      this.#link.send(message, options).catch(reject);
    });
    const pending = this.#pending.get(header.seq);
    return untilAborted(answer, stop).finally(() => {
      if (this.#pending.get(header.seq) === pending) this.#pending.delete(header.seq);
    });
  }

  #hear(bytes: Uint8Array, framing: Framing): void {
    const header = headerOf(bytes);
    const pending = header && this.#pending.get(header.seq);
    const asked = pending ?? this.#between;
    if (header && asked && answers(header, asked.header)) {
      this.#link.settle(framing);
      this.#trace("received", bytes, asked.command);
      this.counts.answered++;
      this.answeredIn = header.version;
      if (pending) pending.resolve(bytes);
      else if (this.#between) this.#between.answer = bytes;
      return;
    }
    // By another framing than the one that is spoken, noise may look like a message.
    if (framing !== this.#link.framing) return;
    this.#trace("received", bytes);
    this.counts.late++;
    if (header && !pending) {
      this.#repeated.get(header.seq)?.();
      this.#repeated.delete(header.seq);
    }
    if (this.#pending.size === 0) return;
    if (header && OPS[header.op] % 2 === 0) this.#link.ear.echoes++;
    else this.#link.ear.otherAnswers++;
  }

  #end(error: unknown): void {
    this.#ended ??= { error };
    for (const pending of this.#pending.values()) pending.reject(this.#ended.error);
  }

  #nextSeq(): number {
    this.#seq = (this.#seq + 1) % 256;
    return this.#seq;
  }

  #freeSeq(): number {
    for (let tries = 0; tries < 256; tries++) {
      const seq = this.#nextSeq();
      if (!this.#pending.has(seq)) return seq;
    }
    throw new RangeError("256 requests are under way; there is no number left for another.");
  }

  #trace(direction: "sent" | "received", message: Uint8Array, command?: string): void {
    this.#options.trace?.(traceRecord(direction, message, command, Date.now()));
  }
}

/** A request between two of its tries. */
interface Between {
  readonly header: Header;
  readonly command: string;
  /** To an earlier try. */
  answer?: Uint8Array;
}

interface Attempt {
  readonly ear: Ear;
  readonly timeoutMs: number;
  readonly linePauseMs: number;
  /** Added to the deadline. Default: what the message takes on the wire, where that is known. */
  readonly wireMs?: number;
  readonly framing?: Framing;
  readonly signal: AbortSignal | undefined;
}

/** The answer; what is wrong with one that makes no sense is said of the command that it is to. */
function understood<Req, Res>(command: Command<Req, Res>, answer: Uint8Array): Res {
  try {
    return decodeResponse(command, answer) as Res;
  } catch (error) {
    if (error instanceof ShapeError || error instanceof CborError || error instanceof MessageError)
      error.message = `${command.name}: the answer cannot be understood. ${error.message}`;
    throw error;
  }
}

/** A pipe of datagrams has its own framing, whatever is asked for. */
function framingsFor(stream: ByteStream, options: ClientOptions): readonly [Framing, ...Framing[]] {
  if (stream.maxDatagram !== undefined) return [datagramFraming(stream.maxDatagram)];
  return options.framing ? [options.framing] : (options.framings ?? [consoleFraming()]);
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
