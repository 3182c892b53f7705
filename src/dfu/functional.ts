import { u8, u16le } from "../bytes.js";

/** What a device declares about its DFU interface: USB DFU 1.1, table 4.2. */
export interface DfuFunctional {
  readonly canDownload: boolean;
  readonly canUpload: boolean;
  /** It answers after the download; otherwise it waits for a reset. */
  readonly isManifestationTolerant: boolean;
  /** It leaves for DFU mode by itself; a reset by the host would disturb it. */
  readonly willDetach: boolean;
  readonly detachTimeoutMs: number;
  /** Most bytes of one DNLOAD or UPLOAD. */
  readonly transferSize: number;
  /** Binary coded: 0x0110 is DFU 1.1, 0x011a is ST's DfuSe. */
  readonly version: number;
  readonly isDfuSe: boolean;
}

/** USB DFU 1.1, 4.1.1 and 4.2.1: the class, its one subclass, and the two modes of its interface. */
export const DFU_INTERFACE = { class: 0xfe, subclass: 1, runtime: 1, mode: 2 } as const;

const TYPE = 0x21;
const LENGTH = 9;
/** DFU 1.0 devices leave the version out. */
const SHORT_LENGTH = 7;
const ATTRIBUTE = { download: 1, upload: 2, tolerant: 4, willDetach: 8 } as const;
const DFUSE_VERSION = 0x011a;
/** The least that serves as a block; a device that declares 0 has left it blank. */
const DEFAULT_TRANSFER_SIZE = 64;

/** Finds the functional descriptor among an interface's class descriptors; undefined when there is none. */
export function readFunctional(extra: Uint8Array): DfuFunctional | undefined {
  for (let at = 0; at + 2 <= extra.length; ) {
    const length = u8(extra, at);
    if (length < 2 || at + length > extra.length) return undefined;
    if (u8(extra, at + 1) === TYPE && length >= SHORT_LENGTH) return read(extra.subarray(at, at + length));
    at += length;
  }
  return undefined;
}

function read(bytes: Uint8Array): DfuFunctional {
  const attributes = u8(bytes, 2);
  const version = bytes.length >= LENGTH ? u16le(bytes, 7) : 0x0100;
  return {
    canDownload: (attributes & ATTRIBUTE.download) !== 0,
    canUpload: (attributes & ATTRIBUTE.upload) !== 0,
    isManifestationTolerant: (attributes & ATTRIBUTE.tolerant) !== 0,
    willDetach: (attributes & ATTRIBUTE.willDetach) !== 0,
    detachTimeoutMs: u16le(bytes, 3),
    transferSize: u16le(bytes, 5) || DEFAULT_TRANSFER_SIZE,
    version,
    isDfuSe: version === DFUSE_VERSION,
  };
}
