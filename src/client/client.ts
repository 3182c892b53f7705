import { CborError } from "../smp/cbor.js";
import type { AnyCommand, Command } from "../smp/command.js";
import { consoleFraming } from "../smp/framing/console.js";
import { datagramFraming } from "../smp/framing/datagram.js";
import type { Framing } from "../smp/framing/framing.js";
import { joinMessage, MessageError, readMessage, type SmpVersion } from "../smp/header.js";
import { decodeResponse, encodeRequest } from "../smp/message.js";
import { ShapeError } from "../smp/schema.js";
import type { ByteStream } from "../transport/transport.js";
import { type Asker, type ClientCounts, Exchange, type Try } from "./exchange.js";
import { LINE_PAUSE_MS, type LinkMemory, RAW_FORGETS_MS } from "./flow-control.js";
import { isBurst, type Link } from "./link.js";
import { LinkLock, type Turn } from "./link-lock.js";
import { LinkPacing } from "./link-pacing.js";
import { RequestTimeout } from "./request-timeout.js";
import type { ServerFacts } from "./server-facts.js";
import type { TraceSink } from "./trace.js";

export type { ClientCounts } from "./exchange.js";
export type { ServerFacts } from "./server-facts.js";

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
  /**
   * Told of every command as it is sent, with what will come of it. Once for each, however often it is repeated. Must not
   * throw, and must handle an answer that fails.
   */
  onCommand?: ((command: AnyCommand, request: unknown, answer: Promise<unknown>) => void) | undefined;
  /** What this link taught before: see {@link LinkPacing.memory}. */
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
  /** Asks in this framing, while it is not known which one the device speaks. */
  framing?: Framing | undefined;
}

export interface PostOptions {
  signal?: AbortSignal | undefined;
  /** Whoever posts gives up when the signal is aborted: here it only ends the wait for the link. Default false. */
  givesUpItself?: boolean | undefined;
  timeoutMs?: number | undefined;
  linePauseMs?: number | undefined;
  /** Of an earlier try of the same request, so that a slow answer to that one still counts. */
  seq?: number | undefined;
  /** A repeat was answered, and then so was the earlier try. */
  onAnsweredTwice?: (() => void) | undefined;
}

/** What became of a request that was sent. */
export type Outcome<Res> = { readonly answer: Res } | { readonly error: unknown };

/** A request that was sent. */
export interface Sent {
  readonly seq: number;
  /** Of its message, header included, bytes. */
  readonly length: number;
  /** What it takes on the wire, where its speed is known. */
  readonly wireMs: number | undefined;
  readonly trying: Try;
}

/** A request that was sent and is not waited for yet. */
export interface Posted<Res> extends Sent {
  /** As {@link Client.send}, after one try. */
  readonly answer: Promise<Res>;
}

export { RequestTimeout };

const DEFAULT_TIMEOUT_MS = 2500;
const ASSUMED_SERVER: ServerFacts = { version: 2, bufSize: 384, bufSizeFrom: "assumed", mode: "unknown" };

/** Commands to one device and their answers: {@link Client.send}. The workflows are in rooms above. */
export class Client {
  server: ServerFacts = ASSUMED_SERVER;
  /** How fast to speak on this link, as it has taught, and what to remember of that. */
  readonly pacing: LinkPacing;
  readonly #exchange: Exchange;
  readonly #options: ClientOptions;
  readonly #lock = new LinkLock();

  constructor(stream: ByteStream, options: ClientOptions = {}) {
    this.#options = options;
    this.#exchange = new Exchange(stream, framingsFor(stream, options), options);
    this.pacing = new LinkPacing(this, options.memory);
  }

  /** The wire below: who starts on it, whether it rests. */
  get link(): Link {
    return this.#exchange.link;
  }

  get counts(): ClientCounts {
    return this.#exchange.counts;
  }

