import type { Key } from "../crypto/keys.js";
import type { DecryptionKey } from "../mcuboot/encryption.js";
import type { TrailerIntent } from "../mcuboot/file-tail.js";
import type { Version } from "../mcuboot/version.js";
import type { KnownImage } from "../session/board-facts.js";
import type { BoardFacts } from "../session/facts.js";
import type { WatchEvent } from "../session/reconnect.js";
import type { Session } from "../session/session.js";
import type { BuildFacts } from "../sources/source.js";
import type { RatchetPort, RatchetVerdict } from "../trust/ratchet.js";
import type { NotRunningCause } from "./explain-outcome.js";
import type { PreflightCheck, PreflightCheckName } from "./preflight-check.js";
import type { UploadEvent } from "./upload.js";

/** Something that must be well before an image is confirmed. */
export interface HealthCheck {
  name: string;
  /** Resolves with a sentence; throws `HealthError` or any other error when the board is not well. */
  check(session: Session, signal: AbortSignal | undefined): Promise<string>;
}

/** Judges an image by a policy before anything is sent. `facts`: what the board tells, where it was asked. */
export type PolicyHook = (about: {
  /** The key whose signature was verified. */
  readonly signedBy?: Key;
  readonly facts?: BoardFacts;
  readonly ratchet?: RatchetVerdict;
  /** It is sent compressed: bootloaders that unpack such images keep nothing of the old one. */
  readonly compressed?: true;
}) => PreflightCheck[];

/** Packs and signs an image that a bootloader unpacks; undefined where that makes it no smaller. */
export type ImageCompressor = (file: Uint8Array) => Promise<Uint8Array | undefined>;

/** What compression saved. */
export interface Compression {
  /** Bytes of the image as it was sent. */
  sentBytes: number;
  /** Bytes of the image that it becomes. */
  plainBytes: number;
  savedBytes: number;
  /** What the bytes saved would have taken at the pace of this upload, milliseconds. Absent when nothing was sent. */
  savedMs?: number;
}

export interface FlashOptions {
  signal?: AbortSignal | undefined;
  /** Public keys of which one must have signed the image. None: the preflight refuses unless `signature` is skipped. */
  keys?: readonly Key[] | undefined;
  /** Private key of an encrypted image, to check its digest as well. */
  decryptionKey?: DecryptionKey | undefined;
  /** Image files at hand, to know what the board holds. */
  known?: readonly KnownImage[] | undefined;
  /** What the update was made for; compared with what the board says of itself. */
  binding?: { readonly boards: readonly string[]; readonly build?: BuildFacts | undefined } | undefined;
  /** Sends the image compressed, for a bootloader that unpacks it. Default: as it is. */
  compress?: ImageCompressor | undefined;
  /** Which pair of slots; default 0. */
  imageNumber?: number | undefined;
  /** Versions of the other images that come with the same update, by number: an image may need them. */
  alongside?: ReadonlyMap<number, Version> | undefined;
  /** What this host remembers of the board: asked by the preflight, told before and after each confirmation. */
  ratchet?: RatchetPort | undefined;
  /** What a policy says of the image and the board; its findings are checks of the preflight. */
  policy?: PolicyHook | undefined;
  /** Checks of the preflight that may fail, or all of them. They are made and told all the same. */
  skip?: readonly PreflightCheckName[] | "all" | undefined;
  /** Write the primary slot when the board is in serial recovery. */
  throughRecovery?: boolean | undefined;
  /** Stop after the preflight. */
  dryRun?: boolean | undefined;
  /** Confirm when the image runs and is well. Default true. */
  confirm?: boolean | undefined;
  /**
   * Make this trailer for the slot, or none. Default: one where serial recovery writes for a bootloader that starts nothing
   * without. What follows the image in the file is never sent.
   */
  trailer?: TrailerIntent | "none" | undefined;
  /** What erased flash reads as, for a made trailer: 0 or 0xff. Default: as the file's padding, else 0xff. */
  erasedValue?: number | undefined;
  /** Upgrade mode by MCUmgr's number, for a server that does not tell it, as serial recovery. */
  knownMode?: number | undefined;
  /** Restart once more when the image stays, so that the board stores its security counter, and read that back. */
  settle?: boolean | undefined;
  /** How long the new image must keep answering without a restart before it may be confirmed. Default 1000. */
  soakMs?: number | undefined;
  /** After that and an echo, in this order. */
  health?: readonly HealthCheck[] | undefined;
  /** How long the board may stay away after a reset. Default 60000. */
  withinMs?: number | undefined;
}

export type FlashEvent =
  | { step: "board"; facts: BoardFacts }
  /** `signedBy`: the key, of those given, whose signature was verified. */
  | { step: "preflight"; checks: PreflightCheck[]; signedBy?: Key }
  | { step: "plan"; messages: string[] }
  | UploadEvent
  /** Between two steps: the board is waited for, then taken up where it stands. In an upload the offset is told as well. */
  | { step: "link-lost"; why: string }
  | { step: "uploaded"; bytes: number; elapsedMs: number }
  /** The slot held the file from an earlier try but could not be marked: it is erased and filled anew. */
  | { step: "sent-again"; why: string }
  /** `impossible`: the board has no test boot (it decides by version, or has one slot), so there is nothing to mark. */
  | { step: "marked"; as: "test" | "impossible" }
  | { step: "reset" }
  | WatchEvent
  /** By itself, while it was watched. */
  | { step: "restarted" }
  | { step: "judged"; runsNewImage: boolean; message: string }
  | { step: "health"; name: string; ok: boolean; message: string }
  | { step: "confirmed" }
  /** The board restarted once more and has stored the image's security counter. */
  | { step: "settled"; stored: number };

export type FlashOutcome =
  /** The new image runs and stays. */
  | "confirmed"
  /** It runs and will be reverted at the next reset, as asked. */
  | "on-trial"
  /** It runs; this board knows neither trial nor confirmation. */
  | "running"
  /** It was running already; nothing was sent. */
  | "already-running"
  | "dry-run"
  | "refused-by-preflight"
  /** The board runs another image than the one that was sent: it refused or reverted it. */
  | "not-running"
  /**
   * The board took the image out of its slot for another core or program; what runs there is not reported. A refused image
   * cannot be told from that.
   */
  | "taken"
  /** It ran but was not well; `reverted` says whether the old image is back. */
  | "unhealthy"
  /** It runs and refuses to be confirmed. */
  | "not-confirmed"
  /** It runs and stays; after one more restart the board has not stored its security counter. */
  | "not-settled";

export interface FlashResult {
  outcome: FlashOutcome;
  /** The verdict in one sentence. */
  message: string;
  /** With `not-running`: why. */
  cause?: NotRunningCause;
  /** With `refused-by-preflight`: the first check that did. */
  refusedBy?: PreflightCheckName;
  /** What to do now, when something is left to do. */
  hint?: string;
  imageHash?: Uint8Array;
  version?: string;
  /** The key, of those given, whose signature was verified. */
  signedBy?: Key;
  preflight: PreflightCheck[];
  before: BoardFacts;
  after?: BoardFacts;
  uploadedBytes?: number;
  uploadMs?: number;
  /** Of an image that is sent compressed. */
  compression?: Compression;
  /**
   * The image's security counter and the one that the board has stored. `settled`: not below the image's. Absent when the
   * board reports none or the image carries none.
   */
  counter?: { image: number; stored: number; settled: boolean };
  /** With `unhealthy`: the old image runs again. */
  reverted?: boolean;
  /** The application confirmed itself before it was watched and asked: nothing could have reverted it. */
  selfConfirmed?: true;
}
