/** How many requests a server holds. */
export interface WindowSizes {
  /** With a buffer left for the answer in the making. */
  readonly safe: number;
  /** All that it said it has: only for a server that is done with a message before the next one needs its buffer. */
  readonly most: number;
}

/** Steps from one answer to the next by which a window is judged. One request at a time leaves no queue to wait for. */
const STEPS_A_VERDICT = { ofOne: 2, ofMore: 4 } as const;
/** Answers in a row after which a window has shown that the server holds it: what is lost from then on is noise. */
const ANSWERS_OF_PROOF = 12;
/** A window that does not bring so much more is not worth its risk. */
const WORTH = 1.03;
/** Answers after which a larger window is tried again: at first, and at most. */
const RETRY_AFTER = { first: 8, last: 2048 } as const;
/** Losses in a row that send the window back to one, whatever was learned, and the answers it stays there for. */
const LOSSES_OF_A_BREAKDOWN = 4;
const ANSWERS_OF_CAUTION = 8;

interface Verdict {
  readonly size: number;
  /** Bytes a millisecond. */
  readonly rate: number;
}

/** What a window has learned, but for the rates of its present size. */
interface Learned {
  readonly size: number;
  readonly isNoisy: boolean;
  readonly answers: number;
  readonly isTrying: boolean;
  readonly trial: Verdict | undefined;
  readonly retryAfter: number;
  readonly leftForLoss: number | undefined;
  readonly cautiousFor: number;
}

/**
 * How many requests are under way: one at first, more as long as that brings more, fewer at the first loss. Rates are those
 * between losses. A line that loses messages one at a time as well, or with a window that it has carried for a while, is
 * noisy; there the loss says nothing about the window, and `FlowControl` reckons which one serves best.
 */
export class Window {
  size: number;
  readonly #sizes: WindowSizes;
  #mayTakeAll = false;
  /** The size before and its bytes a millisecond, while it is tried whether another one serves better. */
  #before: Verdict | undefined;
  #isTrying: boolean;
  #retryAfter: number = RETRY_AFTER.first;
  /** Losses are not the window's fault: they come with one alone too, or with a window that the server has carried. */
  isNoisy = false;
  /** Answers that have to come before more than one is under way again. */
  #cautiousFor = 0;
  #suggested = 1;
  #lossesInARow = 0;
  /** What was known before the last loss, in case that it was none. */
  #beforeLoss: Learned | undefined;
  /** The larger size that was left because of a loss, until this one or another has proven itself. */
  #leftForLoss: number | undefined;
  /** With this size: answers, steps between two of them without a loss, and what they brought. */
  #answers = 0;
  #steps = 0;
  #bytes = 0;
  #took = 0;
  /** When the last answer came, unless something got lost since. */
  #lastAt: number | undefined;

  constructor(sizes: WindowSizes, first = 1) {
    this.#sizes = sizes;
    this.size = Math.min(Math.max(1, first), sizes.most);
    this.#mayTakeAll = this.size > sizes.safe;
    this.#isTrying = this.size === 1;
  }

  /** `bytes` more have arrived over there. */
  answered(bytes: number, now: number): void {
    this.#lossesInARow = 0;
    this.#answers++;
    this.#cautiousFor--;
    // The first answers with a new size are to requests that were sent with the old one.
    if (this.#lastAt !== undefined && this.#answers > this.size) {
      this.#steps++;
      this.#bytes += bytes;
      this.#took += now - this.#lastAt;
    }
    this.#lastAt = now;
    if (this.isNoisy) return;
    const isDue = this.#isTrying || this.#answers >= this.#retryAfter;
    const { ofOne, ofMore } = STEPS_A_VERDICT;
    const enough = this.size === 1 ? ofOne : Math.max(ofMore, this.size);
    if (isDue && this.#steps >= enough) this.#judge();
  }

  get #largest(): number {
    return this.#mayTakeAll ? this.#sizes.most : this.#sizes.safe;
  }

