import { createInterface } from "node:readline/promises";
import { UsageError } from "./usage-error.js";

/** What a person decides before something that cannot be undone. */
export interface ConfirmOptions {
  /** `--yes`. */
  yes?: boolean | undefined;
  signal: AbortSignal;
}

/**
 * Asks on the terminal; true for `y` or `yes`. Where nobody can be asked, `--yes` must have been given.
 *
 * @throws UsageError without a terminal and without `--yes`
 */
export async function confirm(question: string, { yes, signal }: ConfirmOptions): Promise<boolean> {
  if (yes) return true;
  if (process.stdin.isTTY !== true)
    throw new UsageError(
      `${question} There is no terminal to ask for confirmation.`,
      "Add --yes if you mean it.",
    );
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${question} [y/N] `, { signal });
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}
