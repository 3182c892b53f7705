import { toHex } from "../../bytes.js";
import { ImageError } from "../../mcuboot/header.js";
import { type Image, parseImage } from "../../mcuboot/image.js";
import { formatVersion } from "../../mcuboot/version.js";
import type { RecoverEvent, RecoverResult } from "../../recovery/recover-events.js";
import type { BoardFacts } from "../../session/facts.js";
import type { FlashEvent, FlashResult } from "../../update/flash.js";
import type { PreflightCheck, PreflightCheckName } from "../../update/preflight-check.js";
import type { EventSink, Recorded } from "./recorder.js";

/** An image as events name it. */
export function describeImage(image: Image, number?: number): NonNullable<Recorded["image"]> {
  const { imageHash, version, securityCounter } = image;
  return {
    ...(number === undefined ? {} : { number }),
    ...(imageHash && { hash: toHex(imageHash.value) }),
    version: formatVersion(version),
    ...(securityCounter === undefined ? {} : { counter: securityCounter }),
  };
}

/** What an update found out and decided, beside the commands that it sent. */
export function recordFlash(
  to: EventSink | undefined,
  skip: readonly PreflightCheckName[] | "all",
  image: Recorded["image"],
): (event: FlashEvent) => void {
  if (to === undefined) return () => undefined;
  const about = image === undefined ? {} : { image };
  return (event) => {
    switch (event.step) {
      case "board": {
        const { server, images } = event.facts;
        const running = images[0]?.slots.find(({ content }) => content?.active)?.content?.version;
        return to.record({ type: "board.identify", detail: { server, ...(running && { running }) } });
      }
      case "preflight":
        for (const decision of decisions(event.checks, skip)) to.record({ ...about, ...decision });
        return;
      case "judged": {
        const type = event.runsNewImage ? "boot.observed" : "boot.refused";
        const result = event.runsNewImage ? "ok" : "failed";
        return to.record({ type, ...about, result, detail: { message: event.message } });
      }
      case "health":
        return to.record({
          type: "health.result",
          ...about,
          result: event.ok ? "ok" : "failed",
          detail: { name: event.name, message: event.message },
        });
    }
  };
}

function decisions(checks: readonly PreflightCheck[], skip: readonly string[] | "all"): Recorded[] {
  // What a policy refuses is recorded where it is asked.
  const failed = checks.filter(({ name, result }) => result === "fail" && !name.startsWith("policy/"));
  const isSkipped = ({ name }: PreflightCheck) =>
    !name.startsWith("policy/") && (skip === "all" || skip.includes(name));
  const recorded = failed.map(
    (check): Recorded => ({
      type: isSkipped(check) ? "policy.override" : "refusal",
      rule: check.name,
      result: isSkipped(check) ? "ok" : "refused",
      detail: { message: check.message },
    }),
  );
  const isOpen = checks.every((check) => check.result !== "fail" || isSkipped(check));
  return [...recorded, { type: "policy.decision", rule: "preflight", result: isOpen ? "ok" : "refused" }];
}

/** What an update came to: installed, reverted, and how the stored counter moved. */
export function recordFlashResult(to: EventSink | undefined, result: FlashResult, counter?: number): void {
  if (to === undefined || result.outcome === "dry-run" || result.outcome === "refused-by-preflight") return;
  const image = {
    ...(result.imageHash && { hash: toHex(result.imageHash) }),
    ...(result.version === undefined ? {} : { version: result.version }),
    ...(counter === undefined ? {} : { counter }),
  };
  if (result.reverted) to.record({ type: "revert.observed", image, result: "ok" });
  const before = storedCounter(result.before);
  const after = result.counter?.stored ?? (result.after && storedCounter(result.after));
  if (after !== undefined && after !== before)
    to.record({ type: "counter.advance", image, detail: { how: "observed", stored: after } });
  else if (after === undefined && result.outcome === "confirmed" && counter !== undefined)
    to.record({ type: "counter.advance", image, detail: { how: "inferred", stored: counter } });
  if (result.selfConfirmed)
    to.record({
      type: "confirm",
      image,
      result: "ok",
      detail: { by: "application", message: result.message },
    });
  const isGood = ["confirmed", "on-trial", "running", "already-running"].includes(result.outcome);
  to.record({
    type: "install",
    image,
    result: isGood ? "ok" : "failed",
    detail: { outcome: result.outcome, message: result.message },
  });
}

function storedCounter({ images }: BoardFacts): number | undefined {
  return images[0]?.storedCounter?.value;
}

/** Hands a workflow's events on, each recorded first. */
export async function* recorded<Result>(
  workflow: AsyncGenerator<FlashEvent, Result, void>,
  record: (event: FlashEvent) => void,
): AsyncGenerator<FlashEvent, Result, void> {
  try {
    for (;;) {
      const step = await workflow.next();
      if (step.done) return step.value;
      record(step.value);
      yield step.value;
    }
  } finally {
    // Whoever leaves early leaves the workflow too; at its end this does nothing.
    await workflow.return(undefined as Result);
  }
}

/** Empty for a file that is no image: what is wrong with it the recovery says. */
function imageIn(file: Uint8Array): Pick<Recorded, "image"> {
  try {
    return { image: describeImage(parseImage(file)) };
  } catch (error) {
    if (error instanceof ImageError) return {};
    throw error;
  }
}

/** What a recovery tried, and what it came to. */
export async function* recordedRecovery(
  to: EventSink | undefined,
  file: Uint8Array,
  workflow: AsyncGenerator<RecoverEvent, RecoverResult, void>,
): AsyncGenerator<RecoverEvent, RecoverResult, void> {
  const about = imageIn(file);
  const record = (event: RecoverEvent) => {
    if (event.step === "method")
      to?.record({
        type: "plan",
        ...about,
        detail: { method: event.method.name, message: event.method.summary },
      });
    else if (event.step === "written")
      to?.record({ type: "upload.done", ...about, result: "ok", detail: { message: event.message } });
  };
  try {
    for (;;) {
      const step = await workflow.next();
      if (step.done) {
        const { outcome, message } = step.value;
        if (outcome !== "dry-run" && outcome !== "refused-by-preflight")
          to?.record({
            type: "install",
            ...about,
            result: outcome === "recovered" || outcome === "written" ? "ok" : "failed",
            detail: { outcome, message },
          });
        return step.value;
      }
      record(step.value);
      yield step.value;
    }
  } finally {
    await workflow.return(undefined as never);
  }
}
