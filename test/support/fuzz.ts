import { STILL_MS } from "./limits.js";

/**
 * How much a property test tries. BOOTPROOF_FUZZ_RUNS asks for more than the usual, BOOTPROOF_FUZZ_SEED for the same cases
 * again; a long run says its seed.
 */
export interface Fuzz {
  readonly numRuns: number;
  readonly seed: number;
  /** Milliseconds a test may take: many cases take long, and none is to be taken for a hang. */
  readonly timeout: number;
}

const LONGEST_CASE_MS = 500;

export function fuzz(usualRuns: number): Fuzz {
  const { BOOTPROOF_FUZZ_RUNS: runs, BOOTPROOF_FUZZ_SEED: given } = process.env;
  const numRuns = Number(runs ?? usualRuns);
  const seed = Number(given ?? Math.floor(Math.random() * 2 ** 31));
  if (runs !== undefined) console.log(`${numRuns} runs, seed ${seed}`);
  return { numRuns, seed, timeout: STILL_MS + numRuns * LONGEST_CASE_MS };
}
