import type { JobProgress } from "../../station/station.js";
import type { BoardStep } from "../many-boards/steps.js";
import type { Output } from "../output.js";

/** Lines kept of one job; a board that restarts for ever must not fill the disk. */
const MOST_LINES = 5000;
const LOG = "log: ";

/** What a job told, line by line: shown on the tile at once, kept as evidence at its end. */
export class JobNotes {
  readonly #tell: (progress: JobProgress) => void;
  readonly #lines: { at: string; text: string }[] = [];
  #step: string | undefined;

  constructor(tell: (progress: JobProgress) => void) {
    this.#tell = tell;
  }

  get lines(): readonly { at: string; text: string }[] {
    return this.#lines;
  }

  step(told: BoardStep, isRetry = false): void {
    if (told.step !== undefined && told.step !== this.#step) this.#keep(told.step);
    this.#step = told.step ?? this.#step;
    for (const note of told.notes ?? []) this.#keep(note);
    this.#tell(isRetry ? { ...told, isRetry } : told);
  }

  console(lines: readonly string[]): void {
    for (const line of lines) this.#keep(`| ${line}`);
    this.#tell({ console: lines });
  }

  facts(facts: NonNullable<JobProgress["facts"]>): void {
    this.#tell({ facts });
  }

  /** What verbs say of a board goes here; their log lines are its console. */
  output(): Output {
    const note = (text: string) =>
      text.startsWith(LOG) ? this.console([text.slice(LOG.length)]) : this.step({ notes: [text] });
    return { json: false, result() {}, line() {}, note, warn: note, progress() {}, event() {}, settle() {} };
  }

  #keep(text: string): void {
    if (this.#lines.length < MOST_LINES) this.#lines.push({ at: new Date().toISOString(), text });
  }
}
