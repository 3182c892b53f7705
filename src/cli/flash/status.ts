import type { FlashOutcome, FlashResult } from "../../update/flash.js";
import type { ImagesOutcome, ImagesResult } from "../../update/images-events.js";
import type { PreflightCheckName } from "../../update/preflight-check.js";
import type { ExitStatus } from "../exit.js";

const STATUS: Readonly<Record<FlashOutcome | ImagesOutcome, ExitStatus>> = {
  confirmed: 0,
  "on-trial": 0,
  running: 0,
  "already-running": 0,
  "dry-run": 0,
  "refused-by-preflight": 3,
  "not-running": 4,
  taken: 29,
  unhealthy: 5,
  "not-confirmed": 7,
  "not-settled": 7,
  "partly-confirmed": 38,
};

/** An image that does not run, by the cause. */
export const NOT_RUNNING: Readonly<Record<NonNullable<FlashResult["cause"]>, ExitStatus>> = {
  reverted: 30,
  signature: 31,
  rollback: 32,
  other: 33,
  "not-told": 4,
};

/** Anti-rollback by this host's memory, and what a policy refuses, are told apart from what the board would refuse. */
export function statusOfRefusal(name: PreflightCheckName | undefined): ExitStatus | undefined {
  if (name === "ratchet" || name === "policy/ratchet") return 46;
  return name?.startsWith("policy/") ? 48 : undefined;
}

export function statusOf(flashed: FlashResult | ImagesResult): ExitStatus {
  const cause = "cause" in flashed ? flashed.cause : undefined;
  return (
    statusOfRefusal(flashed.refusedBy) ?? (cause === undefined ? STATUS[flashed.outcome] : NOT_RUNNING[cause])
  );
}
