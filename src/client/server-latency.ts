/** Data behind which a server that writes a sector's worth and erases the next one must have shown how slow that is. */
const BYTES_OF_PROOF = 4096;
/** Share of the time of a line on the wire that a server may take for a message. */
const SHARE_OF_A_LINE = 0.5;

/**
 * Whether a server is done with each message before the next one behind it has brought its first line. Only then one request
 * more than buffers beside the answer's may be under way: it is on the wire while the server has nothing to do.
 */
export class ServerLatency {
  #bytes = 0;
  #isSlowAlone = false;
  #isSuspect = false;

  get isProven(): boolean {
    return !this.#isSlowAlone && !this.#isSuspect && this.#bytes >= BYTES_OF_PROOF;
  }

  /**
   * `ownMs`: what an answer took beyond the times of the line; `lineMs`: of one line on the wire. A message that is alone
   * shows what the server takes for each, others only what it takes more for some.
   */
  answered(
    bytes: number,
    { ownMs, lineMs, isLone }: { ownMs: number; lineMs: number; isLone: boolean },
  ): void {
    const isQuick = ownMs <= lineMs * SHARE_OF_A_LINE;
    this.#bytes = isQuick ? this.#bytes + bytes : Math.min(0, this.#bytes);
    if (isLone) this.#isSlowAlone = !isQuick;
  }

  /** Something seems to have got lost with all buffers in use. */
  suspect(): void {
    this.#isSuspect = true;
  }

  /** Nothing had got lost, in a pause with all buffers in use. It has to prove anew that it is quick. */
  acquit(): void {
    this.#isSuspect = false;
    this.#bytes = Math.min(0, this.#bytes);
  }

  /** It is none of those whose times the line tells. */
  doubt(): void {
    this.#bytes = Number.NEGATIVE_INFINITY;
  }
}
