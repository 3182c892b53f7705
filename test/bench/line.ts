import type { ByteStream } from "../../src/transport/transport.js";

/** A serial line as it really is, between a client and a board whose own end knows no time. */
export interface LineOptions {
  /** Bits a second, 8N1: ten bits a byte, each direction on its own. */
  baud: number;
  /** Added to every answer's way: what an adapter or a host holds back. */
  delayMs: number;
  /** Bytes that a UART hands over at once; a rest is handed over when it is complete. */
  fifo: number;
  /** Share of bytes that arrive as others, in both directions. */
  errorRate: number;
  /** Where the errors fall. The same number, the same errors for the same bytes. */
  seed: number;
}

const BITS_A_BYTE = 10;
/** What a kernel takes from a writer before it makes him wait. */
const KERNEL_BUFFER = 4096;

/** Puts a line before a board's end. */
export class Line implements ByteStream {
  readonly name: string;
  readonly baudRate: number;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Bytes that were damaged on their way. */
  damaged = 0;
  readonly #board: ByteStream;
  readonly #toBoard: Lane;
  readonly #toHost: Lane;
  readonly #random: () => number;
  readonly #errorRate: number;

  constructor(board: ByteStream, options: LineOptions) {
    const { baud, delayMs, fifo, errorRate, seed } = options;
    this.name = board.name;
    this.baudRate = baud;
    this.#board = board;
    this.#random = randomFrom(seed);
    this.#errorRate = errorRate;
    const byteMs = (1000 * BITS_A_BYTE) / baud;
    this.#toBoard = new Lane({ byteMs, fifo, delayMs: 0 });
    this.#toHost = new Lane({ byteMs, fifo, delayMs });
    void this.#carryToBoard();
    void this.#carryToHost();
    this.chunks = this.#toHost.chunks();
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#toBoard.push(this.#damage(bytes));
    await this.#toBoard.untilLeft(KERNEL_BUFFER);
  }

  async close(): Promise<void> {
    this.#toBoard.end();
    this.#toHost.end();
    await this.#board.close();
  }

  async #carryToBoard(): Promise<void> {
    for await (const piece of this.#toBoard.chunks()) await this.#board.write(piece);
  }

  async #carryToHost(): Promise<void> {
    for await (const chunk of this.#board.chunks) this.#toHost.push(this.#damage(chunk));
    this.#toHost.end();
  }

  #damage(bytes: Uint8Array): Uint8Array {
    const carried = bytes.slice();
    if (this.#errorRate === 0) return carried;
    for (let at = 0; at < carried.length; at++) {
      if (this.#random() >= this.#errorRate) continue;
      this.damaged++;
      carried[at]! ^= 1 + Math.floor(this.#random() * 255);
    }
    return carried;
  }
}

/** One direction: bytes arrive one after the other, at their time. */
class Lane {
  readonly #byteMs: number;
  readonly #fifo: number;
  readonly #delayMs: number;
  #freeAt = 0;
  #pieces: { bytes: Uint8Array; at: number }[] = [];
  #ended = false;
  #wake: () => void = () => {};

  constructor(options: { byteMs: number; fifo: number; delayMs: number }) {
    this.#byteMs = options.byteMs;
    this.#fifo = options.fifo;
    this.#delayMs = options.delayMs;
  }

  push(bytes: Uint8Array): void {
    let at = Math.max(performance.now(), this.#freeAt);
    for (let start = 0; start < bytes.length; start += this.#fifo) {
      const piece = bytes.subarray(start, start + this.#fifo);
      at += piece.length * this.#byteMs;
      this.#pieces.push({ bytes: piece, at: at + this.#delayMs });
    }
    this.#freeAt = at;
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** Resolves when at most so many bytes wait for the wire. */
  async untilLeft(bytes: number): Promise<void> {
    if (!this.#ended) await until(this.#freeAt - bytes * this.#byteMs);
  }

  async *chunks(): AsyncGenerator<Uint8Array, void, void> {
    while (!this.#ended) {
      const next = this.#pieces[0];
      if (!next) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      await until(next.at);
      // What is still on a line that was closed arrives nowhere.
      while (!this.#ended && this.#pieces[0] && this.#pieces[0].at <= performance.now())
        yield this.#pieces.shift()!.bytes;
    }
  }
}

/** Node's timers know whole milliseconds: what is left of one is watched, and no more, for the board needs the processor too. */
async function until(at: number): Promise<void> {
  const restMs = at - performance.now();
  if (restMs <= 0) return;
  // In virtual time a timer is exact, and time does not pass while something is watched.
  const sleepMs = isTimeVirtual ? restMs : Math.floor(restMs);
  if (sleepMs > 0) await new Promise((resolve) => setTimeout(resolve, sleepMs));
  while (!isTimeVirtual && performance.now() < at) await new Promise((resolve) => setImmediate(resolve));
}

let isTimeVirtual = false;

/** Says by which clock lines work from here on. */
export function setClock(clock: "virtual" | "real"): void {
  isTimeVirtual = clock === "virtual";
}

/** Mulberry32: small, and the same on every machine. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
