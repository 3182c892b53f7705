import type { WatchEvent } from "../session/reconnect.js";
import type { FileProof } from "./file-hash.js";

export type FileEvent =
  /** The other side has bytes 0 to `done`. The first one says where the transfer begins. */
  | { step: "moved"; done: number; total: number }
  /** The other side had a part of this file already, proven by a hash. */
  | { step: "resumed"; at: number }
  /** The device lost count, and the transfer begins anew. */
  | { step: "restarted"; at: number }
  /** There was no room to go on: what this transfer wrote, or the file of before, is given up, and it begins anew. */
  | { step: "made-room"; by: "own-part" | "other-file" }
  | { step: "link-lost"; at: number; why: string }
  /** All bytes travelled; the two files are being compared. */
  | { step: "checking" }
  | WatchEvent;

/** A download's events: the same, and every new piece of the file in order. */
export type DownloadEvent = FileEvent | { step: "data"; at: number; data: Uint8Array };

export interface FileOptions {
  signal?: AbortSignal | undefined;
  /** Look whether the other side has a part already. Default true. */
  resume?: boolean | undefined;
  /** Compare the two files in the end. Default true. */
  check?: boolean | undefined;
  /** How long to wait for a lost link, each time. Default 60000. */
  reconnectWithinMs?: number | undefined;
}

export interface PutOptions extends FileOptions {
  /**
   * Where the device has no room for the old file and the new at once, give up the old one first. A file system that keeps
   * the old until the new is whole (littlefs) needs both; without the old one a cut upload leaves neither. Default false.
   */
  replace?: boolean | undefined;
}

export interface DownloadOptions extends FileOptions {
  /** What is here already of this file. Used only as far as the device's hash proves it. */
  have?: Uint8Array | undefined;
  /** The largest file to accept, bytes. Default 64 MiB. */
  atMost?: number | undefined;
}

export interface FileResult {
  bytes: number;
  /** Bytes that travelled, repeats included. */
  movedBytes: number;
  /** Bytes that were there before. */
  resumedAt: number;
  /** How the two files were compared; absent when that was not asked for. */
  proof?: FileProof;
  elapsedMs: number;
}
