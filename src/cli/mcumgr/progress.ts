import type { McumgrIo } from "./io.js";

/** Between two updates, milliseconds. */
const PAUSE = 200;

/** mcumgr's progress line: counts, a bar where there is room for one, percent, speed and the time that is left. */
export class Progress {
  readonly #io: McumgrIo;
  readonly #total: number;
  readonly #start: number;
  #shown: number;

  constructor(total: number, io: McumgrIo) {
    this.#io = io;
    this.#total = total;
    this.#start = io.now();
    this.#shown = this.#start;
    if (total === 0) io.out("\r 0 / ? ");
    else this.#write(` 0 / ${total} `, 0, "");
  }

  at(done: number): void {
    const now = this.#io.now();
    if (now - this.#shown < PAUSE) return;
    this.#shown = now;
    this.#update(done, now, undefined);
  }

  finish(done: number): void {
    const now = this.#io.now();
    this.#update(done, now, ` ${Math.floor((now - this.#start) / 1000)}s`);
    this.#io.out("\n");
  }

  #update(done: number, now: number, time: string | undefined): void {
    const seconds = Math.max(now - this.#start, 1) / 1000;
    const speed = done === 0 ? "" : ` ${amount(Math.floor(done / seconds))}/s`;
    const left = done === 0 ? 0 : Math.floor(((this.#total - done) * seconds) / done);
    const rest = left > 0 ? ` ${clock(left)}` : "";
    this.#write(` ${amount(done)} / ${amount(this.#total)} `, done, `${speed}${time ?? rest}`);
  }

  #write(counts: string, done: number, behind: string): void {
    const { columns } = this.#io;
    const share = done / this.#total;
    const percent = ` ${(share * 100).toFixed(2).padStart(6)}%`;
    const room = columns - counts.length - percent.length - behind.length - 2;
    const line = `${counts}${room > 0 ? bar(share, room) : ""}${percent}${behind}`;
    this.#io.out(`\r${line.padEnd(columns)}`);
  }
}

function bar(share: number, room: number): string {
  const full = Math.min(Math.ceil(share * room), room);
  const head = full === room ? "=".repeat(full) : full === 0 ? "" : `${"=".repeat(full - 1)}>`;
  return `[${head}${"-".repeat(room - full)}]`;
}

/** `519 B`, `4.54 KiB`. */
function amount(bytes: number): string {
  const units = ["KiB", "MiB", "GiB", "TiB"];
  if (bytes < 1024) return `${bytes} B`;
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), units.length);
  return `${(bytes / 1024 ** power).toFixed(2)} ${units[power - 1]!}`;
}

/** `00m07s`, `01h02m03s`. */
function clock(seconds: number): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const rest = `${two(Math.floor(seconds / 60) % 60)}m${two(seconds % 60)}s`;
  return hours > 0 ? `${two(hours)}h${rest}` : rest;
}
