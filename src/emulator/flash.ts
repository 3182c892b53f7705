/**
 * NOR flash with its rules enforced, in memory and, when asked, in a file as well.
 *
 * The rules are those of firmware-fixtures/flash/flash.h: erase sets whole sectors to ones, a write takes whole write
 * units that are still erased, and power can fail before or in the middle of any operation. What breaks a rule is
 * answered with a number, because the firmware lives with it; only a power cut is thrown, because it has to
 * unwind the firmware.
 */

/** The answers of firmware-fixtures/flash/flash.h. */
export const FLASH_OK = 0;
/** Outside the flash, or not aligned to write unit or sector. */
export const FLASH_ERR_RANGE = -1;
/** A write over bytes that are not erased. */
export const FLASH_ERR_NOT_ERASED = -2;
/** The range was locked until the next reset. */
export const FLASH_ERR_PROTECTED = -3;
export type FlashResult =
  | typeof FLASH_OK
  | typeof FLASH_ERR_RANGE
  | typeof FLASH_ERR_NOT_ERASED
  | typeof FLASH_ERR_PROTECTED;

export interface FlashShape {
  size: number;
  /** Bytes erased at once. */
  sector: number;
  /** Where sectors are not all alike: the one that holds the byte at `offset`. Default: all have `sector` bytes. */
  sectorAt?(offset: number): { start: number; size: number };
  /** Value of an erased byte. Default 0xff; on flash that erases to 0 a write sets bits. */
  erased?: 0xff | 0 | undefined;
  /** Smallest write, and the alignment of every write. */
  writeUnit: number;
  /**
   * What happens to a write over bytes that are not erased: a careful driver refuses it (the default), bare NOR
   * changes bits away from the erased value. Either way {@link Flash.writesOverUnerased} counts it.
   */
  overwrite?: "refuse" | "clear-bits";
}

/** Where power fails: before an operation starts, or when its first half is done. */
export type CutKind = "before" | "half-done";

/** Power failed at a flash operation. Thrown through the firmware; whoever runs it catches it. */
export class PowerCut extends Error {
  /** Operations begun since the flash was made, this one included. */
  readonly operation: number;
  constructor(operation: number) {
    super(`Power cut at flash operation ${operation}.`);
    this.name = "PowerCut";
    this.operation = operation;
  }
}

/** The answer of a flash that cannot be read there. */
const FLASH_ERR_BROKEN = FLASH_ERR_RANGE;

/** Told of every change, in order, at once: how a file follows the memory. */
export type FlashSink = (offset: number, bytes: Uint8Array) => void;

/** One flash. Erased when made without `content`. */
export class Flash {
  readonly size: number;
  readonly sector: number;
  readonly writeUnit: number;
  readonly erased: number;
  /** The content itself, for reading. Change it only through the methods: a file may follow it. */
  readonly bytes: Uint8Array;
  /** Operations begun: one per write, one per erased sector. A refused call is none. */
  operations = 0;
  writesOverUnerased = 0;
  readonly #clearBits: boolean;
  readonly #sectorAt: (offset: number) => { start: number; size: number };
  readonly #sink: FlashSink | undefined;
  #protected: { offset: number; end: number }[] = [];
  #broken = { offset: 0, end: 0 };
  #cutAt = 0;
  #cutKind: CutKind = "before";

  constructor(shape: FlashShape, options: { content?: Uint8Array; sink?: FlashSink } = {}) {
    if (shape.size % shape.sector !== 0 || shape.sector % shape.writeUnit !== 0)
      throw new RangeError(`No flash has this shape: ${JSON.stringify(shape)}.`);
    this.size = shape.size;
    this.sector = shape.sector;
    this.writeUnit = shape.writeUnit;
    this.erased = shape.erased ?? 0xff;
    this.#clearBits = shape.overwrite === "clear-bits";
    this.#sectorAt =
      shape.sectorAt ?? ((offset) => ({ start: offset - (offset % shape.sector), size: shape.sector }));
    this.#sink = options.sink;
    if (options.content && options.content.length >= shape.size) {
      this.bytes = new Uint8Array(options.content.subarray(0, shape.size));
      return;
    }
    this.bytes = new Uint8Array(shape.size).fill(this.erased);
    if (options.content) this.bytes.set(options.content);
  }

