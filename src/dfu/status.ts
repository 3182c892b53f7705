import { u8, u16le } from "../bytes.js";
import { DfuError } from "./error.js";

/** USB DFU 1.1, table A.2. */
export const STATES = [
  "appIDLE",
  "appDETACH",
  "dfuIDLE",
  "dfuDNLOAD-SYNC",
  "dfuDNBUSY",
  "dfuDNLOAD-IDLE",
  "dfuMANIFEST-SYNC",
  "dfuMANIFEST",
  "dfuMANIFEST-WAIT-RESET",
  "dfuUPLOAD-IDLE",
  "dfuERROR",
] as const;

export type DfuState = (typeof STATES)[number];

/** USB DFU 1.1, section 6.1.2, in words. */
const STATE_WORDS: Readonly<Record<DfuState, string>> = {
  appIDLE: "its firmware runs",
  appDETACH: "its firmware runs and waits for a bus reset to enter DFU mode",
  dfuIDLE: "it waits for a download or an upload",
  "dfuDNLOAD-SYNC": "it has received a block and waits for a status request",
  dfuDNBUSY: "it is writing a block",
  "dfuDNLOAD-IDLE": "it is in the middle of a download and waits for the next block",
  "dfuMANIFEST-SYNC": "it has received everything and waits for a status request",
  dfuMANIFEST: "it is checking and installing the firmware",
  "dfuMANIFEST-WAIT-RESET": "it has installed the firmware and waits for a bus reset",
  "dfuUPLOAD-IDLE": "it is in the middle of an upload",
  dfuERROR:
    "an error stopped it: it waits for the error to be cleared, which every download and upload does first",
};

/** USB DFU 1.1, table 6.1.2, in words; the name first, as the specification has it. */
const STATUSES: readonly (readonly [name: string, message: string])[] = [
  ["OK", "no error"],
  ["errTARGET", "the file is not for this device"],
  ["errFILE", "the file failed a vendor-specific check"],
  ["errWRITE", "the memory cannot be written"],
  ["errERASE", "the memory cannot be erased"],
  ["errCHECK_ERASED", "the memory is not empty after it was erased"],
  ["errPROG", "writing the memory failed"],
  ["errVERIFY", "the memory does not hold what was written"],
  ["errADDRESS", "the address is out of range, or protected"],
  ["errNOTDONE", "the download ended before the device had everything"],
  ["errFIRMWARE", "the device's firmware is damaged and cannot return to run-time operation"],
  ["errVENDOR", "a vendor-specific error"],
  ["errUSBR", "an unexpected bus reset"],
  ["errPOR", "an unexpected power-on reset"],
  ["errUNKNOWN", "an unknown error"],
  ["errSTALLEDPKT", "a request that the device did not expect"],
];

export interface DfuStatus {
  readonly code: number;
  /** The specification's name, e.g. `errWRITE`. */
  readonly name: string;
  readonly message: string;
  readonly state: DfuState;
  /** How long the device wants to be left alone before it is asked again. */
  readonly pollMs: number;
}

/** Longest a device may ask us to wait; a mass erase of two megabytes takes half a minute. */
const MOST_POLL_MS = 60_000;

/** Reads the six bytes of GETSTATUS. Throws {@link DfuError} `bad-answer`. */
export function readStatus(bytes: Uint8Array): DfuStatus {
  if (bytes.length < 6)
    throw new DfuError(
      "dfu-bad-answer",
      `The device's status is ${bytes.length} bytes long; it should be 6.`,
    );
  const code = u8(bytes, 0);
  const state = STATES[u8(bytes, 4)];
  if (state === undefined)
    throw new DfuError(
      "dfu-bad-answer",
      `The device reports state ${u8(bytes, 4)}, which does not exist in DFU.`,
    );
  const [name, message] = STATUSES[code] ?? [`status ${code}`, "a status that does not exist in DFU"];
  const pollMs = Math.min(u16le(bytes, 1) | (u8(bytes, 3) << 16), MOST_POLL_MS);
  return { code, name, message, state, pollMs };
}

/**
 * `dfuERROR: a fault stopped it ...`.
 *
 * @param state - of the DFU state machine
 * @returns its name and what it means
 */
export function stateInWords(state: DfuState): string {
  return `${state}: ${STATE_WORDS[state]}`;
}

/** `errWRITE: the memory cannot be written (state dfuERROR)`. */
export function statusInWords({ name, message, state }: DfuStatus): string {
  return `${name}: ${message} (state ${state})`;
}
