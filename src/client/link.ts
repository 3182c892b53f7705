import { setTimeout as delay } from "node:timers/promises";
import { concat } from "../bytes.js";
import type { Decoder, Framing, ReceivedFault } from "../smp/framing/framing.js";
import { ChunkQueue } from "../transport/chunk-queue.js";
import type { ByteStream, SilenceClue } from "../transport/transport.js";
import { isBootText, ReceiveDiagnostics } from "./receive-diagnostics.js";

/** Who is told what a {@link Link} hears, in the order it was heard. */
export interface LinkListener {
  /** `framing`: by which of the link's framings it was understood. */
  message(bytes: Uint8Array, framing: Framing): void;
  /** A line of the log that shares the wire. As the device sent it: clean it before it reaches a terminal. */
  text(line: string): void;
  fault(fault: ReceivedFault): void;
  /** Nothing more will come: this side closed, or `error` says why the pipe ended. Called once. */
  ended(error?: unknown): void;
}

export interface LinkSendOptions {
  /** Looked at before each piece is sent: whether anybody waits for an answer. Default: somebody does. */
  wanted?: { readonly isWanted: boolean } | undefined;
  /** Rest between two lines of one message, for a server that loses lines in a burst. Default 0: all at once. */
  linePauseMs?: number | undefined;
  /** Default: the link's. */
  framing?: Framing | undefined;
}

const LF = 0x0a;
const SOMEBODY = { isWanted: true };

/**
 * What ends a half line, from noise or from another program, without harm to whoever may listen: a console server drops
 * it as no SMP; for a shell it is a few DEL keys and Enter; a raw server reads a header with an op that does not exist
 * and a length that fits no buffer, and drops all eight bytes. A lone LF would shift everything a raw server hears.
 */
const END_OF_LINE = Uint8Array.of(0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, LF);

/** Start, eight, stop. */
const BITS_A_BYTE = 10;
const BYTES_OF_A_SAMPLE = 1024;

/** More than the 20 ms between two looks of an emulated UART at its pseudo-terminal. */
const REST_AFTER_LINE_MS = 30;

/**
 * Framings on a pipe: whole messages go out and come in, console text is kept beside them. While it is not known which
 * framing the device speaks there are several; all of them listen until one is settled.
 */
export class Link {
  readonly #stream: ByteStream;
  readonly #listener: LinkListener;
  #framing: Framing;
  #decoders: readonly { readonly framing: Framing; readonly decoder: Decoder }[];
  #diagnostics = new ReceiveDiagnostics();
  #isBooting = false;
  #lastHeardAt = Number.NEGATIVE_INFINITY;
  /** Resolves when what was sent before is written: the lines of two messages must not mix. */
  #written: Promise<void> = Promise.resolve();
  #beingWritten = 0;
  /** How long messages are with their framing. */
  #sized: { framing: Framing; lengths: Map<number, number> };

