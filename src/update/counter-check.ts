import { oddLength, TLV } from "../mcuboot/tlv.js";
import { runningSlot } from "../session/board-facts.js";
import type { BoardFacts } from "../session/facts.js";
import type { Judgement, PreflightInput } from "./preflight-check.js";

export function securityCounter({ image, facts, imageNumber }: PreflightInput): Judgement {
  const odd = image.tlvs.filter(({ type }) => type === TLV.SEC_CNT).flatMap((tlv) => oddLength(tlv) ?? []);
  if (odd[0] !== undefined)
    return {
      result: "fail",
      message: `${odd[0]} A board that keeps security counters refuses it.`,
      hint: "Sign it again; or, for a board that keeps none, add --skip security-counter.",
    };
  const entry = facts.images.find((candidate) => candidate.image === imageNumber);
  const mine = image.securityCounter;
  const stored = entry?.storedCounter?.value;
  if (stored !== undefined) {
    if (mine === undefined) {
      return {
        result: "fail",
        message: `The image carries no security counter; the board has ${stored} stored and will refuse it.`,
        hint: `Sign it with a security counter of at least ${stored}.`,
      };
    }
    const next = counterOfNextRestart(facts, imageNumber);
    if (next !== undefined && mine >= stored && mine < next)
      return {
        result: "fail",
        message: `Security counter ${mine} is below the ${next} of the confirmed image that runs. ${pendingCounter(stored, next)}`,
        hint: "Build the image with a higher counter. To go back on purpose before that restart: --skip security-counter.",
      };
    if (mine > stored && entry?.counterStepsLeft === 0)
      return {
        result: "fail",
        message: `Security counter ${mine} is above the ${stored} that the board has stored, which has no steps left to be raised.`,
        hint: `Sign it with security counter ${stored}: this board cannot store a higher one any more.`,
      };
    if (mine >= stored)
      return {
        result: "pass",
        message: `Security counter ${mine} is not below the ${next ?? stored} that the board ${next === undefined ? "has stored" : "stores at its next restart"}.`,
      };
    return {
      result: "fail",
      message: `Security counter ${mine} is below the ${stored} that the board has stored: anti-rollback will refuse it.`,
      hint: "An older build can never run on this board again; build a new one with a higher counter.",
    };
  }
  const running = runningSlot(facts, imageNumber)?.content?.securityCounter;
  if (running === undefined || mine === undefined) {
    return {
      result: "unknown",
      message: `The image's security counter is ${mine ?? "absent"}; the board does not report a stored one.`,
    };
  }
  const from = running.source === "known-file" ? "by a known file" : "by the device";
  if (mine >= running.value)
    return {
      result: "pass",
      message: `Security counter ${mine} is not below the running image's ${running.value} (${from}).`,
    };
  return {
    result: facts.reportsTrust ? "warn" : "fail",
    message: `Security counter ${mine} is below the running image's ${running.value} (${from}).`,
    ...(facts.reportsTrust
      ? {}
      : {
          hint: "If this board keeps security counters it will refuse the image; send it anyway with --skip security-counter.",
        }),
  };
}

/**
 * The security counter that a board has stored; undefined when it does not report one.
 *
 * @param facts - by `readFacts`
 * @param imageNumber - as MCUboot counts images
 * @returns a number of 32 bits
 */
export function storedCounter(facts: BoardFacts, imageNumber: number): number | undefined {
  return facts.images.find(({ image }) => image === imageNumber)?.storedCounter?.value;
}

/** What the board will store at its next restart: the counter of a confirmed image that was not restarted since. */
function counterOfNextRestart(facts: BoardFacts, imageNumber: number): number | undefined {
  const running = runningSlot(facts, imageNumber)?.content;
  const next = running?.active && running.confirmed ? running.securityCounter?.value : undefined;
  const stored = storedCounter(facts, imageNumber);
  return next !== undefined && stored !== undefined && next > stored ? next : undefined;
}

/**
 * In words, that a counter is stored only at the next restart.
 *
 * @param stored - security counter of the board
 * @param next - the one that it will store
 * @returns a sentence
 */
export function pendingCounter(stored: number, next: number): string {
  return `The board has security counter ${stored} stored and stores ${next} at its next restart: until then images from ${stored} on are accepted.`;
}
