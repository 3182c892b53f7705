import { BootproofError } from "../../errors.js";
import { FileError } from "../files.js";
import { UsageError } from "../usage-error.js";
import { recorder } from "./recorder.js";

/**
 * What a format, a server or metadata refuses is in the log by its link; a file that is not there, or a wrong option, is
 * nobody's refusal.
 *
 * @param error - why an update is not used
 * @throws the same error
 */
export function recordSourceRefusal(error: unknown): never {
  noteSourceRefusal(error);
  throw error;
}

/** An error that passes two of these doors is one refusal. */
const noted = new WeakSet<BootproofError>();

/**
 * The same where others go on without it.
 *
 * @param error - why an update is not used
 * @param detail - for whom it was meant
 */
export function noteSourceRefusal(error: unknown, detail: Readonly<Record<string, string>> = {}): void {
  if (!(error instanceof BootproofError) || error instanceof FileError || error instanceof UsageError) return;
  if (noted.has(error)) return;
  noted.add(error);
  recorder()?.record({
    type: "refusal",
    rule: `source/${error.code}`,
    result: "refused",
    detail: { ...detail, message: error.message },
  });
}
