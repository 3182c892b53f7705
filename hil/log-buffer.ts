/** One line that a board said outside of SMP messages. */
export interface LogLine {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** `log`: its log port; `console`: text on the SMP line. */
  readonly from: "log" | "console";
  readonly text: string;
}

const KEPT_LINES = 20_000;
const LONGEST_LINE = 1000;

/** Everything a board said, numbered from its first line; old lines are dropped, numbers stay. */
export class LogBuffer {
  readonly #lines: LogLine[] = [];
  #dropped = 0;
  readonly #listeners = new Set<(line: LogLine) => void>();

  /** The number the next line gets. */
  get end(): number {
    return this.#dropped + this.#lines.length;
  }

  /** Lines from number `from` on, those that are still there. */
  since(from: number): readonly LogLine[] {
    return this.#lines.slice(Math.max(0, from - this.#dropped));
  }

  add(from: LogLine["from"], text: string): void {
    const line = { at: Date.now(), from, text: text.slice(0, LONGEST_LINE) };
    this.#lines.push(line);
    if (this.#lines.length > KEPT_LINES) {
      this.#lines.shift();
      this.#dropped++;
    }
    for (const listener of [...this.#listeners]) listener(line);
  }

  /** The first line from number `from` on that matches, or undefined when `withinMs` is over or `signal` aborts. */
  async waitFor(
    pattern: { test(text: string): boolean },
    options: { from: number; withinMs: number; signal?: AbortSignal | undefined },
  ): Promise<LogLine | undefined> {
    const known = this.since(options.from).find(({ text }) => pattern.test(text));
    if (known) return known;
    return new Promise((resolve) => {
      const settle = (line: LogLine | undefined) => {
        clearTimeout(timer);
        this.#listeners.delete(listener);
        options.signal?.removeEventListener("abort", abort);
        resolve(line);
      };
      const abort = () => settle(undefined);
      const listener = (line: LogLine) => {
        if (pattern.test(line.text)) settle(line);
      };
      const timer = setTimeout(() => settle(undefined), options.withinMs);
      this.#listeners.add(listener);
      options.signal?.addEventListener("abort", abort, { once: true });
    });
  }
}