  /** Copies flash into `into`. */
  read(offset: number, into: Uint8Array): FlashResult {
    if (!this.#holds(offset, into.length)) return FLASH_ERR_RANGE;
    if (this.#isBroken(offset, into.length)) return FLASH_ERR_BROKEN;
    into.set(this.bytes.subarray(offset, offset + into.length));
    return FLASH_OK;
  }

  /** One operation. Throws {@link PowerCut} when the cut falls on it. */
  write(offset: number, data: Uint8Array): FlashResult {
    const refusal = this.#refusal(offset, data.length, this.writeUnit);
    if (refusal !== FLASH_OK) return refusal;
    if (data.length === 0) return FLASH_OK;
    if (!this.#isErased(offset, data.length)) {
      this.writesOverUnerased++;
      if (!this.#clearBits) return FLASH_ERR_NOT_ERASED;
    }
    this.#operate(data.length, (length) => {
      // Boards write byte by byte what a test looks at thousands of times: the loop asks for nothing but bytes.
      const { bytes, erased } = this;
      if (erased === 0) for (let index = 0; index < length; index++) bytes[offset + index]! |= data[index]!;
      else for (let index = 0; index < length; index++) bytes[offset + index]! &= data[index]!;
      this.#changed(offset, length);
    });
    return FLASH_OK;
  }

  /** One operation per sector, from the first up. Throws {@link PowerCut} when the cut falls on one of them. */
  erase(offset: number, length: number): FlashResult {
    const refusal = this.#isWholeSectors(offset, length) ? this.#refusal(offset, length, 1) : FLASH_ERR_RANGE;
    if (refusal !== FLASH_OK) return refusal;
    for (let at = offset; at < offset + length; ) {
      const { size } = this.#sectorAt(at);
      this.#operate(size, (part) => {
        this.bytes.fill(this.erased, at, at + part);
        this.#changed(at, part);
      });
      at += size;
    }
    return FLASH_OK;
  }

  #isWholeSectors(offset: number, length: number): boolean {
    if (!this.#holds(offset, length)) return false;
    if (length === 0) return true;
    const last = this.#sectorAt(offset + length - 1);
    return this.#sectorAt(offset).start === offset && last.start + last.size === offset + length;
  }

  /** From now on these bytes can be neither read nor changed, as on a chip that has failed; length 0 mends it. */
  break(offset: number, length: number): void {
    this.#broken = { offset, end: offset + length };
  }

  /** Refuses writes and erases that touch this range, until {@link unprotect}. */
  protect(offset: number, length: number): void {
    this.#protected.push({ offset, end: offset + length });
  }

  /** What a reset does to the protection. */
  unprotect(): void {
    this.#protected = [];
  }

  /**
   * Cuts power at the n-th operation from now, 1 being the next. The half of a write is the half of its bytes, the
   * half of an erase the first half of the sector. The cut happens once.
   */
  cutAt(operation: number, kind: CutKind = "before"): void {
    this.#cutAt = this.operations + operation;
    this.#cutKind = kind;
  }

  /** Takes back a cut that has not happened. */
  cutNever(): void {
    this.#cutAt = 0;
  }

  /** Puts bytes there as a programmer on the bench would: no rule, no operation, no cut. */
  program(offset: number, data: Uint8Array): void {
    this.bytes.set(data, offset);
    this.#changed(offset, data.length);
  }

  #operate(length: number, change: (length: number) => void): void {
    this.operations++;
    if (this.operations !== this.#cutAt) {
      change(length);
      return;
    }
    this.#cutAt = 0;
    if (this.#cutKind === "half-done") change(length >> 1);
    throw new PowerCut(this.operations);
  }

  #changed(offset: number, length: number): void {
    this.#sink?.(offset, this.bytes.subarray(offset, offset + length));
  }

  #refusal(offset: number, length: number, unit: number): FlashResult {
    if (!this.#holds(offset, length) || offset % unit !== 0 || length % unit !== 0) return FLASH_ERR_RANGE;
    if (this.#isBroken(offset, length)) return FLASH_ERR_BROKEN;
    for (const range of this.#protected)
      if (offset < range.end && offset + length > range.offset) return FLASH_ERR_PROTECTED;
    return FLASH_OK;
  }

  #isBroken(offset: number, length: number): boolean {
    return offset < this.#broken.end && offset + length > this.#broken.offset;
  }

  #holds(offset: number, length: number): boolean {
    return offset >= 0 && length >= 0 && offset + length <= this.size;
  }

  #isErased(offset: number, length: number): boolean {
    const { bytes, erased } = this;
    for (let index = offset; index < offset + length; index++) if (bytes[index] !== erased) return false;
    return true;
  }
}
