/** The first bytes of the two markers of console framing, and what makes each a marker. */
const MARKERS: Readonly<Record<number, number>> = { 6: 9, 4: 20 };
const LF = 0x0a;

/**
 * What a person should see of a wire that carries SMP too: everything but the frames. Unlike a decoder it hands bytes on at
 * once, because a prompt has no line end. Pure; bounded by one byte.
 */
export class ConsoleText {
  /** A byte that may begin a marker; undefined when none is held. */
  #half: number | undefined;
  #inFrame = false;

  /** The bytes of a chunk that are no part of a frame. */
  push(chunk: Uint8Array): Uint8Array {
    const text: number[] = [];
    for (const byte of chunk) this.#take(byte, text);
    return Uint8Array.from(text);
  }

  #take(byte: number, text: number[]): void {
    if (this.#inFrame) {
      this.#inFrame = byte !== LF;
      return;
    }
    const half = this.#half;
    this.#half = undefined;
    if (half !== undefined) {
      this.#inFrame = byte === MARKERS[half];
      if (this.#inFrame) return;
      text.push(half);
    }
    if (byte in MARKERS) this.#half = byte;
    else text.push(byte);
  }
}
