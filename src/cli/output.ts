import { stripVTControlCharacters, styleText } from "node:util";
import { describeKey } from "./run-facts.js";
import { wrapLines } from "./wrap-lines.js";

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
  /** An event of a workflow, for programs: a line of JSON on stderr with `--progress json`, else nothing. `board`: of several. */
  event(event: object, board?: string): void;
  /** Ends a progress line, if one is open. */
  settle(): void;
}

export type Tone = "good" | "bad" | "warn" | "dim" | "strong";

const styles = { good: "green", bad: "red", warn: "yellow", dim: "dim", strong: "bold" } as const;

/** NO_COLOR and FORCE_COLOR (of which 0 means no) say it, else whether this is a terminal. */
function wantsColor(stream: NodeJS.WriteStream): boolean {
  const { NO_COLOR, FORCE_COLOR } = process.env;
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== "") return !["0", "false"].includes(FORCE_COLOR);
  return stream.isTTY === true && NO_COLOR === undefined;
}

/** Colours text when stdout is a terminal that wants colour. */
export function tone(kind: Tone, text: string): string {
  return wantsColor(process.stdout) ? styleText(styles[kind], text) : text;
}

/**
 * Text that came from a device or a file, safe to print: control characters, which could move the cursor or hide
 * what came before, are shown as escapes.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u001f]/g, escaped).replace(TERMINAL_CONTROLS, escaped);
}

/** What terminals obey beyond ASCII's controls: DEL, C1, and marks that turn the direction of writing. */
const TERMINAL_CONTROLS = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

const escaped = (character: string) => `\\x${character.codePointAt(0)!.toString(16).padStart(2, "0")}`;

/**
 * The last guard of everything that is printed: of what terminals obey only line ends, tabs and our own colours pass.
 * Names and texts of strangers are made {@link printable} where they are drawn; one that was forgotten ends here.
 */
export function guarded(text: string): string {
  return text
    .replace(COLOURS_AND_CONTROLS, (found, colour) => (colour === undefined ? escaped(found) : found))
    .replace(TERMINAL_CONTROLS, escaped);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const COLOURS_AND_CONTROLS = /(\u001b\[(?:[0-2]|22|3[0-9]|4[1239])m)|[\u0000-\u0008\u000b-\u001f]/g;

/** Several lines from a device, safe to print: {@link printable} for each, without colours; line ends are kept. */
export function printableLines(text: string): string {
  return stripVTControlCharacters(text)
    .split(/\r*\n/)
    .map((line) => printable(line.replaceAll("\t", "    ")))
    .join("\n");
}

let hasPrintedResult = false;
let latest: Pick<Progress, "label" | "done" | "total" | "unit"> | undefined;

/** What was counted last in this run, whether it was drawn or not. */
export function latestProgress(): typeof latest {
  return latest;
}

/** Whether the command's one result is already on stdout; an error must then not print a second JSON value. */
export function isResultPrinted(): boolean {
  return hasPrintedResult;
}

/**
 * `value` as JSON, the way all commands print it. What JSON allows in strings and terminals obey, C1 controls and marks
 * that turn the direction of writing, is escaped as well.
 */
export function toJsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, plain, indent).replace(TERMINAL_CONTROLS, (character) => {
    return `\\u${character.codePointAt(0)!.toString(16).padStart(4, "0")}`;
  });
}

const toThousandths = (value: number) => (Number.isFinite(value) ? Math.round(value * 1000) / 1000 : value);

/** Values JSON has no word for: bytes become lower-case hex, bigints become numbers when exact, else text. */
function plain(this: Record<string, unknown>, key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  // A key has a JSON form of its own, by the time that it comes here; results and events name its file as well.
  if (key === "signedBy" && isKey(this[key])) return describeKey(this[key]);
  // Clocks give fifteen digits, of which three mean something.
  if (typeof value === "number") return toThousandths(value);
  if (typeof value === "bigint")
    return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  return value;
}

/** A key, which is told by its type, its hash and the file that it came from. */
function isKey(value: unknown): value is Parameters<typeof describeKey>[0] {
  if (typeof value !== "object" || value === null || !("publicDer" in value && "keyHash" in value))
    return false;
  return value.publicDer instanceof Uint8Array && value.keyHash instanceof Uint8Array;
}

export function createOutput(options: {
  json: boolean;
  quiet: boolean;
  progress?: "json" | undefined;
}): Output {
  return options.progress === "json"
    ? withProgressAsData(drawnOutput(options), options)
    : drawnOutput(options);
}

/** A line of progress at most each so often, but for the first and the last of something. */
const PROGRESS_EACH_MS = 100;

/** For programs that watch: progress, notes and warnings as a line of JSON each, on stderr. The result is as ever. */
function withProgressAsData(drawn: Output, { quiet }: { quiet: boolean }): Output {
  const say = (value: object) => void process.stderr.write(`${toJsonText(value)}\n`);
  let shown = { label: "", at: 0 };
  const counted = new Map<string, number>();
  return {
    ...drawn,
    note: (text) => (quiet ? undefined : say({ note: stripVTControlCharacters(text) })),
    warn: (text) => say({ warning: stripVTControlCharacters(text) }),
    progress(label, done, total, unit = "bytes") {
      latest = { label, done, total, unit };
      const now = performance.now();
      const isDue = label !== shown.label || done >= total || now - shown.at >= PROGRESS_EACH_MS;
      if (quiet || !isDue) return;
      shown = { label, at: now };
      say({ progress: { label, done, total, unit } });
    },
    event(event, board) {
      if (quiet) return;
      if ("total" in event) {
        // Of one board it is a line of progress already.
        if (board === undefined) return;
        const now = performance.now();
        if (now - (counted.get(board) ?? 0) < PROGRESS_EACH_MS) return;
        counted.set(board, now);
      }
      say({ ...(board === undefined ? {} : { board }), event });
    },
  };
}

