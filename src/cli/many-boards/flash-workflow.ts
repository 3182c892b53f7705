import { parseImage } from "../../mcuboot/image.js";
import { readFacts } from "../../session/board-facts.js";
import type { Session } from "../../session/session.js";
import { type Payload, SourceError } from "../../sources/source.js";
import type { BoardIdentity } from "../../trust/ratchet.js";
import { type FlashOptions, type FlashResult, flash } from "../../update/flash.js";
import { variantFor } from "../../update/flash-update.js";
import { describeImage, recorded, recordFlash, recordFlashResult } from "../audit/flash-events.js";
import { type Release, ratchetOf } from "../audit/ratchet-memory.js";
import type { EventSink } from "../audit/recorder.js";
import { policyHook } from "../policy/policy-judge.js";
import type { choosePolicy } from "../policy/policy-options.js";
import type { FlashWorkflow } from "./flash-boards.js";

/** An image as one of several boards gets it. */
export interface BoardImage {
  readonly image: Uint8Array;
  readonly imageNumber: number | undefined;
  /** Builds of it for execute in place: each board gets the one for its free slot. */
  readonly variants?: readonly Payload[] | undefined;
  /** What signed metadata says of it, for the board's ratchet. */
  readonly release?: Release | undefined;
  /** What the update was made for. */
  readonly madeFor?: readonly string[] | undefined;
}

/** The update of one board among several: judged by the policy and the ratchet, kept in the audit log. */
export function flashWorkflow(
  { image: first, imageNumber, variants = [], release, madeFor }: BoardImage,
  how: FlashOptions,
  {
    chosen,
    settles,
    attest,
  }: {
    chosen: Awaited<ReturnType<typeof choosePolicy>>;
    settles: boolean;
    /** Writes the statement of one board. */
    attest?:
      | ((identity: BoardIdentity, result: FlashResult, audit: EventSink | undefined) => Promise<void>)
      | undefined;
  },
): FlashWorkflow {
  return async function* ({ session, identity, audit }, change) {
    const image = variants.length > 1 ? await variantOn(session, variants, imageNumber ?? 0) : first;
    const about = describeImage(parseImage(image), imageNumber);
    const policy = policyHook(chosen, "flash", {
      file: image,
      identity,
      audit,
      imageNumber,
      skip: how.skip,
      madeFor,
      confirmation: {
        healthChecks: how.health?.length ?? 0,
        soakMs: how.soakMs ?? 1000,
        settles,
      },
    });
    const ratchet = ratchetOf(identity, undefined, release);
    const record = recordFlash(audit, how.skip ?? [], about);
    const result = yield* recorded(
      flash(session, image, { ...how, imageNumber, ratchet, policy, ...change }),
      record,
    );
    recordFlashResult(audit, result, about.counter);
    await attest?.(identity, result, audit);
    return result;
  };
}

async function variantOn(session: Session, variants: readonly Payload[], image: number): Promise<Uint8Array> {
  const variant = variantFor(variants, image, await readFacts(session));
  if (variant) return variant.bytes;
  throw new SourceError("bad-source", "The update contains no variant for the free slot of this board.");
}
