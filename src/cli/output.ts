import { stripVTControlCharacters, styleText } from "node:util";

/** How a command speaks: results on stdout (text or JSON), everything else on stderr. */
export interface Output {
  readonly json: boolean;
  /** The command's result: `value` with `--json`, else `text`. Call it once. */
  result(value: unknown, text: string): void;
  /** One of many results of a command that goes on: `value` on one line of its own with `--json`, else `text`. */
  line(value: unknown, text: string): void;
  /** A sentence about what is happening, on stderr. Nothing with `--quiet`. */
  note(text: string): void;
  /** A danger that must not be overlooked, on stderr, `--quiet` or not. */
  warn(text: string): void;
  /** Progress of something countable; one line that redraws itself on a terminal, a line each quarter elsewhere. */
  /** `unit`: of what is counted; bytes when nothing is said. */
  progress(label: string, done: number, total: number, unit?: string): void;
  /** Ends a progress line, if one is open. */
  settle(): void;
}

export type Tone = "good" | "bad" | "warn" | "dim" | "strong";

const styles = { good: "green", bad: "red", warn: "yellow", dim: "dim", strong: "bold" } as const;

/** Colours text when stdout is a terminal that wants colour. */
export function tone(kind: Tone, text: string): string {
  const wanted = process.stdout.isTTY && process.env.NO_COLOR === undefined;
  return wanted ? styleText(styles[kind], text) : text;
}

/**
 * Text that came from a device or a file, safe to print: control characters, which could move the cursor or hide
 * what came before, are shown as escapes.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (character) => {
    return `\\x${character.codePointAt(0)!.toString(16).padStart(2, "0")}`;
  });
}

/** Several lines from a device, safe to print: {@link printable} for each, without colours; line ends are kept. */
export function printableLines(text: string): string {
  return stripVTControlCharacters(text)
    .split(/\r*\n/)
    .map((line) => printable(line.replaceAll("\t", "    ")))
    .join("\n");
}

/** Values JSON has no word for: bytes become lower-case hex, bigints become numbers when exact, else text. */
function plain(_key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (typeof value === "bigint")
    return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  return value;
}

export function createOutput(options: { json: boolean; quiet: boolean }): Output {
  const live = process.stderr.isTTY === true;
  let open = false;
  let lastQuarter = -1;

  const settle = () => {
    if (open) process.stderr.write("\n");
    open = false;
    lastQuarter = -1;
  };

  return {
    json: options.json,
    result(value, text) {
      settle();
      const out = options.json ? JSON.stringify(value, plain, 2) : text;
      if (out !== "") process.stdout.write(`${out}\n`);
    },
    line(value, text) {
      settle();
      process.stdout.write(`${options.json ? JSON.stringify(value, plain) : text}\n`);
    },
    note(text) {
      if (options.quiet) return;
      settle();
      // Colours are decided by stdout; where stderr goes to a file they do not belong.
      process.stderr.write(`${live ? text : stripVTControlCharacters(text)}\n`);
    },
    warn(text) {
      settle();
      const line = `WARNING: ${text}`;
      const isColoured = live && process.env.NO_COLOR === undefined;
      process.stderr.write(`${isColoured ? styleText(["bold", "red"], line) : line}\n`);
    },
    progress(label, done, total, unit = "bytes") {
      if (options.quiet || total === 0) return;
      const quarter = Math.floor((done * 4) / total);
      if (!live && quarter === lastQuarter) return;
      const percent = `${Math.floor((done * 100) / total)}`.padStart(3);
      const line = `${label} ${bar(done / total)} ${percent} %  ${done} of ${total} ${unit}`;
      if (live) process.stderr.write(`\r${line}`);
      else process.stderr.write(`${line}\n`);
      open = live;
      lastQuarter = quarter;
      if (done >= total) settle();
    },
    settle,
  };
}

function bar(share: number): string {
  const width = 24;
  const full = Math.round(Math.min(1, share) * width);
  return `[${"#".repeat(full)}${".".repeat(width - full)}]`;
}

/** Characters in a line of the terminal; undefined where lines go to a file or a program. */
export function terminalWidth(): number | undefined {
  return process.stdout.isTTY ? process.stdout.columns : undefined;
}

/** Columns aligned by their widest cell; the header row comes first. Cells may carry colour. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => width(row[column] ?? ""))),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell + " ".repeat(widths[column]! - width(cell)))
      .join("  ")
      .trimEnd();
  return [tone("dim", line(header)), ...rows.map(line)].join("\n");
}

/** What a cell takes on the screen: colour codes take nothing. */
function width(cell: string): number {
  return stripVTControlCharacters(cell).length;
}
