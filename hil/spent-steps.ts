import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { renameOver } from "bootproof";
import type { BoardEntry } from "./board-files/board-entry.js";
import type { Finding } from "./case.js";
import { fileNameOf, JournalError, journalFolder } from "./journal.js";

/** A step of a stored security counter that a case has spent on a board. */
export interface SpentStep {
  readonly at: string;
  /** Which of the boards that may hang there, as its board file says. */
  readonly unit?: string;
  /** What came of it; absent when the run ended in the middle. */
  readonly finding?: Finding;
}

/**
 * What runs over a board have spent of its stored security counter, a file per board that stays. Real chips have room for
 * few steps, so a case spends one once, and remembers what it has shown.
 */
export class SpentSteps {
  readonly path: string;
  readonly #unit: string | undefined;
  #steps: Readonly<Record<string, SpentStep>>;

  /** Throws {@link JournalError} for a record that cannot be read. */
  constructor(entry: BoardEntry, folder = journalFolder()) {
    this.path = join(folder, "spent-steps", fileNameOf(entry));
    this.#unit = entry.unit;
    this.#steps = recordIn(this.path);
  }

  /** A step is about to be spent, or was: to be called before, and after with what it has shown. */
  note(caseId: string, finding?: Finding): void {
    const step: SpentStep = {
      at: new Date().toISOString(),
      ...(this.#unit === undefined ? {} : { unit: this.#unit }),
      ...(finding && { finding: { verdict: finding.verdict, observed: finding.observed } }),
    };
    this.#write({ ...this.#steps, [caseId]: step });
  }

  /** It turned out that none was. */
  forget(caseId: string): void {
    const { [caseId]: _gone, ...others } = this.#steps;
    this.#write(others);
  }

  /**
   * What is said of a case instead of spending another step. It counts as shown where the board file says that it is the
   * same unit; else another board may hang there now.
   */
  remembered(caseId: string): Finding | undefined {
    const step = this.#steps[caseId];
    if (!step) return undefined;
    const day = step.at.slice(0, 10);
    const again = `Such counters are finite, so the case does not run again until ${this.path} is deleted.`;
    const { finding } = step;
    if (finding === undefined || finding.verdict === "not-judged")
      return notJudged(
        `A run of ${day} has used a step of the counter for it without a result: ${finding?.observed ?? "it did not end."} ${again}`,
      );
    if (this.#unit !== undefined && step.unit === this.#unit)
      return {
        verdict: finding.verdict,
        observed: `Shown on ${day}, and not tried again: ${finding.observed}`,
      };
    return notJudged(
      `A step of the counter was used for it on ${day} (${finding.verdict}: ${finding.observed}), and nothing says that this is the same board (field unit of the board file). ${again}`,
    );
  }

  #write(steps: Readonly<Record<string, SpentStep>>): void {
    this.#steps = steps;
    mkdirSync(dirname(this.path), { recursive: true });
    writeFileSync(`${this.path}.new`, JSON.stringify(steps), { mode: 0o600 });
    renameOver(`${this.path}.new`, this.path);
  }
}

function recordIn(path: string): Readonly<Record<string, SpentStep>> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    // No run has spent a step.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
  return parsed(path, text);
}

const VERDICTS: readonly unknown[] = ["holds", "does-not-hold", "not-supported", "not-judged"];

function parsed(path: string, text: string): Readonly<Record<string, SpentStep>> {
  try {
    const steps = JSON.parse(text) as Record<string, SpentStep>;
    for (const { at, unit, finding } of Object.values(steps)) {
      const isStep = typeof at === "string" && (unit === undefined || typeof unit === "string");
      const isFinding =
        finding === undefined || (VERDICTS.includes(finding.verdict) && typeof finding.observed === "string");
      if (!isStep || !isFinding) throw new TypeError("a step is not one");
    }
    return steps;
  } catch (cause) {
    throw new JournalError(
      "bad-journal",
      `The record of used counter steps ${path} cannot be read: ${(cause as Error).message}.`,
      { cause, hint: "Delete it: the next run with --allow-destructive then uses a step again." },
    );
  }
}

function notJudged(observed: string): Finding {
  return { verdict: "not-judged", observed };
}
