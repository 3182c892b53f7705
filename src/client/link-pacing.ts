import type { Framing } from "../smp/framing/framing.js";
import { FlowControl, LINE_PAUSE_MS, type LinkMemory, windowSizes } from "./flow-control.js";
import type { Link } from "./link.js";
import { RttEstimator } from "./rtt-estimator.js";
import type { ServerFacts } from "./server-facts.js";

/** Bursts that only got through with pauses before all bursts are paused. */
const RESCUES_UNTIL_SLOW = 2;

/** Whom the messages go to, and on which wire. */
export interface PacedServer {
  readonly link: Link;
  readonly server: ServerFacts;
  /** The longest message that it takes, bytes. */
  readonly largestMessage: number;
}

/** What a link has taught about how fast to speak on it. */
export class LinkPacing {
  readonly #to: PacedServer;
  readonly #remembered: LinkMemory | undefined;
  readonly #rtt: RttEstimator;
  #rescues = 0;
  #paces: { server: ServerFacts; framing: Framing; writing: FlowControl; reading: FlowControl } | undefined;

  constructor(to: PacedServer, remembered: LinkMemory | undefined) {
    this.#to = to;
    this.#remembered = remembered;
    this.#rtt = new RttEstimator(this.byteMs);
  }

  /** What a byte of a message takes on the wire, framing included, milliseconds; undefined where its speed is unknown. */
  get byteMs(): number | undefined {
    const { link } = this.#to;
    return link.byteMs(link.framing);
  }

  /** True once bursts of lines are sent with pauses, because the server kept losing them. */
  get isSlow(): boolean {
    return this.#rescues >= RESCUES_UNTIL_SLOW || (this.#remembered?.linePauseMs ?? 0) > 0;
  }

  /** How transfers speak to the server that is there now. */
  get writing(): FlowControl {
    return this.#now.writing;
  }

  /** The same for those that bring data from it. */
  get reading(): FlowControl {
    return this.#now.reading;
  }

  /** For the next time: give it to `connect`. */
  get memory(): LinkMemory {
    const { largestMessage, link } = this.#to;
    const { name } = link.framing;
    // A pipe of datagrams has no other framing that one could try first.
    const framing = link.isSettled && name !== "datagram" ? { framing: name } : {};
    const linePauseMs = this.isSlow ? { linePauseMs: LINE_PAUSE_MS } : {};
    const isNew = this.#remembered === undefined || Object.keys(this.#remembered).length === 0;
    // Nothing was transferred: there is no pace to remember.
    if (this.#paces === undefined && isNew) return { ...framing, ...linePauseMs };
    const { writing } = this;
    const best = writing.nextLength(largestMessage);
    const { window } = writing;
    return {
      ...framing,
      ...(window.size > 1 ? { window: window.size } : {}),
      ...(best < largestMessage ? { maxMessage: best } : {}),
      ...(writing.linePauseMs > 0 ? { linePauseMs: LINE_PAUSE_MS } : linePauseMs),
    };
  }

  /** A message of this length, bytes, was answered at its first try. */
  firstAnswered(length: number, ms: number): void {
    this.#rtt.firstAnswered(length, ms);
  }

  /** A burst got through with pauses between its lines. */
  rescued(): void {
    this.#rescues++;
  }

  get #now() {
    const { server, link } = this.#to;
    const { framing } = link;
    if (this.#paces?.server !== server || this.#paces.framing !== framing) {
      const sizes = windowSizes(server, framing.name);
      const writing = new FlowControl(sizes, this.#rtt, this.#remembered);
      const reading = new FlowControl(sizes, new RttEstimator(), {}, true);
      this.#paces = { server, framing, writing, reading };
    }
    return this.#paces;
  }
}
