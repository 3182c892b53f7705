/** Slack above the usual time of an answer before its request counts as lost. */
const SLACK = { leastMs: 200, share: 1 } as const;
/** The same on a line that loses messages: nearly all of what is late there got lost. */
export const SLACK_ON_NOISE = { leastMs: 2, share: 0.1 } as const;
/** With others under way their answers tell of a loss sooner than any clock. */
const SLACK_IN_WINDOW = { leastMs: 100, share: 1.5 } as const;
/** Waited for the first answers, of which nothing is known. */
const FIRST_WAIT_MS = 1000;
const MOST_CAUTION = 16;
const SILENCES_OF_NOISE = 2;
/** Bytes between the lengths of two messages that tell what a byte takes. */
const TELLING_DIFFERENCE = 64;
/** Times as long as what is known: more than a length of its kind. */
const FAR_OFF = 4;
/** An answer that comes in less than this share of the usual time after a repeat is to the first try. */
const TOO_QUICK = 0.5;

/** Answers to messages of one length: how long they took, and how far that varies. */
interface Usual {
  mean: number;
  deviation: number;
}

/** A message that was alone on the line, and what its quickest answer took. */
interface Alone {
  readonly length: number;
  readonly ms: number;
}

/** How long an answer is waited for, by how long answers took so far (as TCP does, RFC 6298, with less slack). */
export class RttEstimator {
  /** By length of the message: on a slow line that is most of the time. */
  readonly #usual = new Map<number, Usual>();
  /** The quickest answer to a message that was alone on the line, by its length. */
  readonly #alone = new Map<number, number>();
  /** The shortest and the longest of {@link #alone}; undefined until they are asked for again. */
  #known: { readonly shortest: Alone; readonly longest: Alone } | undefined;
  /** Waits in vain since the last answer. */
  #silences = 0;
  /** Grows with each request that was taken for lost and was not. */
  #caution = 1;
  /** Of each byte of a message on the wire, where its speed is known. */
  readonly #nominalByteMs: number | undefined;

  constructor(nominalByteMs?: number) {
    this.#nominalByteMs = nominalByteMs;
  }

  /** Any answer at all is better than a guess: most of its time counts as spent on the line, which errs on the long side. */
  firstAnswered(length: number, ms: number): void {
    if (this.#usual.size === 0) this.answered(length, ms);
    this.answeredAlone(length, ms);
  }

  /** Nothing else was on the line. */
  answeredAlone(length: number, ms: number): void {
    const least = this.#alone.get(length);
    if (least !== undefined && least <= ms) return;
    this.#alone.set(length, ms);
    this.#known = undefined;
  }

  /** The least that an answer took beyond the time of its message on the wire; undefined where that is not known. */
  get restMs(): number | undefined {
    const { shortest } = this.#range();
    if (this.#nominalByteMs === undefined || this.#alone.size === 0) return undefined;
    return Math.max(0, shortest.ms - shortest.length * this.#nominalByteMs);
  }

  /** What a byte more adds to the round of a message, by the shortest and the longest seen. */
  get byteMs(): number {
    const { shortest, longest } = this.#range();
    const more = longest.ms - shortest.ms;
    // Two short ones say more of their answers than of the line.
    if (this.#nominalByteMs !== undefined && longest.length < shortest.length + TELLING_DIFFERENCE)
      return this.#nominalByteMs;
    if (longest.length === shortest.length || more <= 0) return longest.ms / longest.length;
    return more / (longest.length - shortest.length);
  }

  /** From sending a message to its answer, alone on the line. */
  readonly roundMs = (length: number): number => {
    const { longest } = this.#range();
    return Math.max(0, longest.ms - (longest.length - length) * this.byteMs);
  };

  /** Asked for several times a message, and seldom another. */
  #range() {
    this.#known ??= this.#reckonRange();
    return this.#known;
  }

  #reckonRange() {
    const seen = [...this.#alone].map(([length, ms]) => ({ length, ms })).sort((a, b) => a.length - b.length);
    const unknown = { length: 1, ms: 0.001 };
    return { shortest: seen[0] ?? unknown, longest: seen.at(-1) ?? unknown };
  }

  /** `sinceFreeMs`: from when the wire was free for it, which is a reckoning and may err; an answer never comes before. */
  answered(length: number, sinceFreeMs: number): void {
    const ms = Math.max(0, sinceFreeMs);
    this.#silences = 0;
    const usual = this.#usual.get(length);
    if (!usual) {
      this.#usual.set(length, { mean: ms, deviation: this.#besideWireMs(length, ms) / 8 });
      return;
    }
    usual.deviation += (Math.abs(ms - usual.mean) - usual.deviation) / 4;
    usual.mean += (ms - usual.mean) / 8;
  }

  /** A repeat was answered so soon after it was sent: true when that must be the answer to the first try. */
  repeatAnswered(length: number, ms: number): boolean {
    const usual = this.#usual.get(length);
    return usual !== undefined && ms < usual.mean * TOO_QUICK;
  }

  /** A request was taken for lost and was not. */
  tooHasty(): void {
    this.#caution = Math.min(this.#caution * 1.5, MOST_CAUTION);
  }

  /** Waited in vain. Once may be noise, and twice; from then on it waits twice as long each time, until there is an answer. */
  backOff(): void {
    this.#silences++;
  }

  /**
   * From when the wire is free for it, at most `most`. `window`: how many are under way with it. On a noisy line it is short,
   * unless something was taken for lost there that was not.
   */
  waitMs(
    length: number,
    most: number,
    { window, isNoisy = false }: { window: number; isNoisy?: boolean },
  ): number {
    const usual = this.#usual.get(length) ?? this.#guess(length);
    if (!usual) return Math.min(most, FIRST_WAIT_MS * 2 ** this.#silences);
    const isHasty = isNoisy && this.#caution === 1;
    const { leastMs, share } = isHasty ? SLACK_ON_NOISE : window === 1 ? SLACK : SLACK_IN_WINDOW;
    const varyingMs = isHasty ? this.#besideWireMs(length, usual.mean) : usual.mean;
    const slack = Math.max(leastMs, varyingMs * share, 4 * usual.deviation);
    const backedOff = 2 ** Math.max(0, this.#silences - (isHasty ? SILENCES_OF_NOISE : 0));
    return Math.min(most, (usual.mean + slack * this.#caution) * backedOff);
  }

  /** What of this time may vary: a wire takes as long each time. */
  #besideWireMs(length: number, ms: number): number {
    return Math.max(0, ms - length * (this.#nominalByteMs ?? 0));
  }

  /** For a length that was not tried: by one that was, as if its time grew with its length. */
  #guess(length: number): Usual | undefined {
    const [known] = [...this.#usual].sort(([a], [b]) => Math.abs(a - length) - Math.abs(b - length));
    if (!known) return undefined;
    const [knownLength, { mean, deviation }] = known;
    if (this.#nominalByteMs !== undefined && this.#knowsItsWire)
      return { mean: Math.max(this.roundMs(length), length < knownLength ? 0 : mean), deviation };
    const isFarOff = length > knownLength * FAR_OFF && this.#nominalByteMs !== undefined;
    const scaled = isFarOff ? this.roundMs(length) : mean * Math.max(1, length / knownLength);
    return { mean: scaled, deviation: scaled / 8 };
  }

  /** Both short and long messages were alone on the line. */
  get #knowsItsWire(): boolean {
    const { shortest, longest } = this.#range();
    return longest.length >= shortest.length + TELLING_DIFFERENCE;
  }
}
