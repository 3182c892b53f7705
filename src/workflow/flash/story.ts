import type { Key } from "../../image/keys.js";
import type { BoardFacts, KnownImage } from "../facts.js";
import type { GateCheck, GateCheckName } from "../gate.js";
import type { WatchEvent } from "../reconnect.js";
import type { UploadEvent } from "../upload.js";
import type { HealthCheck } from "./health.js";

export interface FlashOptions {
  signal?: AbortSignal | undefined;
  /** Public keys of which one must have signed the image. None: the gate refuses unless `signature` is skipped. */
  keys?: readonly Key[] | undefined;
  /** Image files at hand, to know what the board holds. */
  known?: readonly KnownImage[] | undefined;
  /** Which pair of slots; default 0. */
  imageNumber?: number | undefined;
  /** Checks of the gate that may fail, or all of them. They are made and told all the same. */
  skip?: readonly GateCheckName[] | "all" | undefined;
  /** Write the primary slot when the board is in serial recovery. */
  throughRecovery?: boolean | undefined;
  /** Stop after the gate. */
  dryRun?: boolean | undefined;
  /** Confirm when the image runs and is well. Default true. */
  confirm?: boolean | undefined;
  /** How long the new image must keep answering without a restart before it may be confirmed. Default 1000. */
  soakMs?: number | undefined;
  /** After that and an echo, in this order. */
  health?: readonly HealthCheck[] | undefined;
  /** How long the board may stay away after a reset. Default 60000. */
  withinMs?: number | undefined;
}

export type FlashEvent =
  | { step: "board"; facts: BoardFacts }
  | { step: "gate"; checks: GateCheck[] }
  | { step: "plan"; says: string[] }
  | UploadEvent
  /** Between two steps: the board is waited for, then taken up where it stands. In an upload the offset is told as well. */
  | { step: "link-lost"; why: string }
  | { step: "uploaded"; bytes: number; elapsedMs: number }
  /** The slot held the file from an earlier try but could not be marked: it is erased and filled anew. */
  | { step: "sent-again"; why: string }
  /** `impossible`: the board decides by version which image runs, so there is nothing to mark. */
  | { step: "marked"; as: "test" | "impossible" }
  | { step: "reset" }
  | WatchEvent
  /** By itself, while it was watched. */
  | { step: "restarted" }
  | { step: "judged"; runsNewImage: boolean; says: string }
  | { step: "health"; name: string; ok: boolean; says: string }
  | { step: "confirmed" };

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
  | "refused-by-gate"
  /** The board runs another image than the one that was sent: it refused or reverted it. */
  | "not-running"
  /** It ran but was not well; `reverted` says whether the old image is back. */
  | "unhealthy"
  /** It runs and refuses to be confirmed. */
  | "not-confirmed";

export interface FlashResult {
  outcome: FlashOutcome;
  /** The verdict in one sentence. */
  says: string;
  /** What to do now, when something is left to do. */
  hint?: string;
  imageHash?: Uint8Array;
  version?: string;
  gate: GateCheck[];
  before: BoardFacts;
  after?: BoardFacts;
  uploadedBytes?: number;
  uploadMs?: number;
  /** With `unhealthy`: the old image runs again. */
  reverted?: boolean;
}
