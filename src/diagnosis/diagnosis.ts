import type { ServerFacts } from "../client/client.js";

/** What was measured on a link that works. Times in milliseconds, rates in bytes a second. */
export interface Diagnosis {
  readonly framing: string;
  readonly server: ServerFacts;
  readonly largestMessage: number;
  /** Half of all short questions were answered within this. */
  readonly roundTripMs: number;
  /** The longest message and back; absent where nothing takes one (serial recovery has no echo). */
  readonly longestRoundTripMs?: number;
  /** Messages that had to be repeated. */
  readonly repeated: number;
  /** Messages of many lines get lost unless the lines are paused. */
  readonly losesBursts: boolean;
  /** The longest message was never answered, while short ones were before and after it. */
  readonly losesLongMessages?: true;
  /** SMP travels through the board's shell. */
  readonly overShell: boolean;
  /** Besides the bytes' own time on the line. */
  readonly latencyMs: number;
  readonly baudRate?: number;
  /** What an upload can reach as the link is. */
  readonly uploadRate: number;
  /** What the line itself could carry with this framing and buffer, without latency. */
  readonly ceiling?: number;
  /** Erasing the free slot, when that was asked for. */
  readonly eraseMs?: number;
  /** Why the board would not erase it. */
  readonly eraseRefused?: string;
  /** The change that would help most; absent when none would help much. */
  readonly advice?: Advice;
}

export interface Advice {
  /** Kconfig, devicetree or host setting. */
  readonly setting: string;
  readonly why: string;
  /** The first release that has the setting, where not every supported one has. */
  readonly needs?: string;
  /** Upload rate with it, where that can be reckoned. */
  readonly uploadRate?: number;
}

export type Measured = Omit<Diagnosis, "advice">;
