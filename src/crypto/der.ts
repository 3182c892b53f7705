import { concat } from "../bytes.js";
import { BootproofError } from "../errors.js";

/** The few DER types that keys are made of. */
export const DER = {
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  NULL: 0x05,
  OID: 0x06,
  SEQUENCE: 0x30,
  /** Constructed context tags [0] and [1]. */
  CONTEXT_0: 0xa0,
  CONTEXT_1: 0xa1,
} as const;

/** Not the DER that was expected. `offset` counts from the start of the outermost bytes. */
export class DerError extends BootproofError {
  declare readonly code: "bad-der";
  readonly offset: number;

  constructor(offset: number, message: string) {
    super("bad-der", message);
    this.offset = offset;
  }
}

/** Reads one DER element after another. Lengths are bounded by the bytes; indefinite and padded lengths are refused. */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #base: number;
  #at = 0;

  constructor(bytes: Uint8Array, base = 0) {
    this.#bytes = bytes;
    this.#base = base;
  }

  /** The next element's tag; undefined at the end. */
  get tag(): number | undefined {
    return this.#bytes[this.#at];
  }

  get offset(): number {
    return this.#base + this.#at;
  }

  /** The content of the next element, which must have this tag. */
  read(tag: number, what: string): Uint8Array {
    if (this.tag !== tag) throw new DerError(this.offset, `Expected ${what} at offset ${this.offset}.`);
    const { start, length } = this.#lengthAt(this.#at + 1, what);
    if (start + length > this.#bytes.length)
      throw new DerError(this.offset, `${what} at offset ${this.offset} is truncated.`);
    this.#at = start + length;
    return this.#bytes.subarray(start, start + length);
  }

  /** A reader for the inside of the next element. */
  enter(tag: number, what: string): DerReader {
    const content = this.read(tag, what);
    return new DerReader(content, this.offset - content.length);
  }

  /** A non-negative INTEGER's digits, without leading zeros. */
  integer(what: string): Uint8Array {
    const at = this.offset;
    const content = this.read(DER.INTEGER, what);
    if (content.length === 0 || content[0]! > 0x7f)
      throw new DerError(at, `${what} at offset ${at} is negative or empty.`);
    const first = content.findIndex((byte) => byte !== 0);
    return first < 0 ? new Uint8Array(0) : content.subarray(first);
  }

  /** A BIT STRING of whole bytes. */
  bits(what: string): Uint8Array {
    const at = this.offset;
    const content = this.read(DER.BIT_STRING, what);
    if (content.length === 0 || content[0] !== 0)
      throw new DerError(at, `${what} at offset ${at} has a broken number of bits.`);
    return content.subarray(1);
  }

  /** Nothing may follow. */
  end(what: string): void {
    if (this.tag !== undefined)
      throw new DerError(this.offset, `Bytes after ${what} at offset ${this.offset}.`);
  }

  #lengthAt(at: number, what: string): { start: number; length: number } {
    const first = this.#bytes[at];
    if (first !== undefined && first < 0x80) return { start: at + 1, length: first };
    const digits = (first ?? 0x80) - 0x80;
    // Three bytes already say 16 MiB; no key comes near it.
    if (digits < 1 || digits > 3 || at + digits >= this.#bytes.length)
      throw new DerError(this.#base + at, `${what} at offset ${this.offset} has no usable length.`);
    let length = 0;
    for (let index = 1; index <= digits; index++) length = length * 256 + this.#bytes[at + index]!;
    if (length < 0x80 || this.#bytes[at + 1] === 0)
      throw new DerError(this.#base + at, `${what} at offset ${this.offset} has a padded length.`);
    return { start: at + 1 + digits, length };
  }
}

/**
 * One DER element (X.690): tag, length, content.
 *
 * @param tag - number of the element's type
 * @param content - joined in this order
 * @returns the element's bytes
 */
export function der(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const inside = concat(...content);
  return concat(Uint8Array.of(tag), lengthBytes(inside.length), inside);
}

/**
 * A non-negative INTEGER from big-endian digits.
 *
 * @param digits - big-endian, leading zeros allowed
 * @returns the element's bytes
 */
export function derInteger(digits: Uint8Array): Uint8Array {
  const first = digits.findIndex((byte) => byte !== 0);
  const shortest = first < 0 ? Uint8Array.of(0) : digits.subarray(first);
  // A set top bit would read as negative.
  return shortest[0]! > 0x7f ? der(DER.INTEGER, Uint8Array.of(0), shortest) : der(DER.INTEGER, shortest);
}

/**
 * A BIT STRING of whole bytes (X.690, 8.6).
 *
 * @param bytes - its bits, none of them unused
 * @returns the element's bytes
 */
export function derBits(bytes: Uint8Array): Uint8Array {
  return der(DER.BIT_STRING, Uint8Array.of(0), bytes);
}

function lengthBytes(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  if (length < 0x100) return Uint8Array.of(0x81, length);
  if (length < 0x1_0000) return Uint8Array.of(0x82, length >> 8, length & 0xff);
  return Uint8Array.of(0x83, length >> 16, (length >> 8) & 0xff, length & 0xff);
}
