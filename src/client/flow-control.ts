import type { FramingName } from "../smp/framing/framing.js";
import { MessageSize, SHORTEST } from "./message-size.js";
import type { RttEstimator } from "./rtt-estimator.js";
import type { ServerFacts } from "./server-facts.js";
import { ServerLatency } from "./server-latency.js";
import { Window, type WindowSizes } from "./window.js";

export type { WindowSizes } from "./window.js";

/** What a link taught: how to speak to this board the next time. Every field may be missing. */
export interface LinkMemory {
  readonly framing?: FramingName | undefined;
  /** Requests under way at once that served best. */
  readonly window?: number | undefined;
  /** The longest message that gets through; absent when the whole buffer may be filled. */
  readonly maxMessage?: number | undefined;
  /** Rest between two lines, when bursts get lost. */
  readonly linePauseMs?: number | undefined;
}

/** Rest between lines for a server that lost a burst. Go's client uses 20 ms and is known to be slow enough. */
export const LINE_PAUSE_MS = 20;

/**
 * A silence after which raw servers forget the message that they have half of: Zephyr's and MCUboot's input timeout is
 * 3000 ms where it is built in (`CONFIG_MCUMGR_TRANSPORT_RAW_UART_INPUT_TIMEOUT`).
 */
export const RAW_FORGETS_MS = 3300;

/** How transfers speak to one server, learned on the way. */
export class FlowControl {
  readonly window: Window;
  readonly length: MessageSize;
  readonly rtt: RttEstimator;
  readonly serverLatency = new ServerLatency();
  readonly #isReading: boolean;
  readonly #sizes: WindowSizes;
  readonly #linePauseMs: number;

  /** `isReading`: what is sent is short in any case, so there is no length to choose. */
  constructor(sizes: WindowSizes, rtt: RttEstimator, memory: LinkMemory = {}, isReading = false) {
    this.#isReading = isReading;
    this.rtt = rtt;
    this.#sizes = sizes;
    this.window = new Window(sizes, memory.window);
    this.length = new MessageSize(memory.maxMessage);
    this.#linePauseMs = memory.linePauseMs ?? 0;
  }

  /** How long the next message may be where the server takes `largest`; on a noisy line the window is chosen with it. */
  nextLength(largest: number): number {
    const { window, length, rtt } = this;
    if (this.#isReading) return largest;
    if (!window.isNoisy) return length.best(largest, [window.size], rtt).length;
    const best = length.best(largest, [1, ...WINDOWS_TO_WEIGH.filter((size) => size <= window.most)], rtt);
    window.adopt(best.window);
    return best.length;
  }

  /** Requests that the server holds in any case. */
  get safeWindow(): number {
    return this.#sizes.safe;
  }

  /** How long the answer to a message of this length is waited for, from when the wire is free for it. */
  waitMs(length: number, most: number): number {
    const { size: window, isNoisy } = this.window;
    return this.rtt.waitMs(length, most, { window, isNoisy });
  }

  /** A message was lost that nothing behind it has made good. */
  lost(): void {
    if (this.window.size > this.#sizes.safe) this.serverLatency.suspect();
    this.window.lost();
  }

  /** What counted as lost had all arrived: the server held it while it paused. */
  onlyPaused(): void {
    this.serverLatency.acquit();
    this.window.foundAgain();
  }

  /** Lines are paused only where even the shortest messages get lost without. */
  get linePauseMs(): number {
    const isLosing = (this.length.lossOf(SHORTEST) ?? 0) > 0.5;
    return isLosing ? LINE_PAUSE_MS : this.length.isRemembered ? 0 : this.#linePauseMs;
  }
}

/** Windows beyond one that are weighed against each other on a noisy line. */
const WINDOWS_TO_WEIGH = [2, 3, 4, 6, 8, 12, 16, 32, 64] as const;

/**
 * Most requests that may be under way. A server needs one buffer for the answer in the making (at most `buf_count` - 1), and
 * Zephyr 4.4 ends in a fault when a line comes and there is no buffer left (`mcumgr_serial_process_frag`; tried). Serial
 * recovery has one for all. A raw server drops everything when a second message begins before the first is taken, and then
 * takes whatever follows for a header, with no CRC to find out by: there it is not tried.
 */
export function windowSizes(server: ServerFacts, framing: FramingName): WindowSizes {
  const { mode, bufCount } = server;
  if (mode === "recovery" || framing === "raw" || bufCount === undefined) return { safe: 1, most: 1 };
  const safe = Math.min(Math.max(1, bufCount - 1), MOST_IN_FLIGHT);
  return { safe, most: framing === "console" ? Math.min(Math.max(1, bufCount), MOST_IN_FLIGHT) : safe };
}
/** Half of the sequence numbers, so that a late answer cannot be taken for that to another request. */
const MOST_IN_FLIGHT = 128;
