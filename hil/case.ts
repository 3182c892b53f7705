import type { ClaimId } from "./claims.js";
import type { OfferOptions } from "./harness/context.js";
import type { Harness } from "./harness/harness.js";
import type { ImageFactory } from "./images/image-factory.js";

export type Verdict =
  | "holds"
  | "does-not-hold"
  /** The board does not claim it, or is of a kind that has no such thing. */
  | "not-supported"
  /** It could not be found out; the reason stands beside it. */
  | "not-judged";

/** What may be lost when the board fails the case. */
export type Risk =
  | "nothing"
  /** The image in the secondary slot, and one start of whatever the board lets through. */
  | "secondary slot"
  /** The image that runs: only recovery or a programmer brings it back. */
  | "primary slot"
  /** A board that fails the case raises its security counter for ever: its own image is then too old. */
  | "counter"
  /** Every board raises its security counter by the case, as it should. */
  | "counter step"
  /** The bootloader itself. */
  | "bootloader";

/** What a case needs of board, board file and images; `preconditions.ts` says how each is found out. */
export type Need =
  | "key"
  | "signature"
  | "update"
  | "counter"
  | "lower-counter"
  | "lower-version"
  | "trial"
  /** Somewhere to put updates: a second slot, or the only one when recovery or a programmer writes it. */
  | "secondary"
  /** The application's SMP server takes updates. */
  | "server-upload"
  | "programmer"
  | "primary-writable"
  | "power"
  | "cut"
  | "recovery"
  | "emulated"
  | "two-images"
  | "accepted-key"
  | "refused-key"
  | "key-list"
  | "decompresses"
  | "no-confirm"
  | "hang"
  | "crash"
  | "self-confirm"
  | "fail-health"
  | "raise-counter"
  /** Its updates can be encrypted for it. */
  | "encryption"
  /** Images run in place, and somebody knows the addresses of both slots. */
  | "slot-addresses"
  /** A stretch of its flash can be made to fail. */
  | "breakable-flash"
  /** An upload starts only after it was asked for. */
  | "request";

export interface Finding {
  readonly verdict: Verdict;
  /** What was seen that decides it, in one sentence. */
  readonly observed: string;
}

/** One question to a board, declared once; both fronts run the same list. */
export interface Case {
  /** `room/name`, stable. */
  readonly id: string;
  readonly claim: ClaimId;
  /** The claim in the words of this case. */
  readonly summary: string;
  readonly needs: readonly Need[];
  readonly risk: Risk;
  /** What a board for which the claim holds does. */
  readonly expected: string;
  /** The same with a good image, without which a dead board would pass. */
  readonly control?: ControlId;
  /** Cases that must hold before this one means what it says. */
  readonly assumes?: readonly string[];
  /**
   * A good image has to be accepted, or harm to be absent: needed to make the picture whole, but a board that checks
   * nothing passes too. A claim is not shown by such cases alone.
   */
  readonly supporting?: boolean;
  /** Part of the quick run. */
  readonly quick?: boolean;
  steps(harness: Harness): Promise<Finding>;
}

export type ControlId =
  | "update"
  | "update-over-smp"
  | "largest"
  | "recovery-upload"
  | "dependency-met"
  | "encrypted-update"
  | "own-address"
  | "compressed";

/** A good image, treated as the bad ones are. */
export interface Control {
  readonly id: ControlId;
  readonly summary: string;
  readonly needs: readonly Need[];
  steps(harness: Harness): Promise<Finding>;
}

export function holds(observed: string): Finding {
  return { verdict: "holds", observed };
}

export function fails(observed: string): Finding {
  return { verdict: "does-not-hold", observed };
}

export function unjudged(observed: string): Finding {
  return { verdict: "not-judged", observed };
}

interface RefusalRow extends Omit<Case, "steps" | "expected" | "risk" | "control" | "needs"> {
  readonly needs?: readonly Need[];
  /** What is offered, in a few words. */
  readonly what: string;
  readonly control?: ControlId;
  readonly offer?: Partial<OfferOptions>;
  make(factory: ImageFactory, harness: Harness): Promise<Uint8Array>;
}

/** A bad image is offered as an update; a board for which the claim holds refuses it. */
export function refusal({ what, make, offer, needs = ["update"], ...row }: RefusalRow): Case {
  return {
    control: "update",
    ...row,
    needs: ["secondary", ...needs],
    risk: "secondary slot",
    expected: "It is refused: the previous image still runs, and the board shows the refusal.",
    async steps(harness) {
      const file = await make(harness.factory, harness);
      const { outcome, shows } = await harness.offer(file, { what, ...offer });
      switch (outcome) {
        case "started":
          return fails(`The board accepted it: ${shows}.`);
        case "stopped":
          return fails(`The board did not survive it: ${shows}.`);
        case "unclear":
          return unjudged(`Whether it was refused is not known: ${shows}.`);
        case "refused-by-server":
          return holds(`Refused by the board's SMP server, before its bootloader saw it: ${shows}`);
        default:
          return holds(`Refused: ${shows}.`);
      }
    },
  };
}

/** A good image in unusual dress: a board for which the claim holds takes it. */
export function acceptance({ what, make, offer, needs = ["update"], ...row }: RefusalRow): Case {
  return {
    ...row,
    needs: ["secondary", ...needs],
    risk: "secondary slot",
    supporting: true,
    expected: "It is accepted and runs.",
    async steps(harness) {
      const file = await make(harness.factory, harness);
      const { outcome, shows } = await harness.offer(file, { what, ...offer });
      return outcome === "started" ? holds(`Accepted: ${shows}.`) : fails(`Not accepted: ${shows}.`);
    },
  };
}
