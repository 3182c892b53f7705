/** Lines kept; a board that talks for days must not fill the memory. */
const KEPT_LINES = 10_000;
const LONGEST_LINE = 4096;

/** What a board said on its log UART, cut into lines. */
export class BoardLog {
  readonly #lines: string[] = [];
  readonly #listeners = new Set<(line: string) => void>();
  #partial = "";

  /** The newest lines, oldest first. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Called with each line as it ends. Returns how to stop. */
  onLine(listener: (line: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * The first line from now on that matches. Waits for ever: bring a signal, whose reason is thrown. `from` looks
   * through the lines already there first, from that index.
   */
  async waitFor(pattern: RegExp, options: { signal?: AbortSignal; from?: number } = {}): Promise<string> {
    const { signal, from } = options;
    signal?.throwIfAborted();
    const known = from === undefined ? undefined : this.#lines.slice(from).find((line) => pattern.test(line));
    if (known !== undefined) return known;
    return new Promise((resolve, reject) => {
      const stop = this.onLine((line) => {
        if (!pattern.test(line)) return;
        stop();
        signal?.removeEventListener("abort", onAbort);
        resolve(line);
      });
      const onAbort = () => {
        stop();
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** For the boards: bytes as the UART gave them. */
  push(bytes: Uint8Array): void {
    // A byte is a character here: log text that is not ASCII shows as something, and never breaks the decoder.
    const parts = (this.#partial + Buffer.from(bytes).toString("latin1")).split("\n");
    this.#partial = parts.pop()!.slice(0, LONGEST_LINE);
    for (const part of parts) this.#add(part.replace(/\r$/, ""));
  }

  #add(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > KEPT_LINES) this.#lines.shift();
    for (const listener of this.#listeners) listener(line);
  }
}