  /** Whether the last buffer of the server may be used too, from here on. */
  takeAll(may: boolean): void {
    if (may === this.#mayTakeAll) return;
    this.#mayTakeAll = may;
    if (this.size > this.#largest) this.#settle(this.#largest);
    else if (may && this.size === this.#sizes.safe) this.#retryAfter = 0;
  }

  /** So many would fill the line, by what is known of its times. Tried next, when more are tried. */
  suggest(size: number): void {
    this.#suggested = size;
  }

  /** A transfer begins: the time since the last answer is nobody's. */
  begin(): void {
    this.#lastAt = undefined;
  }

  lost(): void {
    if (this.#lossesInARow === 0) this.#beforeLoss = this.#asLearned();
    this.#lossesInARow++;
    this.#lastAt = undefined;
    if (this.size > 1 && this.#lossesInARow >= LOSSES_OF_A_BREAKDOWN) this.#breakDown();
    else if (this.#losesAnyway) this.isNoisy = true;
    else if (!this.isNoisy) {
      this.#leftForLoss = this.size;
      this.#settle(this.size >> 1);
    }
  }

  /** All that counted as lost had arrived: the window is again what it was before, and as much is known of it. */
  foundAgain(): void {
    const before = this.#beforeLoss;
    if (before === undefined) return;
    this.#beforeLoss = undefined;
    const { size, isNoisy, answers, isTrying, trial, retryAfter, leftForLoss, cautiousFor } = before;
    this.#change(Math.min(size, this.#largest));
    this.isNoisy = isNoisy;
    this.#answers = answers;
    this.#isTrying = isTrying;
    this.#before = trial;
    this.#retryAfter = retryAfter;
    this.#leftForLoss = leftForLoss;
    this.#cautiousFor = cautiousFor;
    // Nobody knows how long the pause was that lies between two answers now.
    this.#lastAt = undefined;
  }

  #asLearned(): Learned {
    return {
      size: this.size,
      isNoisy: this.isNoisy,
      answers: this.#answers,
      isTrying: this.#isTrying,
      trial: this.#before,
      retryAfter: this.#retryAfter,
      leftForLoss: this.#leftForLoss,
      cautiousFor: this.#cautiousFor,
    };
  }

  /** With one at a time too, with what it has carried for a while, or although there are fewer than at the loss before. */
  get #losesAnyway(): boolean {
    return this.size === 1 || this.#answers >= ANSWERS_OF_PROOF || this.size < (this.#leftForLoss ?? 0);
  }

  /** Most that may be under way on a noisy line, where its times and its losses tell what serves best. */
  get most(): number {
    return this.#cautiousFor > 0 ? 1 : this.#largest;
  }

  /** Takes this size, on a noisy line. */
  adopt(size: number): void {
    this.size = Math.min(size, this.most);
  }

  #breakDown(): void {
    this.#cautiousFor = ANSWERS_OF_CAUTION;
    this.#settle(1);
  }

  #judge(): void {
    const now = { size: this.size, rate: this.#bytes / Math.max(this.#took, 0.001) };
    const before = this.#before;
    if (before && now.rate <= before.rate * WORTH) {
      this.#settle(before.size);
      return;
    }
    if (before) this.#retryAfter = RETRY_AFTER.first;
    if (before) this.#leftForLoss = undefined;
    const next = Math.min(Math.max(this.size * 2, this.#suggested), this.#largest);
    if (next === this.size) {
      this.#settle(next);
      return;
    }
    this.#isTrying = true;
    this.#before = now;
    this.#change(next);
  }

  /** Stays with this size for a while, for longer each time. */
  #settle(size: number): void {
    this.#isTrying = false;
    this.#before = undefined;
    this.#change(size);
    this.#retryAfter = Math.min(this.#retryAfter * 2, RETRY_AFTER.last);
  }

  #change(size: number): void {
    this.size = size;
    this.#answers = 0;
    this.#steps = 0;
    this.#bytes = 0;
    this.#took = 0;
  }
}
