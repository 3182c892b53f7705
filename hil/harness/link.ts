import { setTimeout as delay } from "node:timers/promises";
import {
  BootproofError,
  type ByteStream,
  type Client,
  connect,
  identify,
  RequestTimeout,
  readFacts,
  restart,
  retryUntilBack,
  runWorkflow,
  Session,
  TransportError,
} from "bootproof";
import type { Start } from "../board.js";
import type { LogLine } from "../log-buffer.js";
import { type Snapshot, silentSnapshot, snapshotOf } from "../snapshot.js";
import { type HarnessContext, isMachine, isUnreachable, silenceMs } from "./context.js";
import { NotJudged } from "./not-judged.js";
import { Patience } from "./patience.js";

/** How long a machine that was just started is left alone, and how often it is started anew when it is deaf. */
const FIRST_WORD_MS = 800;
const MOST_STARTS = 4;
/** An emulated machine restarts at once: when it looks as before by then, nothing has changed. */
const MACHINE_RESTARTS_MS = 1500;

/** After the last line of its boot a machine goes on setting itself up for a moment; and its host may be busy with others. */
const SETS_UP_MS = 100;
/** An image that boots with other words is asked after this long. */
const BOOTS_WITHIN_MS = 20_000;

/** Wraps the SMP line: how link trouble is made. */
export type Tamper = (stream: ByteStream) => ByteStream;

/** The SMP line of a board, over restarts and trouble. */
export class Line {
  readonly #context: HarnessContext;
  #session: Session | undefined;
  #tamper: Tamper | undefined;
  /** How the last line of a boot begins, of machines that log on the line itself. */
  #bootEndsWith: string | undefined;
  /** Who is there, as far as it was told without asking: the next question then needs no introduction. */
  #lastStart: Start = "unknown";

  constructor(context: HarnessContext) {
    this.#context = context;
  }

  get session(): Session {
    if (!this.#session) throw new NotJudged("The board was not reached.");
    return this.#session;
  }

  get client(): Client {
    return this.session.client;
  }

  /** The board's log has said who started. */
  noteStart(start: Start): void {
    this.#lastStart = start;
  }

  /**
   * An emulated machine that was asked too early may be deaf until its next start; it gets some. A board that has just been
   * given power may have to be enumerated before its port is there.
   */
  async open(): Promise<void> {
    const { board, signal } = this.#context;
    const wait = { signal, withinMs: silenceMs(this.#context), wasListed: board.can.has("power") };
    const patience = new Patience(silenceMs(this.#context));
    for (let tries = 1; ; tries++) {
      try {
        this.#session = await retryUntilBack(() => Session.open((how) => this.#connect(how), signal), wait);
        return;
      } catch (error) {
        if (!(error instanceof RequestTimeout)) throw error;
        if (isMachine(board) ? tries === MOST_STARTS : patience.isOver) throw error;
        if (!isMachine(board)) continue;
        await board.powerOff();
        await board.powerOn();
      }
    }
  }

  async close(): Promise<void> {
    await this.#session?.close();
  }

  /** From now on the line goes through `tamper`; undefined ends that. */
  async tamperWith(tamper: Tamper | undefined): Promise<void> {
    this.#tamper = tamper;
    await this.session.reopen(this.#context.signal);
  }

  /** The next time the line is opened it is as it should be. */
  mend(): void {
    this.#tamper = undefined;
  }

  /** What the board shows now. A board that restarts meanwhile is waited for; one that stays away is `silent`. */
  async read(label: string): Promise<Snapshot> {
    const { signal } = this.#context;
    const patience = new Patience(silenceMs(this.#context));
    for (;;) {
      signal.throwIfAborted();
      try {
        await this.identifyUnlessKnown();
        return snapshotOf(await readFacts(this.session, { signal }), label);
      } catch (error) {
        if (!(error instanceof BootproofError) || !isUnreachable(error)) throw error;
        if (patience.isOver) return silentSnapshot(label);
        this.#lastStart = "unknown";
        if (error instanceof TransportError) await this.#reopen();
      }
    }
  }

  /**
   * Unless the log has told that it is the same as before, whoever answers now may be another server than before, with
   * other buffers.
   */
  async identifyUnlessKnown(): Promise<void> {
    if (this.#lastStart === this.client.server.mode) return;
    const { signal, traits } = this.#context;
    await identify(this.client, { signal, probeTimeoutMs: traits.canProgram ? 250 : 1000, probes: 3 });
  }

  /** A restart that is asked for over SMP, and waited for. */
  async askRestart(how: { bootMode?: number }): Promise<void> {
    const { signal, board } = this.#context;
    const unchangedMs = isMachine(board) ? MACHINE_RESTARTS_MS : undefined;
    const isApplication = how.bootMode === undefined;
    const hearOut = isApplication ? this.#hearOut() : undefined;
    try {
      await runWorkflow(
        restart(this.session, { signal, withinMs: silenceMs(this.#context), unchangedMs, hearOut, ...how }),
      );
    } catch (error) {
      // A board that stays away is a finding for whoever looks next.
      if (!(error instanceof BootproofError) || !isUnreachable(error)) throw error;
    }
  }

  /**
   * A machine that logs on its SMP line is asked nothing before it has said the last words of its boot: bytes that reach an
   * emulated nRF51 while it sets its UART up make it deaf, and a deaf board looks like a dead one.
   */
  #hearOut(): ((signal: AbortSignal | undefined) => Promise<void>) | undefined {
    const ending = this.#bootEndsWith;
    if (ending === undefined) return undefined;
    const { log } = this.#context.board;
    const from = log.end;
    return async (signal) => {
      await log.waitFor(startingWith(ending), { from, withinMs: BOOTS_WITHIN_MS, signal });
      await delay(SETS_UP_MS, undefined, { signal });
    };
  }

  async #reopen(): Promise<void> {
    const { signal } = this.#context;
    await this.session.reopen(signal).catch(async (error: unknown) => {
      if (!(error instanceof BootproofError)) throw error;
      await delay(100, undefined, { signal });
    });
  }

  async #connect(signal: AbortSignal | undefined): Promise<Client> {
    const { board, traits } = this.#context;
    const stream = await board.open(signal);
    // Bytes that reach a UART while its driver sets it up can make it deaf until the next reset (emulated nRF51).
    if (isMachine(board)) await delay(FIRST_WORD_MS, undefined, { signal });
    const from = board.log.end;
    const client = await connect(this.#tamper?.(stream) ?? stream, {
      signal,
      ...(traits.canProgram ? { timeoutMs: this.#tamper ? 250 : 1000, probeTimeoutMs: 300, probes: 8 } : {}),
      trace: (record) => this.#context.recorder.traced(record),
      onText: (line) => board.log.add("console", line),
    });
    if (isMachine(board)) this.#bootEndsWith ??= endingOf(board.log.since(from));
    return client;
  }
}

/** Up to the first thing that another boot or another image says otherwise, behind a time: digits. */
function endingOf(lines: readonly LogLine[]): string | undefined {
  const last = lines.findLast(({ text }) => text.trim() !== "")?.text;
  return last === undefined ? undefined : withoutTime(last).match(/^\D*/)![0] || undefined;
}

/** `[00:00:00.118,869] <inf> app: ready` without its time and colours. */
function withoutTime(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
  return text.replace(/\u001b?\[[\d;]*m/g, "").replace(/^\[[\d:.,]+\]\s*/, "");
}

function startingWith(ending: string): { test(text: string): boolean } {
  return { test: (text) => withoutTime(text).startsWith(ending) };
}
