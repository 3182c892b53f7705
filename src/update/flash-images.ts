import { ImageError, parseHeader } from "../mcuboot/header.js";
import type { Dependency, Image } from "../mcuboot/image.js";
import { formatVersion, type Version } from "../mcuboot/version.js";
import { type BoardFacts, readFacts, runningSlot, slotsOf } from "../session/board-facts.js";
import { MOST_LOSSES } from "../session/reconnect.js";
import { restart } from "../session/restart.js";
import type { Session } from "../session/session.js";
import { storedCounter } from "./counter-check.js";
import { confirmRunning, furtherImageHint } from "./ending.js";
import type { FlashEvent, FlashOptions, FlashOutcome, PolicyHook } from "./events.js";
import { preflight } from "./flash.js";
import { checkHealth } from "./health.js";
import { type Memory, memoryOf } from "./memory.js";
import { observe, overLosses, readFactsOnceBack, restartIntoIt } from "./observe.js";
import { maySkip, type PreflightCheck, type PreflightCheckName } from "./preflight-check.js";
import { revertsUnconfirmed } from "./revert-checks.js";
import { markSent, sendImage } from "./send.js";
import { dryRunMessage, runs, type Stage, stageOf, type Target } from "./stage.js";

/** One image of an update with several. */
export interface ImageFile {
  readonly name: string;
  readonly image: number;
  readonly bytes: Uint8Array;
}

export type ImagesEvent = FlashEvent | { step: "image"; image: number; name: string };

export type ImagesOutcome =
  | Exclude<FlashOutcome, "running" | "taken">
  /** At least one image is confirmed, at least one is not: only forward is left. */
  | "partly-confirmed";

export interface ImageEnding {
  readonly image: number;
  readonly name: string;
  readonly version: string;
  /** `unknown`: the board tells nothing of this image. */
  readonly state: "confirmed" | "on-trial" | "not-running" | "unknown" | "not-sent";
}

export interface ImagesResult {
  outcome: ImagesOutcome;
  message: string;
  hint?: string;
  /** In the order in which they are sent, marked and confirmed. */
  images: ImageEnding[];
  preflight: { image: number; checks: PreflightCheck[] }[];
  /** Of images that stay and bring a security counter: theirs, and what the board has stored. */
  counters?: { image: number; wanted: number; stored: number; settled: boolean }[];
  before: BoardFacts;
  after?: BoardFacts;
  /** After a failure: no image of the update runs any more. */
  reverted?: boolean;
  /** With `refused-by-preflight`: the first check that did. */
  refusedBy?: PreflightCheckName;
}

export interface ImagesOptions extends Omit<FlashOptions, "imageNumber" | "throughRecovery" | "policy"> {
  /** What a policy says of each image. */
  policyFor?: ((file: ImageFile) => PolicyHook | undefined) | undefined;
}

/** A file that was read and passed. */
interface Part extends Target {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly parsed: Image;
  /** What this host remembers of it on this board. */
  readonly memory: Memory;
}

/** A board that was cut between two marks starts half of an update; it is led back this often. */
const MOST_ROUNDS = 4;

/**
 * An update of several images that belong together: all are checked, sent, and marked one behind the other, those that
 * others depend on last; one reset starts them; each is judged as far as the board tells, and only when all that can be
 * judged are well they are confirmed. From the first confirmation on there is only forward: what is missing then is an
 * outcome of its own, and the same update given again goes on with it. Source: MCUboot, design.md, "Multiple Image Boot".
 */
