import type { Command } from "../smp/command.js";
import { DeviceError } from "../smp/message.js";
import { type Client, type Outcome, RequestTimeout, type Sent } from "./client.js";
import type { Try } from "./exchange.js";
import type { FlowControl } from "./flow-control.js";
import { askBehind, PassedOver } from "./loss-probe.js";

/** One request of a transfer: what it asks, and where the next one begins if it is granted. */
export interface Asked<Req> {
  readonly request: Req;
  readonly offset: number;
  readonly next: number;
  /**
   * Nothing else is under way beside it, and it is waited for so long: the first chunk of an image makes the device erase,
   * and a repeat might make it begin anew.
   */
  readonly patienceMs?: number | undefined;
}

/** Data that goes piece by piece, each with its offset, where the device says what it wants next. */
export interface TransferPlan<Req, Res> {
  readonly command: Command<Req, Res>;
  /** The request for what begins at `offset`, in a message of at most `maxMessage` bytes; undefined at the end. */
  ask(offset: number, maxMessage: number): Omit<Asked<Req>, "offset"> | undefined;
  /** The offset that the device wants next. */
  wanted(answer: Res, asked: Asked<Req>): number;
  /** What a failure says in place of an answer; undefined when the transfer cannot go on. */
  answerIn?(error: unknown): Res | undefined;
  /** Data comes from the device: the requests are short, and the answers as long as it makes them. */
  readonly isReading?: boolean;
}

/** An answer, in the order of the offsets. When `wanted` is not `asked.next`, the transfer goes on from there. */
export interface Transferred<Req, Res> {
  readonly asked: Asked<Req>;
  readonly answer: Res;
  readonly wanted: number;
}

export interface TransferOptions {
  signal?: AbortSignal | undefined;
  /** Where to begin. Default 0. */
  offset?: number | undefined;
}

/**
 * Carries a plan out with as many requests under way as serve the link, each as long as serves it; both are learned on
 * the way and kept in `client.pacing`. What gets lost is sent again from the offset the device wants, without waiting for
 * what is under way. Throws as `Client.send`: `RequestTimeout` when the device stays silent for as long as all retries of
 * an ordinary request would take, {@link PassedOver} when it stays silent to a patient request and answers others meanwhile.
 */
export async function* transfer<Req, Res>(
  client: Client,
  plan: TransferPlan<Req, Res>,
  options: TransferOptions = {},
): AsyncGenerator<Transferred<Req, Res>, void, void> {
  const run = new Transfer(client, plan, options);
  try {
    for (;;) {
      const step = run.step();
      if (step === undefined) return;
      if (step instanceof Promise) await step;
      else yield step;
    }
  } finally {
    run.end();
  }
}

interface Flight<Req> {
  readonly asked: Asked<Req>;
  /** The length that was chosen for its message, and the one that it has: the last one of all is shorter. */
  readonly length: number;
  messageLength: number;
  seq: number;
  readonly sentAt: number;
  /** Asked before, so that it is not known which of the two an answer is to. */
  readonly isRepeat: boolean;
  /** Nothing else was on the line when it was sent. */
  readonly isLone: boolean;
  readonly timeoutMs: number;
  /** What was on the wire before it when it was sent, in milliseconds; when its own last byte should have arrived. */
  readonly queuedMs: number;
  arrivedAt: number;
  /** Sent before the offset was corrected: what it says is heard, but nobody waits for its data. */
  isStale: boolean;
  /** Once it is sent. */
  trying: Try | undefined;
  /** Ends the asking behind it. */
  askedBehind: (() => void) | undefined;
}

interface Landed<Req, Res> {
  readonly flight: Flight<Req>;
  readonly result: Outcome<Res>;
}

