import { setTimeout as delay } from "node:timers/promises";
import type { Decoder, Framing, HeardFault } from "../smp/framing/framing.js";
import type { ByteStream } from "../transport/transport.js";
import { Ear } from "./ear.js";

/** Who is told what a {@link Link} hears, in the order it was heard. */
export interface LinkListener {
  message(bytes: Uint8Array): void;
  /** A line of the log that shares the wire. As the device sent it: clean it before it reaches a terminal. */
  text(line: string): void;
  fault(fault: HeardFault): void;
  /** Nothing more will come: this side closed, or `error` says why the pipe ended. Called once. */
  ended(error?: unknown): void;
}

export interface LinkSendOptions {
  signal?: AbortSignal | undefined;
  /** Rest between two lines of one message, for a server that loses lines in a burst. Default 0: all at once. */
  linePauseMs?: number | undefined;
}

const LF = 0x0a;

/** A framing on a pipe: whole messages go out and come in, console text is kept beside them. */
export class Link {
  readonly framing: Framing;
  readonly #stream: ByteStream;
  readonly #decoder: Decoder;
  readonly #listener: LinkListener;
  #ear = new Ear();
  #lastHeardAt = Number.NEGATIVE_INFINITY;

  /** Starts to listen at once. */
  constructor(stream: ByteStream, framing: Framing, listener: LinkListener) {
    this.#stream = stream;
    this.framing = framing;
    this.#decoder = framing.decoder();
    this.#listener = listener;
    void this.#listen();
  }

  /** The pipe's name. */
  get name(): string {
    return this.#stream.name;
  }

  /** A fresh ear, which hears from now until the next one is asked for. */
  newEar(): Ear {
    this.#ear = new Ear();
    return this.#ear;
  }

  /** Sends one message. Throws `TransportError`; abort throws the signal's reason, even between two lines. */
  async send(message: Uint8Array, options: LinkSendOptions = {}): Promise<void> {
    const { signal, linePauseMs = 0 } = options;
    signal?.throwIfAborted();
    const bytes = this.framing.encode(message);
    const pieces = linePauseMs > 0 && this.framing.name === "console" ? splitLines(bytes) : [bytes];
    for (const [index, piece] of pieces.entries()) {
      if (index > 0) await pause(linePauseMs, signal);
      await this.#stream.write(piece);
    }
  }

  /** Resolves when nothing was heard for `quietMs`, or after `atMostMs` on a wire that never rests. */
  async quiet(options: {
    quietMs: number;
    atMostMs: number;
    signal?: AbortSignal | undefined;
  }): Promise<void> {
    const { quietMs, atMostMs, signal } = options;
    const latest = performance.now() + atMostMs;
    for (;;) {
      signal?.throwIfAborted();
      const restMs = Math.min(this.#lastHeardAt + quietMs, latest) - performance.now();
      if (restMs <= 0) return;
      await pause(restMs, signal);
    }
  }

  /**
   * Ends whatever half line the device may hold, from noise or from another program: bytes before a marker would cost
   * the first message. Raw framing has no such thing.
   */
  async endLine(): Promise<void> {
    if (this.framing.name === "console") await this.#stream.write(Uint8Array.of(LF));
  }

  /** Gives up half a message or half a line of text whose rest did not come. */
  giveUpPartial(): void {
    this.#hear(this.#decoder.flush());
  }

  close(): Promise<void> {
    return this.#stream.close();
  }

  async #listen(): Promise<void> {
    try {
      for await (const chunk of this.#stream.chunks) {
        this.#lastHeardAt = performance.now();
        this.#ear.hearBytes(chunk);
        this.#hear(this.#decoder.push(chunk));
      }
      this.giveUpPartial();
      this.#listener.ended();
    } catch (error) {
      this.giveUpPartial();
      this.#listener.ended(error);
    }
  }

  #hear(all: ReturnType<Decoder["push"]>): void {
    for (const heard of all) {
      if (heard.kind === "message") this.#listener.message(heard.bytes);
      else if (heard.kind === "text") {
        this.#ear.hearText(heard.text);
        this.#listener.text(heard.text);
      } else {
        this.#ear.hearFault(heard.code);
        this.#listener.fault(heard);
      }
    }
  }
}

/** True when a message of this length travels in more lines than the slowest servers hold at once. */
export function isBurst(framing: Framing, message: Uint8Array): boolean {
  return framing.name === "console" && splitLines(framing.encode(message)).length > LINES_EVERY_SERVER_HOLDS;
}

/** `CONFIG_UART_MCUMGR_RX_BUF_COUNT` of Zephyr by default. */
const LINES_EVERY_SERVER_HOLDS = 2;

/** Rests; abort throws the signal's own reason, where node throws an AbortError around it. */
async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => signal?.throwIfAborted());
}

function splitLines(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(LF, at) + 1 || bytes.length;
    lines.push(bytes.subarray(at, end));
    at = end;
  }
  return lines;
}