  /** The SMP version of the last answer. */
  get answeredIn(): SmpVersion | undefined {
    return this.#exchange.answeredIn;
  }

  get name(): string {
    return this.link.name;
  }

  get framing(): Framing {
    return this.link.framing;
  }

  /** False while it is not known yet how the device tells messages apart. */
  get isFramingKnown(): boolean {
    return this.link.isSettled;
  }

  /** How long an answer is waited for, milliseconds, when nothing else is said. */
  get timeoutMs(): number {
    return this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  }

  /**
   * How long to wait before a request is repeated, milliseconds, at least `timeoutMs`: a raw server that has lost a byte takes
   * the repeat for the rest of the message, unless a silence made it forget.
   */
  beforeRepeatMs(timeoutMs: number): number {
    const mayWaitForRest = this.framing.name === "raw" && this.link.isSettled;
    return mayWaitForRest ? Math.max(timeoutMs, RAW_FORGETS_MS) : timeoutMs;
  }

  /** How often a request is repeated on silence, when nothing else is said. */
  get retries(): number {
    return this.#options.retries ?? 3;
  }

  /** The longest message, header included, that the server can take, bytes. */
  get largestMessage(): number {
    return this.framing.largestMessage(this.server.bufSize);
  }

  /**
   * Sends a command and waits for its answer. Calls wait for each other. On silence it is sent again, if it may be
   * repeated, with the same sequence number, so that a slow answer to an earlier try still counts.
   * Throws `DeviceError` when the device refuses, {@link RequestTimeout} when it is silent, `TransportError` when the pipe
   * is gone, `ShapeError`, `CborError` or `MessageError` when an answer makes no sense or the request is longer than the
   * server's buffer. Abort throws the signal's reason.
   */
  async send<Req, Res>(command: Command<Req, Res>, request: Req, options: SendOptions = {}): Promise<Res> {
    const answer = this.#sendAlone(command, request, options);
    this.#options.onCommand?.(command as AnyCommand, request, answer);
    return answer;
  }