/** {@link transfer} step by step, for callers that cannot spare a turn of the event loop between two messages. */
export class Transfer<Req, Res> {
  readonly #client: Client;
  readonly #plan: TransferPlan<Req, Res>;
  readonly #signal: AbortSignal | undefined;
  readonly #flow: FlowControl;
  /** In the order they were sent. */
  #flights: Flight<Req>[] = [];
  /** All that may still be answered: what was passed over too. */
  readonly #open = new Set<Flight<Req>>();
  /** What became of requests and was not looked at yet, and who waits for the next. */
  readonly #outcomes = new Map<Flight<Req>, Landed<Req, Res>>();
  #wake: (() => void) | undefined;
  /** Where the next request begins. */
  #next: number;
  /** What the device wanted last. */
  #wanted: number;
  #isAtEnd = false;
  /** Requests that were not answered in time, since the last answer to any. */
  #unheard = 0;
  /** Of these, such as were sent behind another one. */
  #unheardBehind = 0;
  /** How far requests had been sent when the device fell silent, until it is known whether one of them got lost. */
  #sentBeforeSilence: number | undefined;
  /** Waited for in vain since the last answer. */
  #silentMs = 0;
  /** When the wire has carried all that was sent. */
  #wireFreeAt = 0;
  /** How much later than reckoned messages arrive, one behind the other. */
  #driftMs = 0;
  /** Patient requests of which a later question told that they got lost. */
  #passedOver = 0;
  /** What was not answered in time: its repeat has the same number, so that a slow answer still counts. */
  #unanswered: { offset: number; seq: number } | undefined;

