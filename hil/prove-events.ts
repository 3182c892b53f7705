import type { Overrides } from "./assemble.js";
import type { ClaimId } from "./claims.js";
import type { RecorderOptions } from "./evidence.js";
import type { CaseResult } from "./result.js";

export interface ProveOptions extends Overrides {
  readonly signal: AbortSignal;
  readonly seed: number;
  /** Only what is marked as quick. */
  readonly quick?: boolean | undefined;
  /** Only these: ids, or their beginnings up to a slash. */
  readonly cases?: readonly string[] | undefined;
  readonly claims?: readonly ClaimId[] | undefined;
  /** Run also what no proven way back covers. */
  readonly allowDestructive?: boolean | undefined;
  readonly through?: "smp" | "programmer" | undefined;
  /** Power cuts per scenario and kind. */
  readonly cuts?: number | undefined;
  readonly randomCuts?: number | undefined;
  /** The bootloader build that is on the boards, for those whose board file names none. */
  readonly bootloader?: string | undefined;
  /** Where journals are kept; default: the user's state folder. */
  readonly journals?: string | undefined;
  /** What is kept of each case beyond what a report needs. */
  readonly record?: RecorderOptions | undefined;
  readonly onEvent?: ((event: ProofEvent) => void) | undefined;
}

export type ProofEvent =
  | { readonly kind: "board"; readonly board: string; readonly summary: string; readonly cases: number }
  | {
      readonly kind: "case";
      readonly board: string;
      readonly id: string;
      readonly summary: string;
      /** What it uses up for ever, and what is left of it. */
      readonly spends?: string;
    }
  | { readonly kind: "cut"; readonly board: string; readonly done: number; readonly total: number }
  | { readonly kind: "result"; readonly board: string; readonly result: CaseResult }
  | { readonly kind: "put-back"; readonly board: string; readonly ok: boolean; readonly message: string };

/** A {@link ProofEvent} as `prove` prints it on one line of JSON: evidence and pictures of slots are in the reports. */
export type ProofLine =
  | Exclude<ProofEvent, { readonly kind: "result" }>
  | {
      readonly kind: "result";
      readonly board: string;
      readonly result: Omit<CaseResult, "evidence" | "before" | "after">;
    };
