import { formatVersion } from "../mcuboot/version.js";
import { readFacts, runningSlot } from "../session/board-facts.js";
import type { BoardFacts } from "../session/facts.js";
import { MOST_LOSSES } from "../session/reconnect.js";
import { restart } from "../session/restart.js";
import { knownByImage, whileExpecting } from "../session/same-board.js";
import type { Recognise, Session } from "../session/session.js";
import { checkAll, inOrder } from "./check-images.js";
import { confirmAll, endings, isReported, judgement, settleAll } from "./confirm-images.js";
import type { FlashOptions } from "./events.js";
import { checkHealth } from "./health.js";
import type { ImageFile, ImagesEvent, ImagesOptions, ImagesResult, Part } from "./images-events.js";
import { observe, overLosses, readFactsOnceBack, restartIntoIt } from "./observe.js";
import { revertsUnconfirmed } from "./revert-checks.js";
import { markSent, sendImage } from "./send.js";
import { dryRunMessage, runs, type Stage, stageOf } from "./stage.js";

/** A board that was cut between two marks starts half of an update; it is led back this often. */
const MOST_ROUNDS = 4;

/**
 * An update of several images that belong together: all are checked, sent, and marked one behind the other, those that
 * others depend on last; one reset starts them; each is judged as far as the board tells, and only when all that can be
 * judged are well they are confirmed. From the first confirmation on there is only forward: what is missing then is an
 * outcome of its own, and the same update given again goes on with it. Source: MCUboot, design.md, "Multiple Image Boot".
 */
export function flashImages(
  session: Session,
  files: readonly ImageFile[],
  options: ImagesOptions = {},
): AsyncGenerator<ImagesEvent, ImagesResult, void> {
  return whileExpecting(session, (expect) => flashAll(session, files, options, expect));
}

async function* flashAll(
  session: Session,
  files: readonly ImageFile[],
  options: ImagesOptions,
  expect: (recognise: Recognise) => void,
): AsyncGenerator<ImagesEvent, ImagesResult, void> {
  const before = yield* overLosses(session, options, () => readFacts(session, options));
  yield { step: "board", facts: before };
  const { parts, checked, refused } = yield* checkAll(session, files, before, options);
  const ordered = inOrder(parts);
  const known = knownByImage(before);
  expect(known.recognise);
  const result = (
    facts: BoardFacts | undefined,
  ): Pick<ImagesResult, "images" | "preflight" | "before" | "after"> => ({
    images: endings(ordered, facts),
    preflight: checked,
    before,
    ...(facts && { after: facts }),
  });
  if (refused !== undefined) {
    const { message, hint, by } = refused;
    return {
      ...result(undefined),
      outcome: "refused-by-preflight",
      message,
      ...(by !== undefined && { refusedBy: by }),
      ...(hint !== undefined && { hint }),
    };
  }
  if (before.server === "recovery")
    return {
      ...result(undefined),
      outcome: "refused-by-preflight",
      message: "The board is in serial recovery, where images are not tried together.",
      hint: "Let it boot its application, or write one image with --image N --recovery.",
    };
  if (ordered.every((part) => stageOf(before, part) === "confirmed")) {
    const message = "All images of the update run and are confirmed.";
    return yield* settleAll(
      session,
      ordered,
      { ...result(before), outcome: "already-running", message },
      options,
    );
  }
  yield { step: "plan", messages: ordered.map((part) => planLine(part, before)) };
  if (options.dryRun)
    return {
      ...result(undefined),
      outcome: "dry-run",
      message: dryRunMessage(checked.flatMap(({ checks }) => checks)),
    };

  const onSent = () => known.allow(ordered.map(({ hash }) => hash));
  yield* bringOn(session, ordered, before, { ...options, onSent });
  for (let losses = 1; ; losses++) {
    const after = yield* observe(session, options);
    const missing = ordered.filter((part) => isReported(after, part) && !runs(after, part));
    const message = judgement(ordered, missing, after);
    yield { step: "judged", runsNewImage: missing.length === 0, message };
    if (missing.length > 0)
      return yield* giveUp(session, ordered, { ...result(after), outcome: "not-running", message }, options);
    const health = yield* checkHealth(session, options);
    if (health.linkLost && losses < MOST_LOSSES) continue;
    if (health.unwell !== undefined)
      return yield* giveUp(
        session,
        ordered,
        { ...result(after), outcome: "unhealthy", message: health.unwell },
        options,
      );
    if (options.confirm === false)
      return {
        ...result(after),
        outcome: "on-trial",
        message: "All images run on trial: the next reset reverts them unless they are confirmed.",
        hint: "Repeat the command without --no-confirm.",
      };
    const ending = yield* confirmAll(session, ordered, result, options);
    return yield* settleAll(session, ordered, ending, options);
  }
}