  async #sendAlone<Req, Res>(command: Command<Req, Res>, request: Req, options: SendOptions): Promise<Res> {
    const done = await this.#lock.alone(options.signal);
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
    let onOutcome = (_outcome: Outcome<Res>): void => {};
    const answer = new Promise<Res>((resolve, reject) => {
      onOutcome = (outcome) => ("error" in outcome ? reject(outcome.error) : resolve(outcome.answer));
    });
    // Whoever posts may give up waiting.
    answer.catch(() => {});
    return { ...(await this.postTo(command, request, options, onOutcome)), answer };
  }

  /**
   * As {@link post}, without a promise for each message: `onOutcome`, which must not throw, hears what comes of it, never before
   * this has returned. Sent at once unless somebody has the link alone.
   */
  postTo<Req, Res>(
    command: Command<Req, Res>,
    request: Req,
    options: PostOptions,
    onOutcome: (outcome: Outcome<Res>) => void,
  ): Sent | Promise<Sent> {
    const { signal } = options;
    if (options.givesUpItself) signal?.throwIfAborted();
    const seq = options.seq ?? this.#exchange.freeSeq();
    this.#exchange.expectTwice(seq, options.seq === undefined ? undefined : options.onAnsweredTwice);
    const numbered = { ...options, seq };
    const turn = this.#lock.shared(signal);
    if (!(turn instanceof Promise)) return this.#postNow(command, request, numbered, onOutcome, turn);
    return turn.then((mine) => this.#postNow(command, request, numbered, onOutcome, mine));
  }

  #postNow<Req, Res>(
    command: Command<Req, Res>,
    request: Req,
    options: PostOptions & { seq: number },
    onOutcome: (outcome: Outcome<Res>) => void,
    turn: Turn,
  ): Sent {
    const { seq, timeoutMs = this.timeoutMs, linePauseMs = 0 } = options;
    const { diagnostics } = this.link;
    const silent = () => this.#silent({ command: command.name, attempts: 1, timeoutMs }, diagnostics);
    const asker = new Posting(command, turn, this.#alsoOnCommand(command, request, onOutcome), silent);
    try {
      const message = encodeRequest(command, request, { seq, version: this.server.version });
      const signal = options.givesUpItself ? undefined : options.signal;
      const how = { diagnostics, timeoutMs, linePauseMs, signal, wireMs: 0 };
      const wireMs = this.link.hasSpeed ? this.link.wireMs(message) : undefined;
      const trying = this.#exchange.begin(command.name, message, how, asker);
      return { seq, length: message.length, wireMs, trying };
    } catch (error) {
      turn.close();
      throw error;
    }
  }

  /** Whoever is called for all commands hears of this one too. */
  #alsoOnCommand<Req, Res>(
    command: Command<Req, Res>,
    request: Req,
    onOutcome: (outcome: Outcome<Res>) => void,
  ): (outcome: Outcome<Res>) => void {
    const { onCommand } = this.#options;
    if (!onCommand) return onOutcome;
    let both = onOutcome;
    const answer = new Promise<Res>((resolve, reject) => {
      both = (outcome) => {
        onOutcome(outcome);
        if ("error" in outcome) reject(outcome.error);
        else resolve(outcome.answer);
      };
    });
    answer.catch(() => {});
    onCommand(command as AnyCommand, request, answer);
    return both;
  }

  /**
   * Passes on a message that somebody else made, with a number of ours, and gives back the answer with his. One try, beside
   * whatever else was posted. Throws {@link RequestTimeout}, `TransportError`, `MessageError` when it is no request.
   */
  async relay(message: Uint8Array, options: PostOptions = {}): Promise<Uint8Array> {
    const { signal, timeoutMs = this.timeoutMs, linePauseMs = 0 } = options;
    const { header, payload } = readMessage(message);
    const turn = await this.#lock.shared(signal);
    try {
      const ours = joinMessage({ ...header, seq: this.#exchange.freeSeq() }, payload);
      const command = `group ${header.group} command ${header.id}`;
      const { diagnostics } = this.link;
      const answer = await this.#exchange.attempt(command, ours, {
        diagnostics,
        timeoutMs,
        linePauseMs,
        signal,
      });
      if (!answer) throw this.#silent({ command, attempts: 1, timeoutMs }, diagnostics);
      const received = readMessage(answer);
      return joinMessage({ ...received.header, seq: header.seq }, received.payload);
    } finally {
      turn.close();
    }
  }

  /** Closes the pipe; a request under way fails. Closing twice is harmless. */
  close(): Promise<void> {
    return this.#exchange.close();
  }

  async #ask<Req>(command: Command<Req, unknown>, request: Req, options: SendOptions): Promise<Uint8Array> {
    const plan = this.#triesOf(command, options);
    const seq = this.#exchange.nextSeq();
    const diagnostics = this.link.newDiagnostics();
    // Somebody who gives less time than usual wants to know soon.
    const isHurried = plan.timeoutMs < DEFAULT_TIMEOUT_MS;
    for (const [index, { version, framing }] of plan.tries.entries()) {
      const message = encodeRequest(command, request, { seq, version });
      this.#refuseTooLong(command.name, message);
      // The question before may be half a line to the device, or, read in pieces, half a header to a raw server.
      if (!this.link.isSettled && (index > 0 || framing.name === "console")) {
        const late = await this.#exchange.answeredBetween(command.name, message, options.signal);
        if (late) return late;
      }
      if (index > 0) this.counts.repeated++;
      // What may be sent only once had better arrive.
      const slowly = index > 0 || this.pacing.isSlow || !mayRepeat(command);
      const pause = slowly && this.link.isSettled && isBurst(framing, message);
      const linePauseMs = pause ? LINE_PAUSE_MS : 0;
      const isLast = index === plan.tries.length - 1;
      const timeoutMs = isLast || isHurried ? plan.timeoutMs : this.beforeRepeatMs(plan.timeoutMs);
      const attempt = { diagnostics, timeoutMs, linePauseMs, framing, signal: options.signal };
      const sentAt = performance.now();
      const answer = await this.#exchange.attempt(command.name, message, attempt);
      if (answer) {
        if (index === 0) this.pacing.firstAnswered(message.length, performance.now() - sentAt);
        if (pause && mayRepeat(command)) this.pacing.rescued();
        return answer;
      }
      this.link.giveUpPartial();
    }
    const attempts = plan.tries.length;
    throw this.#silent({ command: command.name, attempts, timeoutMs: plan.timeoutMs }, diagnostics);
  }

  #silent(
    request: ConstructorParameters<typeof RequestTimeout>[1],
    diagnostics: Link["diagnostics"],
  ): RequestTimeout {
    // A single try is a probe, and more will follow: the search for a reason is left to the last of several.
    const clue = request.attempts > 1 ? this.link.explainSilence() : undefined;
    return new RequestTimeout(this.name, request, diagnostics, clue);
  }

  /** A server that told its buffer drops what is longer, without a word. */
  #refuseTooLong(command: string, message: Uint8Array): void {
    const { largestMessage: expected } = this;
    if (this.server.bufSizeFrom !== "server" || message.length <= expected) return;
    const text = `${command}: a message of ${message.length} bytes; the board accepts at most ${expected}.`;
    const hint = "Send less, or build the firmware with a larger CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE.";
    throw new MessageError("too-long", text, { expected, got: message.length }, hint);
  }

  /** Every try of a request; while the framing is open, each of them in the time that one would have. */
  #triesOf(command: Pick<AnyCommand, "op" | "repeatable">, options: SendOptions) {
    const { timeoutMs = this.timeoutMs, versions = [this.server.version] } = options;
    const rounds = 1 + (mayRepeat(command) ? (options.retries ?? this.retries) : 0);
    const framings = options.everyFraming ? this.link.framings : [options.framing ?? this.link.framing];
    const tries = Array.from({ length: rounds }, (_, round) =>
      framings.map((framing) => ({
        framing,
        version: versions[round % versions.length] ?? this.server.version,
      })),
    ).flat();
    return { tries, timeoutMs: timeoutMs / framings.length };
  }
}