function drawnOutput(options: { json: boolean; quiet: boolean }): Output {
  // Not asked before something is said there: Node sets its streams up when they are first named, which takes time.
  const isLive = () => process.stderr.isTTY === true;
  let open = false;
  let lastQuarter = -1;
  let begun = { at: 0, done: 0 };

  const settle = () => {
    if (open) process.stderr.write("\n");
    open = false;
    lastQuarter = -1;
  };

  return {
    json: options.json,
    result(value, text) {
      settle();
      hasPrintedResult = true;
      const out = options.json ? toJsonText(value, 2) : guarded(text);
      if (out !== "") process.stdout.write(`${out}\n`);
    },
    line(value, text) {
      settle();
      process.stdout.write(`${options.json ? toJsonText(value) : guarded(text)}\n`);
    },
    note(text) {
      if (options.quiet) return;
      settle();
      // Colours are decided by stdout; where stderr goes to a file they do not belong.
      const coloured = isLive() || wantsColor(process.stderr);
      const shown = guarded(coloured ? text : stripVTControlCharacters(text));
      process.stderr.write(`${fitStderr(shown)}\n`);
    },
    warn(text) {
      settle();
      const line = fitStderr(`WARNING: ${guarded(text)}`);
      const isColoured = wantsColor(process.stderr);
      process.stderr.write(`${isColoured ? styleText(["bold", "red"], line) : line}\n`);
    },
    progress(label, done, total, unit = "bytes") {
      latest = { label, done, total, unit };
      if (options.quiet || total === 0) return;
      const live = isLive();
      const quarter = Math.floor((done * 4) / total);
      if (!live && quarter === lastQuarter) return;
      if (!open && live) begun = { at: performance.now(), done };
      const elapsedMs = performance.now() - begun.at;
      const moved = { label, done, total, unit, movedBefore: begun.done, elapsedMs };
      if (live) process.stderr.write(`\r${progressLine(moved, process.stderr.columns)}\u001b[K`);
      else process.stderr.write(`${progressLine({ ...moved, elapsedMs: 0 }, undefined)}\n`);
      open = live;
      lastQuarter = quarter;
      if (done >= total) settle();
    },
    event() {},
    settle,
  };
}

/** What a progress line tells of. */
export interface Progress {
  readonly label: string;
  readonly done: number;
  readonly total: number;
  readonly unit: string;
  /** What was done already when the clock began, as after a resumed upload. */
  readonly movedBefore: number;
  /** 0: no rate is told. */
  readonly elapsedMs: number;
}

/** A rate is told only after this time: before, it is the luck of the first messages. */
const RATE_AFTER_MS = 1000;

/**
 * One line that fits `columns`: a line that is broken cannot be drawn over. What matters least goes first: the rate and the
 * time left, the counts, the bar.
 */
export function progressLine(progress: Progress, columns: number | undefined): string {
  const { label, done, total, unit, movedBefore, elapsedMs } = progress;
  const percent = `${Math.floor((done * 100) / total)}`.padStart(3);
  const counts = `  ${done} of ${total} ${unit}`;
  const perSecond = ((done - movedBefore) * 1000) / elapsedMs;
  const isRated = elapsedMs >= RATE_AFTER_MS && perSecond > 0 && done < total;
  const left = isRated ? `, ${duration((total - done) / perSecond)} left` : "";
  const rate = isRated && unit === "bytes" ? `  ${(perSecond / 1000).toFixed(1)} kB/s` : "";
  const share = done / total;
  const lines = [
    `${label} ${bar(share, 24)} ${percent} %${counts}${rate}${left}`,
    `${label} ${bar(share, 10)} ${percent} %${counts}${left}`,
    `${label} ${bar(share, 10)} ${percent} %${left}`,
    `${label} ${percent} %${left}`,
  ];
  const room = (columns || 80) - 1;
  if (columns === undefined) return lines[0]!;
  return lines.find((line) => line.length <= room) ?? lines.at(-1)!.slice(0, room);
}

/** Seconds in words: `9 s`, `2 min 5 s`. */
function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

function bar(share: number, width: number): string {
  const full = Math.round(Math.min(1, share) * width);
  return `[${"#".repeat(full)}${".".repeat(width - full)}]`;
}

/** Sentences for stderr: on a terminal lines are broken between words. */
export function fitStderr(text: string): string {
  return process.stderr.isTTY ? wrapLines(text, process.stderr.columns || 80) : text;
}

/** Sentences for a result: on a terminal lines are broken between words. Not for what people copy from the screen. */
export function prose(text: string): string {
  return process.stdout.isTTY ? wrapLines(text, process.stdout.columns || 80) : text;
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
