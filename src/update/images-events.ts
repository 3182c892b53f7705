import type { Image } from "../mcuboot/image.js";
import type { BoardFacts } from "../session/facts.js";
import type { FlashEvent, FlashOptions, FlashOutcome, PolicyHook } from "./events.js";
import type { Memory } from "./memory.js";
import type { PreflightCheck, PreflightCheckName } from "./preflight-check.js";
import type { Target } from "./stage.js";

/** One image of an update with several. */
export interface ImageFile {
  readonly name: string;
  readonly image: number;
  readonly bytes: Uint8Array;
}

export type ImagesEvent = FlashEvent | { step: "image"; image: number; name: string };

export type ImagesOutcome =
  | Exclude<FlashOutcome, "running" | "taken">
  /** At least one image is confirmed, at least one is not: only forward is left. */
  | "partly-confirmed";

export interface ImageEnding {
  readonly image: number;
  readonly name: string;
  readonly version: string;
  /** `unknown`: the board tells nothing of this image. */
  readonly state: "confirmed" | "on-trial" | "not-running" | "unknown" | "not-sent";
}

export interface ImagesResult {
  outcome: ImagesOutcome;
  message: string;
  hint?: string;
  /** In the order in which they are sent, marked and confirmed. */
  images: ImageEnding[];
  preflight: { image: number; checks: PreflightCheck[] }[];
  /** Of images that stay and bring a security counter: theirs, and what the board has stored. */
  counters?: { image: number; wanted: number; stored: number; settled: boolean }[];
  before: BoardFacts;
  after?: BoardFacts;
  /** After a failure: no image of the update runs any more. */
  reverted?: boolean;
  /** With `refused-by-preflight`: the first check that did. */
  refusedBy?: PreflightCheckName;
}

export interface ImagesOptions extends Omit<FlashOptions, "imageNumber" | "throughRecovery" | "policy"> {
  /** What a policy says of each image. */
  policyFor?: ((file: ImageFile) => PolicyHook | undefined) | undefined;
}

/** A file that was read and passed. */
export interface Part extends Target {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly parsed: Image;
  /** What this host remembers of it on this board. */
  readonly memory: Memory;
}
