import type { SmpVersion } from "../smp/header.js";

/** What is known of the server at the other end. `connect` finds it out; before, the values are assumed. */
export interface ServerFacts {
  readonly version: SmpVersion;
  /** Decoded bytes it can reassemble, its length and CRC included. */
  readonly bufSize: number;
  /** Messages it can hold, the answer in the making included; absent when it does not say. */
  readonly bufCount?: number;
  /** Whether `bufSize` was told by the server or is the usual value of its kind. */
  readonly bufSizeFrom: "server" | "assumed";
  /** Who answers: the application, the bootloader's serial recovery, or something that could not be told. */
  readonly mode: "application" | "recovery" | "unknown";
}
