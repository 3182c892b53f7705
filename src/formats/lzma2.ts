import { BootproofError } from "../errors.js";

export type LzmaErrorCode =
  /** Not what an LZMA2 stream holds at that place, or it refers to data before its start. */
  | "bad-lzma"
  /** The stream ends early. */
  | "lzma-truncated"
  /** It decompresses to more than it may. */
  | "lzma-too-large";

/** A compressed body that cannot be unpacked. `offset` is where in the stream. */
export class LzmaError extends BootproofError {
  declare readonly code: LzmaErrorCode;
  readonly offset: number;

  constructor(code: LzmaErrorCode, offset: number, message: string) {
    super(code, message);
    this.offset = offset;
  }
}

/**
 * Unpacks a raw LZMA2 stream (the format of xz' blocks; the algorithm is that of the LZMA specification by its author).
 * `limit` bounds what comes out, and with it all memory that is used. Throws {@link LzmaError}.
 */
export function decodeLzma2(stream: Uint8Array, limit: number): Uint8Array {
  const decoder = new LzmaDecoder(stream, limit);
  let at = 0;
  while (byteAt(stream, at) !== 0) at = decoder.chunk(at);
  return decoder.result;
}

/** Kinds of a length: how many bits say what. */
const LENGTH_LOW = 0;
const LENGTH_MID = 1;

const BIT_MODEL_TOTAL = 1 << 11;
const MOVE_BITS = 5;
const STATES = 12;
const LITERAL_STATES = 7;
const MATCH_MIN = 2;
const POSITION_STATES_MAX = 16;
const LENGTH_TO_POSITION_STATES = 4;
const FIRST_ALIGNED_SLOT = 14;
const ALIGN_BITS = 4;

/** Probabilities of one bit each, as the coder learned them. */
type Model = Uint16Array;

class LengthModel {
  readonly choice = model(2);
  readonly low = models(POSITION_STATES_MAX, 8);
  readonly mid = models(POSITION_STATES_MAX, 8);
  readonly high = model(256);
}

class LzmaDecoder {
  readonly #in: Uint8Array;
  readonly #limit: number;
  #out: Uint8Array;
  #written = 0;
  #dictionaryStart = 0;
  /** The stream must begin with a fresh dictionary, and after one come new properties. */
  #needsDictionary = true;
  #needsProperties = true;
  #lc = 0;
  #literalBits = 0;
  #literalPositionMask = 0;
  #positionMask = 0;
  // The range coder's window on the stream.
  #at = 0;
  #end = 0;
  #range = 0;
  #code = 0;
  #state = 0;
  #distances: [number, number, number, number] = [0, 0, 0, 0];
  #models = freshModels(0);

  constructor(stream: Uint8Array, limit: number) {
    this.#in = stream;
    this.#limit = limit;
    this.#out = new Uint8Array(Math.min(limit, 4 * stream.length));
  }

  get result(): Uint8Array {
    return this.#out.subarray(0, this.#written);
  }

