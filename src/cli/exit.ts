import { BootproofError } from "../errors.js";

/** Exit statuses, one per kind of ending; the README prints this table. */
export const exitStatuses = {
  0: "done",
  1: "a fault inside bootproof",
  2: "the command line or the config file is wrong",
  3: "the gate refused the image; nothing was sent",
  4: "the board refused the image or went back to the old one",
  5: "the image runs but failed its health check and was not confirmed",
  6: "the image did not pass verification",
  7: "the new image runs but could not be confirmed",
  8: "the board accepted a request and did something else",
  10: "no such port, host or board",
  11: "more than one board could be meant",
  12: "the port is held by another program",
  13: "no permission to open the port",
  14: "nobody listens at the address",
  15: "the link was lost",
  16: "the board is silent",
  17: "bytes arrive but are no SMP: wrong baud rate or wrong port",
  18: "the board answered with an error",
  19: "the board answered something that is not valid SMP",
  20: "a file cannot be read or written",
  21: "the file is not an MCUboot image",
  22: "the image is truncated or damaged in its structure",
  23: "the image does not fit the slot",
  24: "a key cannot be used",
  25: "a tool that is needed is not installed",
  26: "a claim does not hold on the board",
  27: "a claim could not be judged",
  28: "the board's own image could not be put back",
  36: "no way into the board was found",
  37: "the power could not be switched, or the board did not lose it",
  130: "interrupted",
} as const;

export type ExitStatus = keyof typeof exitStatuses;

/** Error code -> exit status. A code that is not here is a fault of ours: 1. */
const statusOf: Record<string, ExitStatus> = {
  usage: 2,
  "bad-config": 2,
  "bad-address": 2,
  "bad-profile": 2,
  "bad-power": 2,
  "no-such-image": 3,
  "other-server": 8,
  "no-switch": 25,
  "tool-failed": 36,
  "switch-failed": 37,
  "still-powered": 37,
  "not-back": 37,
  "bad-value": 2,
  "bad-plugin": 2,
  "bad-known-images": 2,
  "gate-refused": 3,
  "not-running": 4,
  unhealthy: 5,
  "not-verified": 6,
  "not-done": 8,
  "not-found": 10,
  "no-board": 10,
  "unknown-board": 10,
  ambiguous: 11,
  busy: 12,
  permission: 13,
  refused: 14,
  lost: 15,
  silent: 16,
  garbage: 17,
  "no-listing": 18,
  "list-failed": 18,
  "bad-bench": 2,
  "bad-report": 2,
  "bench-missing": 20,
  "claim-broken": 26,
  "claim-open": 27,
  "not-put-back": 28,
  "restore-first": 28,
  "bad-answer": 19,
  "dfu-status": 18,
  "dfu-stuck": 16,
  "dfu-cannot": 18,
  "dfu-file": 21,
  "dfu-memory": 23,
  stalled: 18,
  "timed-out": 16,
  "file-missing": 20,
  "file-unreadable": 20,
  "file-exists": 20,
  "file-too-big": 20,
};

/** The exit status an error leads to. */
export function statusFor(error: unknown): ExitStatus {
  if (error instanceof DOMException && error.name === "AbortError") return 130;
  if (!(error instanceof BootproofError)) return 1;
  return statusOf[error.code] ?? 1;
}

/** A command was used in a way that cannot work. */
export class UsageError extends BootproofError {
  declare readonly code: "usage";

  constructor(message: string, hint?: string) {
    super("usage", message, { hint });
  }
}