function planLine({ imageNumber, name, bytes, parsed, ...target }: Part, facts: BoardFacts): string {
  const stage = stageOf(facts, { ...target, imageNumber });
  const running = runningSlot(facts, imageNumber)?.content?.version ?? "nothing that the board reports";
  const what: Readonly<Record<Stage, string>> = {
    absent: `send ${bytes.length} bytes`,
    marked: "it is there and marked",
    "on-trial": "it runs on trial",
    confirmed: "it runs and is confirmed",
  };
  return `image ${imageNumber} (${name}): ${running} -> ${formatVersion(parsed.version)}, ${what[stage]}`;
}

/** Sends and marks what is missing, and resets: afterwards all run, on trial, or the board decided otherwise. */
async function* bringOn(
  session: Session,
  parts: readonly Part[],
  before: BoardFacts,
  options: FlashOptions & { readonly onSent: () => void },
): AsyncGenerator<ImagesEvent, void, void> {
  let facts = before;
  for (let round = 1; round <= MOST_ROUNDS; round++) {
    const stages = parts.map((part) => stageOf(facts, part));
    const isHalf =
      stages.includes("on-trial") && stages.some((stage) => stage === "absent" || stage === "marked");
    if (isHalf && revertsUnconfirmed(facts)) {
      // Half of the update runs: the reset that starts the rest would revert it. So all go back first.
      yield* restart(session, options);
      facts = yield* observe(session, options);
      continue;
    }
    if (stages.some((stage) => stage !== "absent")) options.onSent();
    if (!stages.some((stage) => stage === "absent" || stage === "marked")) return;
    facts = yield* sendAll(session, parts, facts, options);
    const marked = parts.filter((part) => stageOf(facts, part) === "marked");
    const last = marked.at(-1);
    // A power cut meanwhile may have started some: then the next round sorts it out.
    if (parts.some((part) => stageOf(facts, part) === "on-trial") && last) continue;
    const unmarkable = parts.filter((part) => stageOf(facts, part) === "absent").at(-1);
    const started = last ?? unmarkable;
    if (started) yield* restartIntoIt(session, started, options);
    return;
  }
}

/**
 * All files first, then all marks: the time in which half of them is marked is as short as can be. Those that need others
 * are marked before those: until the last mark the bootloader finds a dependency unmet and starts none of them
 * (MCUboot, boot_verify_dependencies).
 */
async function* sendAll(
  session: Session,
  parts: readonly Part[],
  before: BoardFacts,
  options: FlashOptions & { readonly onSent: () => void },
): AsyncGenerator<ImagesEvent, BoardFacts, void> {
  const absent = parts.filter((part) => stageOf(before, part) === "absent");
  const kept = new Map<Part, boolean>();
  for (const part of absent) {
    yield { step: "image", image: part.imageNumber, name: part.name };
    const { keptOld } = yield* sendImage(session, part.bytes, { ...options, imageNumber: part.imageNumber });
    kept.set(part, keptOld);
  }
  options.onSent();
  for (const part of absent.toReversed()) {
    yield { step: "image", image: part.imageNumber, name: part.name };
    // Without a trial boot there is no confirmation either: from the mark on the image is there to stay.
    if (!revertsUnconfirmed(before)) await part.memory.intend();
    const how = { ...options, imageNumber: part.imageNumber };
    yield* markSent(session, part.bytes, { before, target: part, keptOld: kept.get(part) ?? false }, how);
  }
  return yield* readFactsOnceBack(session, options);
}

/** Not all is well: lets the board revert what runs on trial. */
async function* giveUp(
  session: Session,
  parts: readonly Part[],
  so: ImagesResult,
  options: FlashOptions,
): AsyncGenerator<ImagesEvent, ImagesResult, void> {
  for (const { memory } of parts) await memory.notConfirmed();
  const facts = yield* readFactsOnceBack(session, options);
  const isOnTrial = parts.some((part) => stageOf(facts, part) === "on-trial");
  if (isOnTrial && revertsUnconfirmed(facts)) yield* restart(session, options);
  const after = isOnTrial ? yield* observe(session, options) : facts;
  const reverted = !parts.some((part) => runs(after, part));
  const end = reverted
    ? "None of the update's images runs now."
    : "Some of the update's images still run: see the list of images.";
  const hint = "Look at the board's log; then repeat the command.";
  return { ...so, message: `${so.message} ${end}`, hint, images: endings(parts, after), after, reverted };
}
