import { UsageError } from "../usage-error.js";

/** The options of `verify` that are for Android boot metadata. */
export interface AvbVerifyOptions {
  key?: string[];
  rollbackIndex?: bigint;
  allowUnsigned?: boolean;
  partition?: string[];
  strict?: boolean;
}

/** A rollback index: 64 bits. Throws `UsageError`. */
export function rollbackIndexOption(text: string): bigint {
  const value = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? BigInt(text) : -1n;
  if (value >= 0n && value < 1n << 64n) return value;
  throw new UsageError(`--rollback-index "${text}" is not a whole number of 64 bits.`);
}