  /** Starts to listen at once. `framings`: at least one, the likeliest first. */
  constructor(stream: ByteStream, framings: readonly [Framing, ...Framing[]], listener: LinkListener) {
    this.#stream = stream;
    this.#framing = framings[0];
    this.#sized = { framing: framings[0], lengths: new Map() };
    this.#decoders = framings.map((framing) => ({ framing, decoder: framing.decoder() }));
    this.#listener = listener;
    if (stream.chunks instanceof ChunkQueue)
      stream.chunks.listen({ chunk: (chunk) => this.#take(chunk), ended: (error) => this.#end(error) });
    else void this.#listen(stream.chunks);
  }

  /** The pipe's name. */
  get name(): string {
    return this.#stream.name;
  }

  /** What is known of the pipe that may be why nothing comes out of it. */
  explainSilence(): SilenceClue | undefined {
    return this.#stream.explainSilence?.();
  }

  /** The one that is spoken; while that is not settled, the likeliest. */
  get framing(): Framing {
    return this.#framing;
  }

  /** All that are listened for. */
  get framings(): readonly Framing[] {
    return this.#decoders.map(({ framing }) => framing);
  }

  get isSettled(): boolean {
    return this.#decoders.length === 1;
  }

  /** From here on only this framing is spoken and listened for. */
  settle(framing: Framing): void {
    this.#framing = framing;
    if (!this.isSettled) this.#decoders = this.#decoders.filter((one) => one.framing === framing);
  }

  /** What hears now. */
  get diagnostics(): ReceiveDiagnostics {
    return this.#diagnostics;
  }

  /** A fresh ear, which hears from now until the next one is asked for. */
  newDiagnostics(): ReceiveDiagnostics {
    this.#diagnostics = new ReceiveDiagnostics(this.#isBooting);
    return this.#diagnostics;
  }

  /** True when the device was heard starting, and has said no message since. */
  get isBooting(): boolean {
    return this.#isBooting;
  }

  /** True when a byte has come since the link was opened, whatever it was. */
  get hasHeardBytes(): boolean {
    return Number.isFinite(this.#lastHeardAt);
  }

  /**
   * Sends one message, or what of it is wanted. Throws `TransportError`; nothing to wait for where the pipe's end tells of
   * a failure.
   */
  send(message: Uint8Array, options: LinkSendOptions = {}): Promise<void> | undefined {
    const { wanted = SOMEBODY, linePauseMs = 0, framing = this.#framing } = options;
    // Nearly always nothing waits.
    if (this.#beingWritten === 0 && linePauseMs === 0 && this.isSettled && this.#stream.send) {
      try {
        this.#stream.send(framing.encode(message));
        return undefined;
      } catch (error) {
        return Promise.reject(error);
      }
    }
    return this.#inTurn(async () => {
      if (!wanted.isWanted) return;
      const bytes = framing.encode(message);
      if (!this.isSettled && framing.name === "console") return this.#stream.write(inEights(bytes));
      if (linePauseMs === 0) return this.#stream.write(bytes);
      const pieces = framing.name === "console" ? splitLines(bytes) : [bytes];
      for (const [index, piece] of pieces.entries()) {
        if (index > 0) await pause(linePauseMs, undefined);
        if (!wanted.isWanted) return;
        await this.#stream.write(piece);
      }
    });
  }

  /** Whether it is known how fast the wire is. */
  get hasSpeed(): boolean {
    return this.#stream.baudRate !== undefined;
  }

  /** What a byte of a message takes on the wire, framing included, where its speed is known. */
  byteMs(framing: Framing): number | undefined {
    const { baudRate } = this.#stream;
    if (baudRate === undefined) return undefined;
    const sample = framing.largestMessage(BYTES_OF_A_SAMPLE);
    return (this.#encodedLength(framing, sample) / sample) * ((BITS_A_BYTE * 1000) / baudRate);
  }

  /** How long the message takes on the wire, where its speed is known: at 9600 baud that can be seconds. */
  wireMs({ length }: Uint8Array): number {
    const { baudRate } = this.#stream;
    if (baudRate === undefined) return 0;
    return (this.#encodedLength(this.#framing, length) * BITS_A_BYTE * 1000) / baudRate;
  }

  /** The same for all messages of a length, and most of a transfer's are of one. */
  #encodedLength(framing: Framing, length: number): number {
    if (this.#sized.framing !== framing) this.#sized = { framing, lengths: new Map() };
    const known = this.#sized.lengths.get(length);
    if (known !== undefined) return known;
    const encoded = framing.encode(new Uint8Array(length)).length;
    this.#sized.lengths.set(length, encoded);
    return encoded;
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
   * the first message. Then rests a little: Zephyr's shell takes a frame for one only where a batch of received bytes
   * begins. Only for a device that may speak console framing.
   */
  endLine(signal?: AbortSignal): Promise<void> {
    return this.#inTurn(async () => {
      await this.#stream.write(END_OF_LINE);
      await pause(REST_AFTER_LINE_MS, signal);
    });
  }

  /** Gives up half a message or half a line of text whose rest did not come. */
  giveUpPartial(): void {
    for (const { framing, decoder } of this.#decoders) this.#receive(decoder.flush(), framing);
  }

  close(): Promise<void> {
    return this.#stream.close();
  }

  /** Pieces of different messages, and half lines, must not get between each other. */
  #inTurn(act: () => Promise<void>): Promise<void> {
    // Nearly always nothing waits.
    const done = this.#beingWritten === 0 ? act() : this.#written.then(act);
    this.#beingWritten++;
    const over = () => void this.#beingWritten--;
    this.#written = done.then(over, over);
    return done;
  }

  async #listen(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of chunks) this.#take(chunk);
      this.#end();
    } catch (error) {
      this.#end(error);
    }
  }

  #take(chunk: Uint8Array): void {
    this.#lastHeardAt = performance.now();
    this.#diagnostics.receiveBytes(chunk);
    for (const { framing, decoder } of this.#decoders) this.#receive(decoder.push(chunk), framing);
  }

  #end(error?: unknown): void {
    this.giveUpPartial();
    this.#listener.ended(error);
  }

  #receive(all: ReturnType<Decoder["push"]>, framing: Framing): void {
    for (const received of all) {
      if (received.kind === "message") {
        if (framing === this.#framing) this.#isBooting = false;
        this.#listener.message(received.bytes, framing);
      }
      // What is no message is judged by the likeliest framing: every byte of the others is a fault to it.
      else if (framing !== this.#framing) continue;
      else if (received.kind === "text") {
        this.#isBooting ||= isBootText(received.text);
        this.#diagnostics.receiveText(received.text);
        this.#listener.text(received.text);
      } else {
        this.#diagnostics.receiveFault(received.code);
        this.#listener.fault(received);
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

/**
 * Console lines as a raw server may hear them unharmed: it takes eight bytes for a header, finds one that cannot be
 * (base64 where the length stands), and drops them. Filled up with LF to a multiple of eight nothing stays behind that
 * would spoil the raw question that comes next. Tried with Zephyr 4.4 and MCUboot's recovery.
 */
function inEights(lines: Uint8Array): Uint8Array {
  return concat(lines, new Uint8Array(-lines.length & 7).fill(LF));
}

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
