import { setTimeout as delay } from "node:timers/promises";
import {
  BootproofError,
  type ByteStream,
  type Client,
  connect,
  identify,
  onceBack,
  RequestTimeout,
  readFacts,
  restart,
  run,
  Session,
  TransportError,
} from "bootproof";
import type { Start } from "../board.js";
import { type Sight, sightOf, silentSight } from "../sight.js";
import { type Desk, isLost, NotJudged, silenceMs } from "./desk.js";

/** How long a machine that was just started is left alone, and how often it is started anew when it is deaf. */
const FIRST_WORD_MS = 800;
const MOST_STARTS = 4;
/** An emulated machine restarts at once: when it looks as before by then, nothing has changed. */
const MACHINE_RESTARTS_MS = 1500;

/** Wraps the SMP line: how link trouble is made. */
export type Tamper = (stream: ByteStream) => ByteStream;

/** The SMP line of a board, over restarts and trouble. */
export class Line {
  readonly #desk: Desk;
  #session: Session | undefined;
  #tamper: Tamper | undefined;
  /** Who is there, as far as it was told without asking: the next question then needs no introduction. */
  #told: Start = "unknown";

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  get session(): Session {
    if (!this.#session) throw new NotJudged("The board was not reached.");
    return this.#session;
  }

  get client(): Client {
    return this.session.client;
  }

  /** The board's log has said who started. */
  told(start: Start): void {
    this.#told = start;
  }

  /**
   * An emulated machine that was asked too early may be deaf until its next start; it gets some. A board that has just been
   * given power may have to be enumerated before its port is there.
   */
  async open(): Promise<void> {
    const { board, signal } = this.#desk;
    const wait = { signal, withinMs: silenceMs(this.#desk), wasListed: board.can.has("power") };
    for (let tries = 1; ; tries++) {
      try {
        this.#session = await onceBack(() => Session.open((how) => this.#connect(how), signal), wait);
        return;
      } catch (error) {
        if (!board.can.has("forgets") || tries === MOST_STARTS || !(error instanceof RequestTimeout))
          throw error;
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
    await this.session.reopen(this.#desk.signal);
  }

  /** The next time the line is opened it is as it should be. */
  mend(): void {
    this.#tamper = undefined;
  }

  /** What the board shows now. A board that restarts meanwhile is waited for; one that stays away is `silent`. */
  async read(label: string): Promise<Sight> {
    const { signal } = this.#desk;
    const deadline = performance.now() + silenceMs(this.#desk);
    for (;;) {
      signal.throwIfAborted();
      try {
        await this.identifyUnlessTold();
        return sightOf(await readFacts(this.session, { signal }), label);
      } catch (error) {
        if (!(error instanceof BootproofError) || !isLost(error)) throw error;
        if (performance.now() > deadline) return silentSight(label);
        this.#told = "unknown";
        if (error instanceof TransportError) await this.#reopen();
      }
    }
  }

  /**
   * Unless the log has told that it is the same as before, whoever answers now may be another server than before, with
   * other buffers.
   */
  async identifyUnlessTold(): Promise<void> {
    if (this.#told === this.client.server.mode) return;
    const { signal, canProgram } = this.#desk;
    await identify(this.client, { signal, probeTimeoutMs: canProgram ? 250 : 1000, probes: 3 });
  }

  /** A restart that is asked for over SMP, and waited for. */
  async askRestart(how: { bootMode?: number }): Promise<void> {
    const { signal, board } = this.#desk;
    const unchangedMs = board.can.has("forgets") ? MACHINE_RESTARTS_MS : undefined;
    try {
      await run(restart(this.session, { signal, withinMs: silenceMs(this.#desk), unchangedMs, ...how }));
    } catch (error) {
      // A board that stays away is a finding for whoever looks next.
      if (!(error instanceof BootproofError) || !isLost(error)) throw error;
    }
  }

  async #reopen(): Promise<void> {
    const { signal } = this.#desk;
    await this.session.reopen(signal).catch(async (error: unknown) => {
      if (!(error instanceof BootproofError)) throw error;
      await delay(100, undefined, { signal });
    });
  }

  async #connect(signal: AbortSignal | undefined): Promise<Client> {
    const { board, canProgram } = this.#desk;
    const stream = await board.open(signal);
    // Bytes that reach a UART while its driver sets it up can make it deaf until the next reset (emulated nRF51).
    if (board.can.has("forgets")) await delay(FIRST_WORD_MS, undefined, { signal });
    return connect(this.#tamper?.(stream) ?? stream, {
      signal,
      ...(canProgram ? { timeoutMs: this.#tamper ? 250 : 1000, probeTimeoutMs: 300, probes: 8 } : {}),
      trace: (record) => this.#desk.recorder.heard(record),
      onText: (line) => board.log.add("console", line),
    });
  }
}