  constructor(client: Client, plan: TransferPlan<Req, Res>, { signal, offset = 0 }: TransferOptions = {}) {
    this.#client = client;
    this.#plan = plan;
    this.#signal = signal;
    this.#next = offset;
    this.#wanted = offset;
    this.#flow = plan.isReading ? client.pacing.reading : client.pacing.writing;
    this.#flow.window.begin();
    // One listener for all messages: one for each, and a promise around each wait, took an eighth of a message's time.
    signal?.addEventListener("abort", this.#look);
  }

  /**
   * Goes on until there is an answer to be told of; undefined when all is done, a promise where something has to be waited
   * for before the next step. Throws as {@link transfer}. Call {@link end} after the last step, whatever it was.
   */
  step(): Transferred<Req, Res> | Promise<void> | undefined {
    for (;;) {
      const filling = this.#fill();
      if (filling) return filling;
      if (this.#isDone) return undefined;
      this.#signal?.throwIfAborted();
      const landed = this.#nextLanded();
      if (!landed)
        return new Promise((resolve) => {
          this.#wake = resolve;
        });
      const transferred = this.#take(landed);
      if (transferred) return transferred;
    }
  }

  /** Nobody waits for what is under way any more. */
  end(): void {
    this.#signal?.removeEventListener("abort", this.#look);
    if (this.#open.size === 0) return;
    const reason = this.#signal?.aborted
      ? this.#signal.reason
      : new DOMException("The transfer has ended.", "AbortError");
    for (const flight of this.#open) flight.trying?.giveUp(reason);
  }

  get #isDone(): boolean {
    return this.#isAtEnd && this.#flights.length === 0;
  }

  /**
   * A server that only seems to have lost something holds it still: until it is heard again that keeps its place, on a
   * line that is known for losses, and elsewhere it gets one more at a time.
   */
  get #most(): number {
    const { window, safeWindow } = this.#flow;
    if (this.#unheard === 0) return window.size;
    return window.isNoisy ? Math.max(1, Math.min(window.size, safeWindow - this.#unheard)) : 1;
  }

  /** Sends as much as may be under way; a promise when that is not all yet, because somebody has the link alone. */
  #fill(): Promise<void> | undefined {
    const flow = this.#flow;
    while (this.#flights.length < this.#most) {
      const length = flow.nextLength(this.#client.largestMessage);
      const planned = this.#plan.ask(this.#next, length);
      this.#isAtEnd = planned === undefined;
      const isAlone = planned?.patienceMs !== undefined;
      if (!planned || (isAlone && this.#flights.length > 0)) return undefined;
      const sending = this.#send({ ...planned, offset: this.#next }, length);
      this.#next = planned.next;
      if (sending || isAlone) return sending;
    }
    return undefined;
  }

  /** The first thing that became of any request under way. */
  #nextLanded(): Landed<Req, Res> | undefined {
    // Of several that came at once the first that was sent: one behind it would say that it got lost.
    for (const flight of this.#flights) {
      const landed = this.#outcomes.get(flight);
      if (landed === undefined) continue;
      this.#outcomes.delete(flight);
      return landed;
    }
    this.#outcomes.clear();
    return undefined;
  }

  /** Lets {@link step} look again. */
  readonly #look = (): void => this.#wake?.();

  #settle(flight: Flight<Req>, result: Outcome<Res>): void {
    this.#open.delete(flight);
    this.#outcomes.set(flight, { flight, result });
    this.#look();
  }

  /** What a failure says in place of an answer. */
  #read({ result }: Landed<Req, Res>): Outcome<Res> {
    if (!("error" in result)) return result;
    const answer = this.#plan.answerIn?.(result.error);
    return answer === undefined ? result : { answer };
  }

  /** What an outcome means: an answer to be told of, or something that was lost. */
  #take(landed: Landed<Req, Res>): Transferred<Req, Res> | undefined {
    const { flight } = landed;
    const result = this.#read(landed);
    const at = this.#flights.indexOf(flight);
    if ("error" in result) {
      this.#flights.splice(at, 1);
      this.#lose(flight, result.error);
      return undefined;
    }
    // A server answers in order: what was sent before this and is still open got lost, or its answer did.
    const passedOver = this.#flights.splice(0, at + 1);
    const wanted = this.#plan.wanted(result.answer, flight.asked);
    for (const lost of passedOver)
      if (lost !== flight && lost.asked.next > wanted) this.#flow.length.lost(lost.length);
    this.#learn(flight, wanted);
    if (flight.isStale && wanted <= this.#wanted) return undefined;
    this.#goOn(wanted, flight);
    return { asked: flight.asked, answer: result.answer, wanted };
  }

  /** Goes on from where the device wants, if that is not what comes next anyway. */
  #goOn(wanted: number, { asked, isStale }: Flight<Req>): void {
    this.#wanted = wanted;
    if (isStale ? wanted <= this.#next : wanted === asked.next) return;
    if (wanted < asked.next) this.#flow.lost();
    this.#restart(wanted);
  }

  /**
   * Goes on from there. The device takes what is under way in the order in which it was sent: what begins where it will be
   * by then is of use, the rest comes in vain.
   */
  #restart(offset: number): void {
    this.#isAtEnd = false;
    this.#next = offset;
    for (const flight of this.#flights) {
      flight.isStale = flight.asked.offset !== this.#next;
      if (!flight.isStale) this.#next = flight.asked.next;
    }
  }

  #learn(flight: Flight<Req>, wanted: number): void {
    const now = performance.now();
    const flow = this.#flow;
    const isOrdinary = flight.asked.patienceMs === undefined;
    // It was silent to one behind the other and has got them all: nothing was lost, it paused.
    if (flight.isRepeat && this.#unheardBehind > 0 && wanted > flight.asked.next)
      for (let seeming = this.#unheard; seeming > 0; seeming--) this.#foundAgain(flight.length);
    if (this.#sentBeforeSilence !== undefined && wanted >= this.#sentBeforeSilence) {
      // It has got what it was not sent again.
      if (wanted > flight.asked.next) flow.onlyPaused();
      this.#sentBeforeSilence = undefined;
    }
    this.#silentMs = 0;
    this.#unheard = 0;
    this.#unheardBehind = 0;
    const tookMs = now - flight.sentAt;
    if (isOrdinary && !flight.isRepeat) flow.rtt.answered(flight.messageLength, tookMs - flight.queuedMs);
    if (isOrdinary && !flight.isRepeat && flight.isLone) this.#learnAlone(flight.messageLength, tookMs);
    if (flight.isRepeat && flow.rtt.repeatAnswered(flight.messageLength, tookMs - flight.queuedMs))
      this.#foundAgain(flight.length);
    flow.length.answered(flight.length);
    if (!isOrdinary || wanted <= this.#wanted) return;
    if (!flight.isRepeat) this.#learnServerLatency(flight, wanted - this.#wanted, now);
    flow.window.answered(wanted - this.#wanted, now);
  }

  /** Whether the server is so quick that its last buffer may be used too. */
  #learnServerLatency(flight: Flight<Req>, bytes: number, now: number): void {
    const flow = this.#flow;
    const { byteMs } = this.#client.pacing;
    const { restMs } = flow.rtt;
    if (byteMs === undefined || restMs === undefined) return;
    const lateMs = now - flight.arrivedAt - restMs;
    const onWireMs = flight.messageLength * byteMs;
    // USB and pseudo-terminals take any baud rate and care for none: nothing there keeps the next message back.
    if (flight.isLone && lateMs < -onWireMs * MOST_TOO_EARLY) flow.serverLatency.doubt();
    // No two clocks agree: behind one another messages come later and later than reckoned, but only by so much each.
    const driftMs = flight.isLone ? 0 : this.#driftMs + onWireMs * MOST_CLOCKS_DIFFER;
    this.#driftMs = Math.max(0, Math.min(lateMs, driftMs));
    const { isLone } = flight;
    flow.serverLatency.answered(bytes, {
      ownMs: lateMs - this.#driftMs,
      lineMs: byteMs * BYTES_A_LINE,
      isLone,
    });
    flow.window.takeAll(flow.serverLatency.isProven);
  }

  #learnAlone(length: number, tookMs: number): void {
    const { rtt, window } = this.#flow;
    rtt.answeredAlone(length, tookMs);
    const onLineMs = length * rtt.byteMs;
    if (onLineMs > 0) window.suggest(Math.ceil(rtt.roundMs(length) / onLineMs));
  }

  /** A request that was not answered in time: again from there, unless the device has been silent for too long. */
  #lose(flight: Flight<Req>, error: unknown): void {
    if (isOutOfBuffers(error) && this.#flow.window.size > 1) {
      this.#flow.lost();
      if (!flight.isStale) this.#restart(this.#wanted);
      return;
    }
    if (!(error instanceof RequestTimeout || error instanceof PassedOver)) throw error;
    const flow = this.#flow;
    const { counts } = this.#client;
    this.#client.link.giveUpPartial();
    flow.length.lost(flight.length);
    if (error instanceof RequestTimeout && this.#unheard++ === 0) this.#sentBeforeSilence = this.#next;
    if (flight.isStale) {
      this.#unheardBehind++;
      return;
    }
    if (error instanceof PassedOver) {
      if (flight.asked.patienceMs !== undefined) this.#passedOver++;
      flow.lost();
      counts.repeated++;
      this.#restart(this.#wanted);
      return;
    }
    // What was still to be carried has been waited for.
    if (this.#flights.length === 0) this.#wireFreeAt = Math.min(this.#wireFreeAt, performance.now());
    this.#silentMs += flight.timeoutMs;
    // Other questions were answered meanwhile: it is this command that is not.
    if (flight.asked.patienceMs !== undefined && this.#passedOver > 0) throw new PassedOver();
    if (flight.asked.patienceMs !== undefined || this.#silentMs >= this.#patienceMs) throw error;
    flow.lost();
    flow.rtt.backOff();
    counts.repeated++;
    this.#unanswered = { offset: flight.asked.offset, seq: flight.seq };
    this.#restart(this.#wanted);
  }

  /** A message that counted as lost had arrived; its answer was slow. */
  #foundAgain(length: number): void {
    const flow = this.#flow;
    flow.length.foundAgain(length);
    flow.rtt.tooHasty();
  }

  /** What an ordinary request would be given with all its retries. */
  get #patienceMs(): number {
    return this.#client.timeoutMs * (1 + this.#client.retries);
  }

  #send(asked: Asked<Req>, length: number): Promise<void> | undefined {
    const flow = this.#flow;
    const isPatient = asked.patienceMs !== undefined;
    const sentAt = performance.now();
    const queuedMs = Math.max(0, this.#wireFreeAt - sentAt);
    const timeoutMs = this.#timeoutOf(asked, length, queuedMs);
    const before = this.#unanswered?.offset === asked.offset ? this.#unanswered : undefined;
    this.#unanswered = undefined;
    const isLone = this.#flights.length === 0;
    const options = {
      signal: this.#signal,
      givesUpItself: true,
      timeoutMs,
      linePauseMs: flow.linePauseMs,
      seq: before?.seq,
      onAnsweredTwice: before && (() => this.#foundAgain(length)),
    };
    const flight: Flight<Req> = {
      asked,
      length,
      seq: 0,
      sentAt,
      timeoutMs,
      messageLength: length,
      queuedMs,
      arrivedAt: sentAt,
      isRepeat: before !== undefined,
      isLone,
      isStale: false,
      trying: undefined,
      askedBehind: undefined,
    };
    const onOutcome = (outcome: Outcome<Res>) => {
      flight.askedBehind?.();
      this.#settle(flight, outcome);
    };
    const sent = this.#client.postTo(this.#plan.command, asked.request, options, onOutcome);
    if (sent instanceof Promise) return sent.then((now) => this.#takeOff(flight, now, isPatient));
    this.#takeOff(flight, sent, isPatient);
    return undefined;
  }

  #timeoutOf({ patienceMs }: Asked<Req>, length: number, queuedMs: number): number {
    const { timeoutMs, pacing, retries } = this.#client;
    if (patienceMs !== undefined)
      return this.#passedOver >= retries ? Math.min(patienceMs, IGNORED_PATIENCE_MS) : patienceMs;
    const atMost = timeoutMs + length * (pacing.byteMs ?? 0);
    // Answers that carry data wait for each other on their way here.
    const shares = this.#plan.isReading ? this.#flow.window.size : 1;
    return this.#client.beforeRepeatMs(queuedMs + shares * this.#flow.waitMs(length, atMost));
  }

  /** It is sent: from here on it may be answered. */
  #takeOff(flight: Flight<Req>, sent: Sent, isPatient: boolean): void {
    flight.seq = sent.seq;
    flight.messageLength = sent.length;
    flight.arrivedAt = this.#arrivalOf(sent, flight);
    flight.trying = sent.trying;
    this.#open.add(flight);
    this.#flights.push(flight);
    const most = flight.isLone ? this.#questionsBehind(isPatient) : 0;
    if (most === 0 || this.#outcomes.has(flight)) return;
    const behind = { soonMs: this.#soonMs(flight.length), most, patienceMs: flight.timeoutMs };
    flight.askedBehind = askBehind(this.#client, behind, () => sent.trying.giveUp(new PassedOver()));
  }

  /** When a message that is sent now should have arrived, behind what was sent before. */
  #arrivalOf({ length, wireMs }: Sent, { sentAt }: Flight<Req>): number {
    const onWireMs = wireMs ?? length * this.#flow.rtt.byteMs;
    this.#wireFreeAt = Math.max(this.#wireFreeAt, sentAt) + onWireMs;
    return this.#wireFreeAt;
  }

  /** Questions that may wait at the server beside a lone request; each takes a buffer, as its answer in the making does. */
  #questionsBehind(isPatient: boolean): number {
    const { framing, server, retries } = this.#client;
    const spare = this.#flow.safeWindow - 1;
    // A raw server that is busy holds a few bytes of it, loses the rest, and takes what follows for that rest.
    if (framing.name === "raw") return 0;
    // Where a wait is short, only a server that is known to hold several messages is asked.
    if (!isPatient) return this.#flow.window.isNoisy ? 0 : Math.min(1, spare);
    if (this.#passedOver >= retries) return 0;
    // One with a single buffer answers in the request's own.
    const isCounted = framing.name === "console" && server.mode !== "recovery" && (server.bufCount ?? 0) > 1;
    return isCounted ? Math.min(spare, retries) : retries;
  }

  /** Silence that is more than the usual, where that is known. */
  #soonMs(length: number): number {
    return this.#flow.rtt.waitMs(length, ASK_BEHIND_MS, { window: 1, isNoisy: true });
  }
}

/** Share of its time on the wire by which a message may be earlier than the baud rate allows. */
const MOST_TOO_EARLY = 0.25;
/** Share by which the clock of a UART may be slower than its baud rate says. */
const MOST_CLOCKS_DIFFER = 0.01;
/** Decoded bytes that a full console line carries. */
const BYTES_A_LINE = 93;

/** The server had no buffer left for its answer. */
function isOutOfBuffers(error: unknown): boolean {
  return error instanceof DeviceError && error.rcName === "ENOMEM";
}

/** How long a patient request is waited for at last, when the device has answered everything else meanwhile. */
const IGNORED_PATIENCE_MS = 15_000;

/** Silence after which, at the latest, a question is asked behind a request. */
const ASK_BEHIND_MS = 1000;
