import type { Image } from "../image/image.js";
import { verifyImage } from "../image/verify.js";
import { formatVersion } from "../image/version.js";
import { type BoardFacts, readFacts } from "./facts.js";
import { giveUp, keep } from "./flash/ending.js";
import { checkHealth } from "./flash/health.js";
import { judge, observe, overLosses, restartIntoIt } from "./flash/observe.js";
import { sendAndMark } from "./flash/send.js";
import { plan, stageOf } from "./flash/stage.js";
import type { FlashEvent, FlashOptions, FlashResult } from "./flash/story.js";
import { checkAgainstBoard, checkFile, type GateCheck, type GateCheckName, mayRevert } from "./gate.js";
import { MOST_LOSSES } from "./reconnect.js";
import type { Session } from "./session.js";

export { type HealthCheck, HealthError } from "./flash/health.js";
export { MarkError } from "./flash/send.js";
export type { FlashEvent, FlashOptions, FlashOutcome, FlashResult } from "./flash/story.js";

/**
 * The whole story of an update: gate, upload, mark for a test boot, reset, wait, judge by the hash that runs, health
 * check, confirm, read back. What the last reply was decides nothing; what the board runs afterwards does.
 *
 * Throws what talking to the board throws; refusals and reverts are results, not errors.
 */
export async function* flash(
  session: Session,
  file: Uint8Array,
  options: FlashOptions = {},
): AsyncGenerator<FlashEvent, FlashResult, void> {
  const { imageNumber = 0 } = options;
  const before = yield* overLosses(session, options, () => readFacts(session, options));
  yield { step: "board", facts: before };

  const { checks, image } = await gate(file, before, options);
  yield { step: "gate", checks };
  const refused = checks.filter((check) => check.result === "fail" && !isSkipped(check.name, options));
  const result = { gate: checks, before, ...named(image) };
  if (refused.length > 0 || image?.imageHash === undefined) return refusal(result, refused);

  const hash = image.imageHash.value;
  const target = { hash, imageNumber };
  const found = stageOf(before, target);
  if (found === "confirmed") {
    const says = `Version ${result.version} with this very hash runs already and is confirmed.`;
    return { ...result, outcome: "already-running", says };
  }
  yield { step: "plan", says: plan(before, image, found, options) };
  if (options.dryRun) return { ...result, outcome: "dry-run", says: "The gate is open; nothing was sent." };

  const { trial, stage, ...sent } =
    found === "absent"
      ? yield* sendAndMark(session, file, before, target, options)
      : { trial: mayRevert(before), stage: found };
  const told = { ...result, ...sent };
  if (stage === "marked") yield* restartIntoIt(session, target, options);
  const candidate = { ...target, trial };
  for (let losses = 1; ; losses++) {
    const after = yield* observe(session, options);
    const verdict = judge(before, after, target);
    yield { step: "judged", runsNewImage: verdict.runs, says: verdict.says };
    if (!verdict.runs)
      return { ...told, after, outcome: "not-running", says: verdict.says, hint: verdict.hint };
    const health = yield* checkHealth(session, options);
    // Nobody knows what a board did while its cable was out: it is judged anew.
    if (health.linkLost && losses < MOST_LOSSES) continue;
    if (health.unwell !== undefined)
      return { ...told, ...(yield* giveUp(session, health.unwell, candidate, options)) };
    return { ...told, ...(yield* keep(session, after, candidate, options)) };
  }
}

async function gate(
  file: Uint8Array,
  facts: BoardFacts,
  options: FlashOptions,
): Promise<{ checks: GateCheck[]; image: Image | undefined }> {
  const verdict = await verifyImage(file, {
    ...(options.keys?.length ? { keys: options.keys } : {}),
    toBoot: true,
  });
  const { image } = verdict;
  const checks = checkFile(verdict);
  if (image !== undefined) {
    const { imageNumber = 0, throughRecovery = false } = options;
    checks.push(...checkAgainstBoard({ image, facts, imageNumber, throughRecovery }));
  }
  return { checks, image };
}

function isSkipped(name: GateCheckName, { skip }: FlashOptions): boolean {
  // Without a structure there is no hash to mark and none to judge by.
  return name !== "structure" && (skip === "all" || (skip?.includes(name) ?? false));
}

function refusal(result: Omit<FlashResult, "outcome" | "says">, refused: readonly GateCheck[]): FlashResult {
  const [first] = refused;
  const says = first?.says ?? "The image carries no hash by which the board could be asked for it.";
  return {
    ...result,
    outcome: "refused-by-gate",
    says,
    ...(first?.hint === undefined ? {} : { hint: first.hint }),
  };
}

function named(image: Image | undefined): { imageHash?: Uint8Array; version?: string } {
  if (image === undefined) return {};
  return {
    version: formatVersion(image.version),
    ...(image.imageHash && { imageHash: image.imageHash.value }),
  };
}
