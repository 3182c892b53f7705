import { ChunkQueue } from "../transport/chunk-queue.js";
import { type ByteStream, TransportError } from "../transport/transport.js";

/** Bytes that wait for the board before a writer is held back: about what a kernel buffers for a tty. */
const HIGH_WATER = 64 * 1024;

/**
 * The host's end of a board's SMP UART, like the adapter on the desk: it stays when the board resets or loses power.
 * Bytes sent to a board without power are gone; bytes from a board that nobody listens to are too.
 */
export class Uart {
  readonly name: string;
  /** Called when a byte for the board has come. */
  onInput: () => void = () => {};
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #stream: UartStream | undefined;
  #hasPower = false;
  #drained: (() => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  get hasInput(): boolean {
    return this.#waitingBytes > 0;
  }

  /** One at a time. Throws TransportError `busy`. */
  open(): ByteStream {
    if (this.#stream) {
      throw new TransportError("busy", this.name, `${this.name} is already connected`, {
        hint: "Close the other connection first: a UART connects two ends only.",
      });
    }
    this.#stream = new UartStream(this);
    return this.#stream;
  }

  /** With power off everything that waits is lost. */
  setPower(on: boolean): void {
    this.#hasPower = on;
    if (!on) this.#drop();
  }

  /** The board's side: takes at most `max` bytes. */
  read(max: number): Uint8Array {
    const first = this.#waiting[0];
    if (!first) return new Uint8Array(0);
    const taken = first.subarray(0, max);
    if (taken.length === first.length) this.#waiting.shift();
    else this.#waiting[0] = first.subarray(taken.length);
    this.#waitingBytes -= taken.length;
    if (this.#waitingBytes <= HIGH_WATER) this.#release();
    return taken;
  }

  /** The board's side: sends. */
  write(bytes: Uint8Array): void {
    this.#stream?.chunks.push(bytes);
  }

  /** The board is gone for good. */
  close(): void {
    this.setPower(false);
    this.#stream?.lose();
    this.#stream = undefined;
  }

  /** For the stream. */
  async send(bytes: Uint8Array): Promise<void> {
    if (!this.#hasPower || bytes.length === 0) return;
    this.#waiting.push(bytes.slice());
    this.#waitingBytes += bytes.length;
    this.onInput();
    if (this.#waitingBytes > HIGH_WATER) await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  /** For the stream. */
  detach(stream: ByteStream): void {
    if (this.#stream === stream) this.#stream = undefined;
  }

  #drop(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#release();
  }

  #release(): void {
    for (const resolve of this.#drained.splice(0)) resolve();
  }
}

class UartStream implements ByteStream {
  readonly name: string;
  readonly chunks = new ChunkQueue();
  readonly #uart: Uart;
  #closed = false;
  #lost: TransportError | undefined;

  constructor(uart: Uart) {
    this.name = uart.name;
    this.#uart = uart;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#closed) throw new TransportError("failed", this.name, `${this.name} is already closed`);
    if (this.#lost) throw this.#lost;
    await this.#uart.send(bytes);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.chunks.end();
    this.#uart.detach(this);
  }

  lose(): void {
    this.#lost = new TransportError("lost", this.name, `${this.name} was switched off`);
    this.chunks.fail(this.#lost);
  }
}