  /** Takes the chunk at this offset; where the next one begins. */
  chunk(at: number): number {
    const control = byteAt(this.#in, at);
    if (control === 1 || control >= 0xe0) {
      this.#dictionaryStart = this.#written;
      this.#needsDictionary = false;
      this.#needsProperties = true;
    } else if (this.#needsDictionary) throw bad(at, "it does not begin with a fresh dictionary");
    if (control >= 0x80) return this.#packedChunk(at, control);
    if (control > 2) throw bad(at, `0x${control.toString(16)} does not begin a chunk`);
    const size = u16(this.#in, at + 1) + 1;
    if (at + 3 + size > this.#in.length) throw truncated(this.#in);
    this.#makeRoom(size, at);
    this.#out.set(this.#in.subarray(at + 3, at + 3 + size), this.#written);
    this.#written += size;
    return at + 3 + size;
  }

  #packedChunk(at: number, control: number): number {
    const unpacked = ((control & 0x1f) << 16) + u16(this.#in, at + 1) + 1;
    const packed = u16(this.#in, at + 3) + 1;
    const withProperties = control >= 0xc0;
    if (withProperties) this.#setProperties(byteAt(this.#in, at + 5), at + 5);
    else if (this.#needsProperties) throw bad(at, "the first packed chunk has no properties");
    else if (control >= 0xa0) this.#resetState();
    const from = at + (withProperties ? 6 : 5);
    if (from + packed > this.#in.length || packed < 5) throw truncated(this.#in);
    this.#makeRoom(unpacked, at);
    this.#startCoder(from, packed);
    const end = this.#written + unpacked;
    while (this.#written < end) this.#step(end);
    if (this.#at !== this.#end || this.#code !== 0)
      throw bad(this.#at, "a chunk does not end where it should");
    return this.#end;
  }

  #setProperties(properties: number, offset: number): void {
    const lc = properties % 9;
    const rest = Math.floor(properties / 9);
    const [lp, pb] = [rest % 5, Math.floor(rest / 5)];
    // LZMA2 allows no more than four bits of context for a literal.
    if (pb > 4 || lc + lp > 4) throw bad(offset, `properties 0x${properties.toString(16)} do not exist`);
    this.#lc = lc;
    this.#literalBits = lc + lp;
    this.#literalPositionMask = (1 << lp) - 1;
    this.#positionMask = (1 << pb) - 1;
    this.#needsProperties = false;
    this.#resetState();
  }

  #resetState(): void {
    this.#models = freshModels(this.#literalBits);
    this.#state = 0;
    this.#distances = [0, 0, 0, 0];
  }

  #makeRoom(size: number, offset: number): void {
    const needed = this.#written + size;
    if (needed > this.#limit)
      throw new LzmaError(
        "lzma-too-large",
        offset,
        `The body decompresses to more than ${this.#limit} bytes.`,
      );
    if (needed <= this.#out.length) return;
    const larger = new Uint8Array(Math.min(this.#limit, Math.max(needed, 2 * this.#out.length)));
    larger.set(this.result);
    this.#out = larger;
  }

  #startCoder(from: number, packed: number): void {
    if (this.#in[from] !== 0) throw bad(from, "a chunk begins with another byte than zero");
    this.#range = 0xffff_ffff;
    this.#code = 0;
    for (let index = 1; index < 5; index++) this.#code = ((this.#code << 8) | this.#in[from + index]!) >>> 0;
    this.#at = from + 5;
    this.#end = from + packed;
  }

  /** One literal or one match. */
  #step(end: number): void {
    const position = (this.#written - this.#dictionaryStart) & this.#positionMask;
    const { isMatch, isRepeat } = this.#models;
    if (this.#bit(isMatch, this.#state * POSITION_STATES_MAX + position) === 0) {
      this.#literal();
      return;
    }
    const length = this.#bit(isRepeat, this.#state) === 0 ? this.#match(position) : this.#repeat(position);
    const [distance] = this.#distances;
    if (distance >= this.#written - this.#dictionaryStart)
      throw bad(this.#at, "it refers to bytes before its start");
    if (this.#written + length > end) throw bad(this.#at, "a match runs over the end of its chunk");
    for (let left = length; left > 0; left--, this.#written++)
      this.#out[this.#written] = this.#out[this.#written - distance - 1]!;
  }

  #literal(): void {
    const within = this.#written - this.#dictionaryStart;
    const before = within > 0 ? this.#out[this.#written - 1]! : 0;
    const context = ((within & this.#literalPositionMask) << this.#lc) + (before >> (8 - this.#lc));
    const probabilities = this.#models.literal[context]!;
    let symbol = 1;
    if (this.#state >= LITERAL_STATES) {
      // After a match the byte that would have gone on with it is a hint, as long as it holds.
      let hint = this.#out[this.#written - this.#distances[0] - 1] ?? 0;
      while (symbol < 0x100) {
        const hintBit = (hint >> 7) & 1;
        hint <<= 1;
        const bit = this.#bit(probabilities, ((1 + hintBit) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (bit !== hintBit) break;
      }
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(probabilities, symbol);
    this.#out[this.#written++] = symbol & 0xff;
    const state = this.#state;
    this.#state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
  }

  /** A match at a distance of its own; its length. */
  #match(position: number): number {
    const [first, second, third] = this.#distances;
    const length = this.#length(this.#models.matchLength, position);
    this.#state = this.#state < LITERAL_STATES ? 7 : 10;
    this.#distances = [this.#distance(length), first, second, third];
    return length;
  }

  /** A match at one of the last four distances; its length. */
  #repeat(position: number): number {
    const { isRepeat0, isRepeat0Long, isRepeat1, isRepeat2, repeatLength } = this.#models;
    const [first, second, third, fourth] = this.#distances;
    const wasLiteral = this.#state < LITERAL_STATES;
    if (this.#bit(isRepeat0, this.#state) === 0) {
      if (this.#bit(isRepeat0Long, this.#state * POSITION_STATES_MAX + position) === 0) {
        this.#state = wasLiteral ? 9 : 11;
        return 1;
      }
    } else if (this.#bit(isRepeat1, this.#state) === 0) this.#distances = [second, first, third, fourth];
    else if (this.#bit(isRepeat2, this.#state) === 0) this.#distances = [third, first, second, fourth];
    else this.#distances = [fourth, first, second, third];
    this.#state = wasLiteral ? 8 : 11;
    return this.#length(repeatLength, position);
  }

  #length({ choice, low, mid, high }: LengthModel, position: number): number {
    if (this.#bit(choice, LENGTH_LOW) === 0) return MATCH_MIN + this.#tree(low[position]!, 3);
    if (this.#bit(choice, LENGTH_MID) === 0) return MATCH_MIN + 8 + this.#tree(mid[position]!, 3);
    return MATCH_MIN + 16 + this.#tree(high, 8);
  }

  #distance(length: number): number {
    const kind = Math.min(length - MATCH_MIN, LENGTH_TO_POSITION_STATES - 1);
    const slot = this.#tree(this.#models.slot[kind]!, 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const base = (2 | (slot & 1)) * 2 ** bits;
    if (slot < FIRST_ALIGNED_SLOT) return base + this.#reverseTree(this.#models.special, base - slot, bits);
    const high = this.#direct(bits - ALIGN_BITS) * (1 << ALIGN_BITS);
    return base + high + this.#reverseTree(this.#models.align, 0, ALIGN_BITS);
  }

  #tree(probabilities: Model, bits: number): number {
    let symbol = 1;
    for (let left = bits; left > 0; left--) symbol = (symbol << 1) | this.#bit(probabilities, symbol);
    return symbol - (1 << bits);
  }

  /** Lowest bit first. */
  #reverseTree(probabilities: Model, base: number, bits: number): number {
    let symbol = 1;
    let value = 0;
    for (let index = 0; index < bits; index++) {
      const bit = this.#bit(probabilities, base + symbol);
      symbol = (symbol << 1) | bit;
      value |= bit << index;
    }
    return value;
  }

  /** Bits of which both values are as likely. */
  #direct(count: number): number {
    let value = 0;
    for (let left = count; left > 0; left--) {
      this.#range = this.#range >>> 1;
      const bit = this.#code >= this.#range ? 1 : 0;
      if (bit === 1) this.#code = (this.#code - this.#range) >>> 0;
      value = value * 2 + bit;
      this.#normalize();
    }
    return value;
  }

  #bit(probabilities: Model, index: number): number {
    const probability = probabilities[index]!;
    const bound = (this.#range >>> 11) * probability;
    if (this.#code < bound) {
      this.#range = bound;
      probabilities[index] = probability + ((BIT_MODEL_TOTAL - probability) >> MOVE_BITS);
      this.#normalize();
      return 0;
    }
    this.#range = (this.#range - bound) >>> 0;
    this.#code = (this.#code - bound) >>> 0;
    probabilities[index] = probability - (probability >> MOVE_BITS);
    this.#normalize();
    return 1;
  }

  #normalize(): void {
    if (this.#range >= 0x100_0000) return;
    if (this.#at >= this.#end) throw bad(this.#at, "a chunk ends early");
    this.#range = (this.#range << 8) >>> 0;
    this.#code = ((this.#code << 8) | this.#in[this.#at++]!) >>> 0;
  }
}

function freshModels(literalBits: number) {
  return {
    literal: models(1 << literalBits, 0x300),
    isMatch: model(STATES * POSITION_STATES_MAX),
    isRepeat: model(STATES),
    isRepeat0: model(STATES),
    isRepeat0Long: model(STATES * POSITION_STATES_MAX),
    isRepeat1: model(STATES),
    isRepeat2: model(STATES),
    matchLength: new LengthModel(),
    repeatLength: new LengthModel(),
    slot: models(LENGTH_TO_POSITION_STATES, 64),
    special: model(1 + 128),
    align: model(1 << ALIGN_BITS),
  };
}

function model(size: number): Model {
  return new Uint16Array(size).fill(BIT_MODEL_TOTAL / 2);
}

function models(count: number, size: number): Model[] {
  return Array.from({ length: count }, () => model(size));
}

function byteAt(bytes: Uint8Array, offset: number): number {
  const byte = bytes[offset];
  if (byte === undefined) throw truncated(bytes);
  return byte;
}

function u16(bytes: Uint8Array, offset: number): number {
  return byteAt(bytes, offset) * 256 + byteAt(bytes, offset + 1);
}

function bad(offset: number, why: string): LzmaError {
  return new LzmaError("bad-lzma", offset, `The compressed body is damaged at ${offset}: ${why}.`);
}

function truncated(bytes: Uint8Array): LzmaError {
  return new LzmaError("lzma-truncated", bytes.length, "The compressed body ends before its stream does.");
}
