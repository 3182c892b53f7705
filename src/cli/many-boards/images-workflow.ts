import { parseImage } from "../../mcuboot/image.js";
import type { Source } from "../../sources/source.js";
import type { FlashOptions } from "../../update/flash.js";
import { flashUpdate } from "../../update/flash-update.js";
import type { ImageFile } from "../../update/images-events.js";
import { describeImage, recordFlash } from "../audit/flash-events.js";
import { ratchetOf } from "../audit/ratchet-memory.js";
import { type attestEach, recordImages } from "../flash/evidence.js";
import { policyHook } from "../policy/policy-judge.js";
import type { choosePolicy } from "../policy/policy-options.js";
import type { UpdateWorkflow } from "./flash-boards.js";

/** The update of one board among several, of which each gets all images: judged by the policy and the ratchet, and recorded. */
export function imagesWorkflow(
  { payloads, release, binding }: Source,
  how: FlashOptions,
  {
    chosen,
    settles,
    attest,
  }: {
    chosen: Awaited<ReturnType<typeof choosePolicy>>;
    settles: boolean;
    /** Writes the statement of one board. */
    attest?: ReturnType<typeof attestEach> | undefined;
  },
): UpdateWorkflow {
  const abouts = new Map(
    payloads.map(({ bytes, image }) => [image ?? 0, describeImage(parseImage(bytes), image)]),
  );
  const skipped = how.skip ?? [];
  return async function* ({ session, identity, audit }, change) {
    const policyFor = ({ bytes, image }: ImageFile) =>
      policyHook(chosen, "flash", {
        file: bytes,
        identity,
        audit,
        imageNumber: image,
        skip: how.skip,
        madeFor: binding.boards,
        confirmation: { healthChecks: how.health?.length ?? 0, soakMs: how.soakMs ?? 1000, settles },
      });
    const options = { ...how, ratchet: ratchetOf(identity, undefined, release), policyFor, ...change };
    const workflow = flashUpdate(session, payloads, options);
    let record = recordFlash(audit, skipped, undefined);
    for (let step = await workflow.next(); ; step = await workflow.next()) {
      if (step.done) {
        if ("images" in step.value) recordImages(step.value, abouts, audit);
        await attest?.(identity, step.value, audit);
        return step.value;
      }
      if (step.value.step === "image") record = recordFlash(audit, skipped, abouts.get(step.value.image));
      else record(step.value);
      yield step.value;
    }
  };
}
