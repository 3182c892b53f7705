import { BootproofError } from "../errors.js";

/**
 * What a host knows that a board may never run again. A memory of the host beside the board's own, or instead of one that
 * the board lacks: per board and image number the highest security counter, version and release counter that were
 * confirmed, and the newest metadata that vouched for one of them.
 */

export type RatchetErrorCode =
  /** The file was changed by hand, damaged, or belongs to another key. */
  | "ratchet-edited"
  /** Its key is there and the file is gone: an alarm, not a first use. */
  | "ratchet-vanished"
  | "ratchet-busy"
  | "ratchet-unwritable"
  /** The trusted counter says that an older copy of the file was put back, or is itself another or gone: an alarm. */
  | "ratchet-restored"
  /** What should be imported is no export of a ratchet. */
  | "bad-ratchet-file"
  /** A permission is not signed by a key that may give it, is used up, or is for something else. */
  | "bad-permission";

/** The ratchet cannot be read, written or trusted. */
export class RatchetError extends BootproofError {
  declare readonly code: RatchetErrorCode;
}

/** How a board is known. Never the port it is reached through, nor the serial number of an adapter in front of it. */
export type BoardIdentity =
  | { readonly id: string; readonly from: "usb-serial-number" | "emulated-flash" | "smp" }
  /** It has none that it shows: why, as a sentence. */
  | { readonly id?: undefined; readonly reason: string };

/** An image as the ratchet remembers it. */
export interface RatchetImage {
  /** Image hash, hex. */
  readonly hash: string;
  /** `1.2.3` or `1.2.3+4`. */
  readonly version: string;
  /** Security counter; absent when the image carries none. */
  readonly counter?: number;
  /** Release counter, as signed metadata states it beside the image; absent when nothing did. */
  readonly release?: number;
  /** The metadata that vouched for the image; absent when none did. */
  readonly metadata?: VouchingMetadata;
}

/** Versions of the metadata that vouched for an image. */
export interface VouchingMetadata {
  /** Of the repository or pair of repositories: the hash of its first root, hex. */
  readonly by: string;
  /** Role -> version; a role whose name ends in `root` decides whether the others can be compared. */
  readonly versions: Readonly<Record<string, number>>;
}

/** An image with the time at which it was confirmed, or was to be. RFC 3339, UTC. */
export interface RatchetMark extends RatchetImage {
  readonly at: string;
}

export interface ImageRatchet {
  /** The confirmed image with the highest security counter. */
  readonly counter?: RatchetMark;
  /** The confirmed image with the highest version. */
  readonly version?: RatchetMark;
  /** The confirmed image with the highest release counter. */
  readonly release?: RatchetMark;
  /** The newest metadata that vouched for a confirmed image, by repository. */
  readonly metadata?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /**
   * Confirmations that were about to be sent and whose outcome nobody read back: the process was killed, or the link was
   * lost. They count like confirmed ones.
   */
  readonly intents: readonly RatchetMark[];
}

/** A permission to flash one image once although the ratchet refuses it. */
export interface RatchetPermission {
  readonly hash: string;
  readonly reason: string;
  /** Who signed it: the key's hash, hex. */
  readonly keyHash: string;
  /** Makes each permission another: it can be used once. */
  readonly nonce: string;
  readonly at: string;
  readonly usedAt?: string;
}

export interface BoardRatchet {
  /** By image number. */
  readonly images: Readonly<Record<string, ImageRatchet>>;
  readonly permissions?: readonly RatchetPermission[];
}

/** Everything that one host remembers. */
export interface RatchetState {
  readonly v: 1;
  /** Grows with every change. */
  readonly generation: number;
  /** By board identity. */
  readonly boards: Readonly<Record<string, BoardRatchet>>;
  /** A counter in hardware that goes up with the generation: what it shows is `generation + difference`. */
  readonly trustedMemory?: { readonly index: number; readonly difference: number };
}

export const EMPTY_RATCHET: RatchetState = { v: 1, generation: 0, boards: {} };

/** One board's part of the memory, as an update uses it. Whoever has a disk makes one. */
export interface RatchetPort {
  /** May this image run on the board? */
  judge(imageNumber: number, offered: RatchetImage): Promise<RatchetVerdict>;
  /** A confirmation is about to be sent: returns once that is on the disk. */
  intend(imageNumber: number, image: RatchetImage): Promise<void>;
  /** The board shows the image as confirmed. */
  confirmed(imageNumber: number, image: RatchetImage): Promise<void>;
  /** It was read back that the confirmation did not happen. */
  notConfirmed(imageNumber: number, image: RatchetImage): Promise<void>;
}

/** -1, 0 or 1: how two versions of the form that images carry are ordered; build numbers count. */
export type CompareVersions = (a: string, b: string) => number;

export interface RatchetVerdict {
  readonly result: "pass" | "fail" | "warn" | "unknown";
  /** One sentence: what was compared with what. */
  readonly message: string;
  readonly hint?: string;
  /** The permission that lets it pass. */
  readonly permission?: RatchetPermission;
}
