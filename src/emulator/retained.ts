import { putU32le, u32le } from "../bytes.js";

/** Retained memory as the hardware touches it: the cause of a reset. See firmware-fixtures/port/retained.h. */
export const RETAINED_SIZE = 1024;
export const RESET_WATCHDOG = 2;
export const RESET_FAULT = 3;

const MAGIC = 0x52504231;
const BOOT_REQUEST_OFFSET = 4;
const RESET_CAUSE_OFFSET = 5;

/** Written by whoever resets; the next boot reads it. */
export function setResetCause(retained: Uint8Array, cause: number): void {
  claim(retained);
  retained[RESET_CAUSE_OFFSET] = cause;
}

/** What the next boot is to do: Zephyr's boot mode, 1 = recovery, or what stands in for it. */
export function setBootRequest(retained: Uint8Array, request: number): void {
  claim(retained);
  retained[BOOT_REQUEST_OFFSET] = request;
}

function claim(retained: Uint8Array): void {
  if (u32le(retained, 0) === MAGIC) return;
  retained.fill(0);
  putU32le(retained, 0, MAGIC);
}
