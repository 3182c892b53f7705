import type { JobProgress } from "../../station/station-work.js";
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

  step(event: BoardStep, isRetry = false): void {
    if (event.step !== undefined && event.step !== this.#step) this.#keep(event.step);
    this.#step = event.step ?? this.#step;
    for (const note of event.notes ?? []) this.#keep(note);
    this.#tell(isRetry ? { ...event, isRetry } : event);
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
