import { formatVersion } from "../mcuboot/version.js";
import { runningSlot, slotsOf } from "../session/board-facts.js";
import type { BoardFacts } from "../session/facts.js";
import { restart } from "../session/restart.js";
import type { Session } from "../session/session.js";
import { storedCounter } from "./counter-check.js";
import { confirmRunning, furtherImageHint } from "./ending.js";
import type { FlashOptions } from "./events.js";
import type { ImageEnding, ImagesEvent, ImagesOptions, ImagesResult, Part } from "./images-events.js";
import { observe, readFactsOnceBack } from "./observe.js";
import { runs, stageOf, type Target } from "./stage.js";

export function judgement(parts: readonly Part[], missing: readonly Part[], facts: BoardFacts): string {
  const list = (some: readonly Part[]) => some.map(({ imageNumber }) => imageNumber).join(", ");
  const untold = parts.filter((part) => !isReported(facts, part));
  const silent = untold.length > 0 ? ` The board reports nothing about image ${list(untold)}.` : "";
  if (missing.length === 0) return `The board runs the images that were sent.${silent}`;
  const running = missing.map(
    ({ imageNumber, parsed }) =>
      `image ${imageNumber} is ${runningSlot(facts, imageNumber)?.content?.version ?? "absent"} instead of ${formatVersion(parsed.version)}`,
  );
  return `The board does not run all that was sent: ${running.join(", ")}.${silent}`;
}

/** Does the board say anything of this image's slots? */
export function isReported(facts: BoardFacts, { imageNumber }: Target): boolean {
  return slotsOf(facts, imageNumber).some(({ content }) => content?.hash !== undefined);
}

export async function* confirmAll(
  session: Session,
  parts: readonly Part[],
  result: (facts: BoardFacts | undefined) => Pick<ImagesResult, "images" | "preflight" | "before" | "after">,
  options: FlashOptions,
): AsyncGenerator<ImagesEvent, ImagesResult, void> {
  let after = yield* readFactsOnceBack(session, options);
  let refusedBecause: string | undefined;
  let further = "";
  for (const part of parts) {
    if (stageOf(after, part) === "confirmed") await part.memory.confirmed();
    if (!isReported(after, part) || stageOf(after, part) === "confirmed") continue;
    yield { step: "image", image: part.imageNumber, name: part.name };
    await part.memory.intend();
    const { refusal, end } = yield* confirmRunning(session, part, options);
    after = end;
    if (stageOf(after, part) === "confirmed") {
      await part.memory.confirmed();
      yield { step: "confirmed" };
      continue;
    }
    if (refusal !== undefined || !runs(after, part)) await part.memory.notConfirmed();
    refusedBecause = refusal?.message ?? "the board does not show it";
    if (part.imageNumber > 0) further = ` ${furtherImageHint(part.imageNumber)}`;
    break;
  }
  const judged = parts.filter((part) => isReported(after, part));
  const confirmed = judged.filter((part) => stageOf(after, part) === "confirmed");
  if (confirmed.length === judged.length)
    return {
      ...result(after),
      outcome: "confirmed",
      message:
        judged.length === parts.length
          ? `All ${parts.length} images run and are confirmed.`
          : `${judged.length} of ${parts.length} images run and are confirmed; the board reports nothing about the others.`,
    };
  const open = judged.filter((part) => !confirmed.includes(part)).map(({ imageNumber }) => imageNumber);
  const why = refusedBecause === undefined ? "" : `: ${refusedBecause}`;
  if (confirmed.length === 0)
    return {
      ...result(after),
      outcome: "not-confirmed",
      message: `No image could be confirmed${why}.`,
      hint: `The next reset reverts them. Repeat the command.${further}`,
    };
  return {
    ...result(after),
    outcome: "partly-confirmed",
    message: `Image ${confirmed.map(({ imageNumber }) => imageNumber).join(", ")} is confirmed, image ${open.join(", ")} is not${why}.`,
    hint: `A confirmed image cannot be reverted. Repeat the same command to continue with the rest.${further}`,
  };
}

/**
 * MCUboot stores counters at the boot after the confirmation. Says which are not stored yet, or with `settle` restarts the
 * board once more for all of them and reads them back.
 */
export async function* settleAll(
  session: Session,
  parts: readonly Part[],
  ending: ImagesResult,
  options: ImagesOptions,
): AsyncGenerator<ImagesEvent, ImagesResult, void> {
  const { outcome, after: facts, message } = ending;
  if (facts === undefined || (outcome !== "confirmed" && outcome !== "already-running")) return ending;
  const counters = countersOf(parts, facts);
  const open = counters.filter(({ settled }) => !settled);
  const withCounterFacts = counters.length > 0 ? { ...ending, counters } : ending;
  const mayBeTold = parts.some(({ parsed }) => parsed.securityCounter !== undefined);
  if (open.length === 0 && (counters.length > 0 || !mayBeTold || !options.settle)) return withCounterFacts;
  if (!options.settle)
    return {
      ...withCounterFacts,
      message: `${message} The board has not stored the security counter of image ${list(open)} yet: it does so at its next boot.`,
      hint: ending.hint ?? "Add --settle, and flash restarts the board and reads the counters back.",
    };

  yield* restart(session, options);
  const after = yield* observe(session, options);
  const so = { ...ending, images: endings(parts, after), after };
  const missing = parts.filter((part) => isReported(after, part) && !runs(after, part));
  if (missing.length > 0)
    return {
      ...so,
      outcome: "not-running",
      message: `After one more restart: ${judgement(parts, missing, after)}`,
    };
  const now = countersOf(parts, after);
  if (now.length === 0)
    return {
      ...so,
      message: `${message} They run after one more restart too; the board does not report its stored security counters.`,
    };
  const behind = now.filter(({ settled }) => !settled);
  if (behind.length > 0)
    return {
      ...so,
      counters: now,
      outcome: "not-settled",
      message: `${message} The board has not stored the security counter of image ${list(behind)} after one more restart: older images are not refused.`,
      hint: "Check whether its bootloader was built with downgrade prevention by security counter.",
    };
  for (const { image, stored } of now) {
    yield { step: "image", image, name: parts.find((part) => part.imageNumber === image)!.name };
    yield { step: "settled", stored };
  }
  return {
    ...so,
    counters: now,
    message: `${message} The board has stored their security counters: images below them are refused from now on.`,
  };
}

const list = (some: readonly { readonly image: number }[]): string =>
  some.map(({ image }) => image).join(", ");

/** Of the images that bring a counter, where the board reports the stored one. */
function countersOf(parts: readonly Part[], facts: BoardFacts): NonNullable<ImagesResult["counters"]> {
  return parts.flatMap(({ imageNumber, parsed: { securityCounter: wanted } }) => {
    const stored = storedCounter(facts, imageNumber);
    if (wanted === undefined || stored === undefined) return [];
    return [{ image: imageNumber, wanted, stored, settled: stored >= wanted }];
  });
}

export function endings(parts: readonly Part[], facts: BoardFacts | undefined): ImageEnding[] {
  return parts.map((part) => ({
    image: part.imageNumber,
    name: part.name,
    version: formatVersion(part.parsed.version),
    state: facts === undefined ? "not-sent" : stateOf(part, facts),
  }));
}

function stateOf(part: Part, facts: BoardFacts): ImageEnding["state"] {
  if (!isReported(facts, part)) return "unknown";
  const stage = stageOf(facts, part);
  return stage === "confirmed" || stage === "on-trial" ? stage : "not-running";
}