export async function* flashImages(
  session: Session,
  files: readonly ImageFile[],
  options: ImagesOptions = {},
): AsyncGenerator<ImagesEvent, ImagesResult, void> {
  const before = yield* overLosses(session, options, () => readFacts(session, options));
  yield { step: "board", facts: before };
  const { parts, checked, refused } = yield* checkAll(session, files, before, options);
  const ordered = inOrder(parts);
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

  yield* bringOn(session, ordered, before, options);
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

interface Refusal {
  readonly by?: PreflightCheckName;
  readonly message: string;
  readonly hint?: string | undefined;
}

async function* checkAll(
  session: Session,
  files: readonly ImageFile[],
  facts: BoardFacts,
  options: ImagesOptions,
): AsyncGenerator<
  ImagesEvent,
  { parts: Part[]; checked: ImagesResult["preflight"]; refused: Refusal | undefined },
  void
> {
  const parts: Part[] = [];
  const checked: ImagesResult["preflight"] = [];
  let refused: Refusal | undefined;
  const alongside = versionsIn(files);
  for (const { name, image: imageNumber, bytes } of files) {
    yield { step: "image", image: imageNumber, name };
    const {
      checks,
      image: parsed,
      bytes: payload,
    } = await preflight(session, bytes, facts, {
      ...options,
      imageNumber,
      alongside,
      policy: options.policyFor?.({ name, image: imageNumber, bytes }),
    });
    yield { step: "preflight", checks };
    checked.push({ image: imageNumber, checks });
    const failed = checks.find((check) => check.result === "fail" && !maySkip(check.name, options.skip));
    if (failed)
      refused ??= {
        by: failed.name,
        message: `Image ${imageNumber} (${name}): ${failed.message}`,
        hint: failed.hint,
      };
    else if (parsed?.imageHash === undefined)
      refused ??= {
        message: `Image ${imageNumber} (${name}) carries no hash by which the board could be asked for it.`,
      };
    else {
      const memory = memoryOf(parsed, imageNumber, options.ratchet);
      parts.push({ name, imageNumber, bytes: payload, parsed, memory, hash: parsed.imageHash.value });
    }
  }
  return { parts, checked, refused };
}

/** The versions that the update brings; a file that is no image brings none. */
function versionsIn(files: readonly ImageFile[]): ReadonlyMap<number, Version> {
  const versions = new Map<number, Version>();
  for (const { image, bytes } of files) {
    try {
      versions.set(image, parseHeader(bytes).header.version);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
    }
  }
  return versions;
}

/** Those that others depend on first; otherwise higher numbers first, so that image 0, which starts, is the last. */
function inOrder(parts: readonly Part[]): Part[] {
  const left = [...parts].sort((a, b) => b.imageNumber - a.imageNumber);
  const ordered: Part[] = [];
  while (left.length > 0) {
    const isNeededByNone = ({ image }: Dependency) => !left.some(({ imageNumber }) => imageNumber === image);
    const free = left.findIndex(({ parsed, imageNumber }) =>
      parsed.dependencies.every((one) => one.image === imageNumber || isNeededByNone(one)),
    );
    // Images that depend on each other have no right order: MCUboot starts them together or not at all.
    ordered.push(...left.splice(Math.max(free, 0), 1));
  }
  return ordered;
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
  options: FlashOptions,
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
  options: FlashOptions,
): AsyncGenerator<ImagesEvent, BoardFacts, void> {
  const absent = parts.filter((part) => stageOf(before, part) === "absent");
  const kept = new Map<Part, boolean>();
  for (const part of absent) {
    yield { step: "image", image: part.imageNumber, name: part.name };
    const { keptOld } = yield* sendImage(session, part.bytes, { ...options, imageNumber: part.imageNumber });
    kept.set(part, keptOld);
  }
  for (const part of absent.toReversed()) {
    yield { step: "image", image: part.imageNumber, name: part.name };
    // Without a trial boot there is no confirmation either: from the mark on the image is there to stay.
    if (!revertsUnconfirmed(before)) await part.memory.intend();
    const how = { ...options, imageNumber: part.imageNumber };
    yield* markSent(session, part.bytes, { before, target: part, keptOld: kept.get(part) ?? false }, how);
  }
  return yield* readFactsOnceBack(session, options);
}

function judgement(parts: readonly Part[], missing: readonly Part[], facts: BoardFacts): string {
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
function isReported(facts: BoardFacts, { imageNumber }: Target): boolean {
  return slotsOf(facts, imageNumber).some(({ content }) => content?.hash !== undefined);
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

async function* confirmAll(
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
async function* settleAll(
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

function endings(parts: readonly Part[], facts: BoardFacts | undefined): ImageEnding[] {
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
