import { BootproofError } from "../errors.js";
import { nextStepFor, statusFor } from "./exit.js";
import { describeInterruption } from "./interruption.js";

/** What `--json` prints instead of a result when a command fails; the topic json documents it. */
export interface ErrorJson {
  error: {
    /** Stable name of the kind of failure; `usage`, `interrupted` and `internal` beside the library's codes. */
    code: string;
    message: string;
    hint?: string;
    /** The numbers and names that the error carries, such as an offset or a path. */
    details: Record<string, string | number | boolean>;
    exitStatus: number;
  };
}

/** Describes any error that ends a command, for programs. */
export function errorJson(error: unknown): ErrorJson {
  const exitStatus = statusFor(error);
  if (error instanceof BootproofError) {
    const hint = nextStepFor(error);
    return {
      error: {
        code: error.code,
        message: error.message,
        ...(hint !== undefined && { hint }),
        details: detailsOf(error),
        exitStatus,
      },
    };
  }
  if (exitStatus === 130)
    return { error: { code: "interrupted", ...describeInterruption(), details: {}, exitStatus } };
  const message = error instanceof Error ? error.message : String(error);
  return { error: { code: "internal", message, details: {}, exitStatus } };
}

/** A command line that cannot be read, as commander puts it. */
export function usageJson(message: string): ErrorJson {
  const text = message.replace(/^error: /, "");
  return { error: { code: "usage", message: text, details: {}, exitStatus: 2 } };
}

const NOT_DETAILS = new Set(["code", "hint", "name", "message", "stack", "cause"]);

function detailsOf(error: BootproofError): Record<string, string | number | boolean> {
  const details: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(error))
    if (!NOT_DETAILS.has(name) && ["string", "number", "boolean"].includes(typeof value))
      details[name] = value;
  return details;
}
