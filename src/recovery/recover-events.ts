import type { Key } from "../crypto/keys.js";
import type { DecryptionKey } from "../mcuboot/encryption.js";
import type { KnownImage } from "../session/board-facts.js";
import type { RatchetPort } from "../trust/ratchet.js";
import type { PolicyHook } from "../update/events.js";
import type { FlashEvent, FlashResult, HealthCheck } from "../update/flash.js";
import type { TrailerWish } from "../update/payload.js";
import type { PreflightCheck, PreflightCheckName } from "../update/preflight-check.js";
import type { AliveBoard } from "./alive.js";
import type { RecoveryMethodName } from "./methods.js";

export interface RecoverOptions {
  signal?: AbortSignal | undefined;
  /** Public keys of which one must have signed the image. None: the preflight refuses unless `signature` is skipped. */
  keys: readonly Key[];
  known?: readonly KnownImage[] | undefined;
  /** Which image; default 0. Others only where the bootloader says that it has them. */
  imageNumber?: number | undefined;
  /** Checks of the preflight that may fail, or all of them but the structure. They are made and told all the same. */
  skip?: readonly PreflightCheckName[] | "all" | undefined;
  /**
   * Asked before anything is done to a board that shows signs of life: an application that answers, or a valid image in
   * the primary slot. Default: such a board is left alone.
   */
  althoughAlive?: ((alive: AliveBoard) => Promise<boolean>) | undefined;
  /** Recovery methods to leave out. */
  without?: readonly RecoveryMethodName[] | undefined;
  /** Asked before a recovery method that writes flash past MCUboot. Default: such recovery methods are not taken. */
  consent?: ((method: MethodSummary) => Promise<boolean>) | undefined;
  /** Private key of an encrypted image, to check its digest as well. */
  decryptionKey?: DecryptionKey | undefined;
  /** Send it decrypted through serial recovery too: most bootloaders decrypt only what they swap in. */
  decrypted?: boolean | undefined;
  /** What a policy says of the image; see `FlashOptions`. */
  policy?: PolicyHook | undefined;
  /** What this host remembers of the board: asked before anything is done, told before anything is written. */
  ratchet?: RatchetPort | undefined;
  /** Make this trailer for the primary slot, or none; see `FlashOptions`. */
  trailer?: TrailerWish["trailer"];
  /** What erased flash reads as, for a made trailer; see `FlashOptions`. Default: as the profile says. */
  erasedValue?: number | undefined;
  health?: readonly HealthCheck[] | undefined;
  /** How long a board may take to show itself after a restart. Default 15000. */
  withinMs?: number | undefined;
  /** Only tell which recovery methods there are. */
  dryRun?: boolean | undefined;
}

/** A recovery method in words, before it is taken. */
export interface MethodSummary {
  name: RecoveryMethodName;
  summary: string;
  destroys: string;
  /** Why it cannot be taken here. */
  unavailable?: string;
}

export type RecoverEvent =
  /** The checks of the file, before anything is done to the board. */
  | { step: "file"; checks: PreflightCheck[] }
  | { step: "found"; message: string }
  /** The board shows signs of life; `althoughAlive` is asked next. */
  | { step: "alive"; message: string }
  /** A recovery method cannot be taken here, or was declined. */
  | { step: "passed-over"; method: RecoveryMethodName; why: string }
  /** A recovery method is about to be taken. */
  | { step: "method"; method: MethodSummary }
  | { step: "failed"; method: RecoveryMethodName; why: string }
  | { step: "in-recovery"; method: RecoveryMethodName }
  | { step: "written"; method: RecoveryMethodName; message: string }
  | { step: "writing"; done: number; total: number }
  /** The bootloader took a part and refused the rest; it is all sent anew. */
  | { step: "again"; why: string }
  | FlashEvent;

export type RecoverOutcome =
  /** The image runs, says the board. */
  | "recovered"
  /** The board went away before all was sent. */
  | "cut-short"
  /** It was written, and nothing answers that could say whether it runs. */
  | "written"
  | "dry-run"
  | "refused-by-preflight"
  /** The board shows signs of life, and nobody agreed to write over what works: nothing was done to it. */
  | "alive"
  /** It was written, and the board does not run it. */
  | "not-running"
  /** No recovery method led anywhere. */
  | "no-way-in";

export interface RecoverResult {
  outcome: RecoverOutcome;
  message: string;
  hint?: string;
  /** The recovery method that worked. */
  method?: RecoveryMethodName;
  /** With `refused-by-preflight`: the first check that did. */
  refusedBy?: PreflightCheckName;
  /** Every recovery method that was considered. */
  tried: { method: RecoveryMethodName; why: string }[];
  preflight: PreflightCheck[];
  /** How the update through serial recovery went. */
  flash?: FlashResult;
}

export type Ending = Omit<RecoverResult, "tried" | "preflight">;