/** A posted request, until it is known what came of it. */
class Posting<Req, Res> implements Asker {
  readonly #command: Command<Req, Res>;
  readonly #turn: Turn;
  readonly #onOutcome: (outcome: Outcome<Res>) => void;
  readonly #silence: () => RequestTimeout;

  constructor(
    command: Command<Req, Res>,
    turn: Turn,
    onOutcome: (outcome: Outcome<Res>) => void,
    silence: () => RequestTimeout,
  ) {
    this.#command = command;
    this.#turn = turn;
    this.#onOutcome = onOutcome;
    this.#silence = silence;
  }

  answered(bytes: Uint8Array): void {
    this.#turn.close();
    let outcome: Outcome<Res>;
    try {
      outcome = { answer: understood(this.#command, bytes) };
    } catch (error) {
      outcome = { error };
    }
    this.#onOutcome(outcome);
  }

  silent(): void {
    this.failed(this.#silence());
  }

  failed(error: unknown): void {
    this.#turn.close();
    this.#onOutcome({ error });
  }
}

/** The answer; what is wrong with one that makes no sense is said of the command that it is to. */
function understood<Req, Res>(command: Command<Req, Res>, answer: Uint8Array): Res {
  try {
    return decodeResponse(command, answer) as Res;
  } catch (error) {
    if (error instanceof ShapeError || error instanceof CborError || error instanceof MessageError)
      error.message = `${command.name}: the answer cannot be decoded. ${error.message}`;
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
