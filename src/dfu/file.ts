import { concat, equal, putU8, putU16le, putU32le, u8, u16le, u32le } from "../bytes.js";
import { dfuCrc32 } from "./crc32.js";
import { DfuError } from "./error.js";

/** Bytes that belong at an address. */
export interface Element {
  readonly address: number;
  readonly data: Uint8Array;
}

/** What a DfuSe file holds for one alternate setting. */
export interface Target {
  readonly alternate: number;
  readonly name: string | undefined;
  readonly elements: readonly Element[];
}

/** For which device a file was made; 0xffff is any. */
export interface DfuFileIds {
  readonly vendorId: number;
  readonly productId: number;
  readonly release: number;
}

export interface DfuFile {
  /** From the suffix; undefined when there is none. */
  readonly ids: DfuFileIds | undefined;
  /** A DfuSe file's targets; undefined for plain content. */
  readonly targets: readonly Target[] | undefined;
  /** The content without suffix. */
  readonly content: Uint8Array;
}

/** USB DFU 1.1, appendix B. */
const SUFFIX_LENGTH = 16;
const SIGNATURE = Uint8Array.of(0x55, 0x46, 0x44);
const SUFFIX_VERSION = { dfu: 0x0100, dfuse: 0x011a } as const;
const ANY_ID = 0xffff;

/** UM0391, 2.2 to 2.4. */
const PREFIX = Uint8Array.from([..."DfuSe"].map((letter) => letter.charCodeAt(0)));
const PREFIX_LENGTH = 11;
const TARGET_SIGNATURE = Uint8Array.from([..."Target"].map((letter) => letter.charCodeAt(0)));
const TARGET_LENGTH = 274;
const TARGET_NAME_LENGTH = 255;
const ELEMENT_LENGTH = 8;

/**
 * Reads a file for DFU: plain, with a suffix, or in ST's DfuSe format.
 *
 * @param bytes - of the whole file
 * @returns its content without a suffix, the ids that the suffix names, and a DfuSe file's targets
 * @throws {@link DfuError} `dfu-file` when it claims to be one of them and its lengths or its CRC say otherwise
 */
export function readDfuFile(bytes: Uint8Array): DfuFile {
  const ids = readSuffix(bytes);
  const content = ids ? bytes.subarray(0, bytes.length - SUFFIX_LENGTH) : bytes;
  const targets = startsWith(content, 0, PREFIX) ? readTargets(content) : undefined;
  return { ids, targets, content };
}

/** Whether a file was made for a device; one without a suffix does not say. */
export function isForDevice(ids: DfuFileIds | undefined, device: Omit<DfuFileIds, "release">): boolean {
  if (!ids) return true;
  return (["vendorId", "productId"] as const).every((key) => ids[key] === ANY_ID || ids[key] === device[key]);
}

/** The content with a suffix behind it. */
export function withSuffix(content: Uint8Array, ids: DfuFileIds): Uint8Array {
  const suffix = new Uint8Array(SUFFIX_LENGTH);
  putU16le(suffix, 0, ids.release);
  putU16le(suffix, 2, ids.productId);
  putU16le(suffix, 4, ids.vendorId);
  putU16le(suffix, 6, SUFFIX_VERSION.dfu);
  suffix.set(SIGNATURE, 8);
  putU8(suffix, 11, SUFFIX_LENGTH);
  const whole = concat(content, suffix);
  putU32le(whole, whole.length - 4, dfuCrc32(whole.subarray(0, whole.length - 4)));
  return whole;
}

function readSuffix(bytes: Uint8Array): DfuFileIds | undefined {
  const at = bytes.length - SUFFIX_LENGTH;
  if (at < 0 || !startsWith(bytes, at + 8, SIGNATURE) || u8(bytes, at + 11) < SUFFIX_LENGTH) return undefined;
  const version = u16le(bytes, at + 6);
  if (version !== SUFFIX_VERSION.dfu && version !== SUFFIX_VERSION.dfuse) return undefined;
  if (u32le(bytes, bytes.length - 4) !== dfuCrc32(bytes.subarray(0, bytes.length - 4)))
    throw fault("the CRC in its suffix does not match: the file is damaged");
  return { release: u16le(bytes, at), productId: u16le(bytes, at + 2), vendorId: u16le(bytes, at + 4) };
}

function readTargets(content: Uint8Array): Target[] {
  if (content.length < PREFIX_LENGTH || u8(content, 5) !== 1)
    throw fault("it is a DfuSe file of another version");
  const declared = u32le(content, 6);
  // ST's document counts the suffix or not, depending on the page; tools do either.
  if (declared !== content.length && declared !== content.length + SUFFIX_LENGTH)
    throw fault("its length is not the one it declares");
  const targets: Target[] = [];
  let at = PREFIX_LENGTH;
  for (let index = 0; index < u8(content, 10); index++) {
    const [target, next] = readTarget(content, at);
    targets.push(target);
    at = next;
  }
  if (at !== content.length) throw fault("bytes follow its last target");
  return targets;
}

function readTarget(content: Uint8Array, at: number): [target: Target, next: number] {
  if (at + TARGET_LENGTH > content.length || !startsWith(content, at, TARGET_SIGNATURE))
    throw fault("a target is missing");
  const named = u32le(content, at + 7) !== 0;
  const nameBytes = content.subarray(at + 11, at + 11 + TARGET_NAME_LENGTH);
  const end = nameBytes.indexOf(0);
  const name = new TextDecoder().decode(end < 0 ? nameBytes : nameBytes.subarray(0, end));
  const size = u32le(content, at + 266);
  const count = u32le(content, at + 270);
  const elements: Element[] = [];
  let position = at + TARGET_LENGTH;
  while (elements.length < count) {
    if (position + ELEMENT_LENGTH > content.length) throw fault("an element is missing");
    const address = u32le(content, position);
    const length = u32le(content, position + 4);
    const start = position + ELEMENT_LENGTH;
    if (start + length > content.length) throw fault("an element is longer than the file");
    elements.push({ address, data: content.subarray(start, start + length) });
    position = start + length;
  }
  if (position - at - TARGET_LENGTH !== size) throw fault("a target's length is not the one it declares");
  return [{ alternate: u8(content, at + 6), name: named ? name : undefined, elements }, position];
}

function startsWith(bytes: Uint8Array, at: number, expected: Uint8Array): boolean {
  return equal(bytes.subarray(at, at + expected.length), expected);
}

function fault(why: string): DfuError {
  return new DfuError("dfu-file", `This is not a usable DFU file: ${why}.`);
}
