import { type Finding, fails } from "../case.js";
import type { QuickCheck } from "../harness/context.js";
import type { Harness } from "../harness/harness.js";
import type { Prepared } from "./power-cut-scenarios.js";

interface Judged {
  readonly ended: string;
  readonly ok: boolean;
}

/**
 * The board after a cut: it boots, and boots again; a known image runs, in the end the one that should; the counter is not
 * below `least`.
 */
export async function judgeAfterCut(
  harness: Harness,
  prepared: Prepared,
  least: number | undefined,
): Promise<Judged> {
  let observed: QuickCheck | undefined;
  let floor = least;
  for (let boot = 1; boot <= 2; boot++) {
    observed = await harness.power.quickCheck();
    if (observed.start !== "application") return { ended: `boot ${boot}: ${observed.start}`, ok: false };
    if (prepared.good[observed.hash ?? ""] === undefined)
      return {
        ended: `boot ${boot}: unknown image ${observed.hash?.slice(0, 12) ?? "without hash"}`,
        ok: false,
      };
    // A counter that is not reported at one look is compared with the next that is.
    if (floor !== undefined && observed.counter !== undefined && observed.counter < floor)
      return { ended: `boot ${boot}: stored counter ${observed.counter}, was ${floor}`, ok: false };
    floor = observed.counter ?? floor;
  }
  const ended = prepared.good[observed!.hash!]!;
  if (prepared.settles !== undefined && ended !== prepared.settles)
    return { ended: `${ended} for ever, not ${prepared.settles}`, ok: false };
  return { ended, ok: true };
}

/** After so many cuts that went wrong there is nothing more to learn, and each may cost seconds of silence. */
const MOST_WRONG = 5;

/** What came of many cuts. */
export class Tally {
  #cuts = 0;
  #doubles = 0;
  readonly #wrong: string[] = [];
  readonly #ended = new Map<string, number>();

  get cuts(): number {
    return this.#cuts;
  }

  get isClear(): boolean {
    return this.#wrong.length >= MOST_WRONG;
  }

  /** "old image 592, new image 408" */
  get split(): string {
    return [...this.#ended].map(([name, count]) => `${name} ${count}`).join(", ");
  }

  get doubles(): number {
    return this.#doubles;
  }

  count(where: string, { ended, ok }: Judged, isDouble = false): void {
    this.#cuts++;
    if (isDouble) this.#doubles++;
    this.#ended.set(ended, (this.#ended.get(ended) ?? 0) + 1);
    if (!ok) this.#wrong.push(`${where}: ${ended}`);
  }

  /** The finding against the board, if there is one. */
  get fault(): Finding | undefined {
    const count = this.#wrong.length;
    if (count === 0) return undefined;
    const stopped = this.isClear ? ", then it was stopped" : "";
    return fails(
      `${count} of ${this.#cuts} power cuts left the board wrong${stopped}; the first: ${this.#wrong[0]}.`,
    );
  }
}

export function counterWords(least: number | undefined): string {
  return least === undefined ? "the stored security counter is not reported" : "the counter never decreased";
}
