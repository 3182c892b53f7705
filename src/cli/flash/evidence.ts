import { equal } from "../../bytes.js";
import { parseImage } from "../../mcuboot/image.js";
import type { Source } from "../../sources/source.js";
import { LogError } from "../../trust/log-error.js";
import type { BoardIdentity } from "../../trust/ratchet.js";
import { formatProof } from "../../trust/tlog-proof.js";
import type { FlashResult } from "../../update/flash.js";
import type { ImagesResult } from "../../update/images-events.js";
import { type AttestedFile, attestFlash, attestTogether } from "../audit/attest-flash.js";
import { describeImage } from "../audit/flash-events.js";
import { openAuditLog } from "../audit/open-log.js";
import { type EventSink, recorder } from "../audit/recorder.js";
import { writeOutput } from "../files.js";
import { type AttestJoint, wordsOfOutcome } from "../many-boards/flash-together.js";
import type { ChosenSigner } from "../signing/choose.js";

/** The files that went to the board: of a larger update those of the result, of variants the one that was taken. */
export function attestedFiles(
  file: string,
  { payloads }: Source,
  result: FlashResult | ImagesResult,
  wanted: number | undefined,
): AttestedFile[] {
  const taken =
    "images" in result
      ? payloads.filter(({ name, image = 0 }) =>
          result.images.some((one) => one.image === image && one.name === name),
        )
      : payloads.length === 1
        ? payloads
        : payloads.filter(({ bytes }) => {
            const { imageHash } = parseImage(bytes);
            return imageHash && result.imageHash && equal(imageHash.value, result.imageHash);
          });
  return taken.map(({ name, bytes, image = wanted }) => ({
    name: payloads.length === 1 ? file : name,
    bytes,
    image: describeImage(parseImage(bytes), image),
    number: image ?? 0,
  }));
}

/** Writes a statement for each board of several. */
export function attestEach(
  pattern: string,
  attesting: ChosenSigner,
  { file, source, wanted }: { file: string; source: Source; wanted: number | undefined },
) {
  return (identity: BoardIdentity, result: FlashResult | ImagesResult, audit: EventSink | undefined) => {
    const files = attestedFiles(file, source, result, wanted);
    return attestFlash(pattern, attesting, { files, identity, result, audit });
  };
}

/** Writes a statement for each board of a joint update. */
export function attestJoint(
  pattern: string,
  attesting: ChosenSigner,
  { file, source, wanted }: { file: string; source: Source; wanted: number | undefined },
): AttestJoint {
  return async ({ identity, audit, first }, ending, all) => {
    const [attested] = attestedFiles(file, source, first, wanted);
    const { message } = wordsOfOutcome(all);
    await attestTogether(pattern, attesting, {
      file: attested!,
      identity,
      audit,
      first,
      ending,
      message: ending.failure === undefined ? message : `${ending.failure} ${message}`,
      together: { outcome: all.outcome, boards: all.boards.map(({ board }) => board) },
    });
  };
}

/** Proves the last event of the update, which says what came of it. */
export async function writeLogProof(file: string): Promise<void> {
  const place = (await recorder()?.find("install")) ?? (await recorder()?.find("policy.decision"));
  if (place === undefined)
    throw new LogError("no-log", "This update is not in the audit log, so there is nothing to prove.", {
      hint: "Omit --no-log, and see the warning above.",
    });
  writeOutput(file, formatProof(await openAuditLog().prove(place)));
}

/** What an update of several images came to, an event for each. */
export function recordImages(
  { images, message, outcome }: ImagesResult,
  abouts: ReadonlyMap<number, ReturnType<typeof describeImage>>,
  to: EventSink | undefined = recorder(),
): void {
  if (outcome === "dry-run" || outcome === "refused-by-preflight") return;
  for (const { image: number, state } of images) {
    const image = abouts.get(number);
    const result = state === "confirmed" || state === "on-trial" ? "ok" : "failed";
    to?.record({
      type: "install",
      ...(image && { image }),
      result,
      detail: { outcome: state, message },
    });
  }
}
