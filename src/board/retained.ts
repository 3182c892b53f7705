import { putU32le, u32le } from "../bytes.js";

/** Retained memory as the hardware touches it: the cause of a reset. See firmware-fixtures/port/retained.h. */
export const RETAINED_SIZE = 1024;
export const RESET_WATCHDOG = 2;
export const RESET_FAULT = 3;

const MAGIC = 0x52504231;
const RESET_CAUSE_OFFSET = 5;

/** Written by whoever resets; the next boot reads it. */
export function setResetCause(retained: Uint8Array, cause: number): void {
  if (u32le(retained, 0) !== MAGIC) {
    retained.fill(0);
    putU32le(retained, 0, MAGIC);
  }
  retained[RESET_CAUSE_OFFSET] = cause;
}
