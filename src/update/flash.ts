import type { Key } from "../crypto/keys.js";
import { statedUnpacked, type UnpackedImage } from "../mcuboot/compression.js";
import { type Image, parseImage } from "../mcuboot/image.js";
import { verifyImage } from "../mcuboot/verify.js";
import { formatVersion } from "../mcuboot/version.js";
import { readFacts } from "../session/board-facts.js";
import type { BoardFacts } from "../session/facts.js";
import { MOST_LOSSES } from "../session/reconnect.js";
import { knownByImage, whileExpecting } from "../session/same-board.js";
import type { Recognise, Session } from "../session/session.js";
import { giveUp, keep } from "./ending.js";
import type { Compression, FlashEvent, FlashOptions, FlashResult } from "./events.js";
import { checkFile } from "./file-checks.js";
import { checkHealth } from "./health.js";
import { matchBoard, matchBuild } from "./match-board.js";
import { askRatchet, memoryOf, ratchetChecks } from "./memory.js";
import { passedOver, picksByVersion } from "./mode-checks.js";
import { judge, observe, overLosses, restartIntoIt } from "./observe.js";
import { payloadFor } from "./payload.js";
import { checkAgainstBoard } from "./preflight.js";
import { maySkip, type PreflightCheck } from "./preflight-check.js";
import { revertsUnconfirmed } from "./revert-checks.js";
import { sendAndMark } from "./send.js";
import { settle } from "./settle.js";
import { dryRunMessage, plan, stageOf } from "./stage.js";

export type {
  Compression,
  FlashEvent,
  FlashOptions,
  FlashOutcome,
  FlashResult,
  ImageCompressor,
} from "./events.js";
export type { NotRunningCause } from "./explain-outcome.js";
export { type HealthCheck, HealthError } from "./health.js";
export { MarkError, NotListedError } from "./send.js";

/**
 * The whole update: preflight, upload, mark for a test boot, reset, wait, judge by the hash that runs, health check, confirm,
 * read back. What the last reply was decides nothing; what the board runs afterwards does.
 *
 * @param session - the board
 * @param file - a signed image
 * @param options - `keys` that the board trusts; what may be skipped; times in milliseconds
 * @returns what became of the update; refusals and reverts are results, not errors
 * @throws what talking to the board throws: TransportError, DeviceError, AwayError; OtherBoardError when another board answers
 *   after a lost link
 *
 * @example
 * ```ts
 * import { connect, flash, runWorkflow, Session, startBoard } from "bootproof";
 * import { boardVariant, fixtureKey, signedFixture } from "bootproof/boards";
 * const board = await startBoard({ machine: "wasm", variant: "good" });
 * const session = await Session.open(async (signal) => connect(await board.connect(), { signal }));
 * const update = await signedFixture("good-b", "wasm", boardVariant("good"));
 * const { publicKey } = await fixtureKey("ed25519-1");
 * const result = await runWorkflow(flash(session, update, { keys: [publicKey] }));
 * if (result.outcome !== "confirmed") throw new Error(result.message);
 * await session.close();
 * await board.close();
 * ```
 */
export function flash(
  session: Session,
  file: Uint8Array,
  options: FlashOptions = {},
): AsyncGenerator<FlashEvent, FlashResult, void> {
  return whileExpecting(session, (expect) => flashOne(session, file, options, expect));
}

async function* flashOne(
  session: Session,
  file: Uint8Array,
  options: FlashOptions,
  expect: (recognise: Recognise) => void,
): AsyncGenerator<FlashEvent, FlashResult, void> {
  const { imageNumber = 0 } = options;
  const before = yield* overLosses(session, options, () => readFacts(session, options));
  yield { step: "board", facts: before };

  const { checks, image, bytes, signedBy, unpacked } = await preflight(session, file, before, options);
  const signer = signedBy && { signedBy };
  yield { step: "preflight", checks, ...signer };
  const refused = checks.filter((check) => check.result === "fail" && !maySkip(check.name, options.skip));
  const result = { preflight: checks, before, ...named(image), ...signer };
  if (refused.length > 0 || image?.imageHash === undefined) return refusal(result, refused);

  const hash = unpacked?.hash ?? image.imageHash.value;
  const target = { hash, ...(unpacked && { sentHash: unpacked.sentHash }), imageNumber, image };
  const known = knownByImage(before);
  expect(known.recognise);
  const settled = { ...target, securityCounter: image.securityCounter };
  const found = stageOf(before, target);
  const memory = memoryOf(image, imageNumber, options.ratchet);
  if (found === "confirmed") {
    await memory.confirmed();
    const message = `Version ${result.version} with the same hash already runs and is confirmed.`;
    const ending = { outcome: "already-running", message } as const;
    if (options.dryRun) return { ...result, ...ending };
    return { ...result, ...(yield* settle(session, ending, before, settled, options)) };
  }
  yield {
    step: "plan",
    messages: plan(before, image, found, { ...options, bytes: bytes.length, plainBytes: unpacked?.size }),
  };
  if (options.dryRun) return { ...result, outcome: "dry-run", message: dryRunMessage(checks) };

  // Without a trial boot there is no confirmation either: from the mark on the image is there to stay.
  if (found === "absent" && !revertsUnconfirmed(before)) await memory.intend();
  // Until the board has all of it, another one that runs it already is not taken for this one.
  const onSent = () => known.allow([hash, ...(unpacked ? [unpacked.sentHash] : [])]);
  if (found !== "absent") onSent();
  const { trial, stage, ...sent } =
    found === "absent"
      ? yield* sendAndMark(session, bytes, before, target, { ...options, onSent })
      : { trial: revertsUnconfirmed(before), stage: found };
  const { hasNoTest, ...figures } = { hasNoTest: false, ...sent };
  const common = {
    ...result,
    ...figures,
    ...(unpacked && { compression: savings(bytes.length, unpacked.size, figures) }),
  };
  // The board has only now told that it decides by version: before a restart that changes nothing.
  const ignored =
    hasNoTest && !picksByVersion(before) ? passedOver({ image, facts: before, imageNumber }) : undefined;
  if (ignored && !maySkip("version", options.skip))
    return {
      ...common,
      outcome: "not-running",
      cause: "rollback",
      message: ignored.message,
      hint: ignored.hint!,
    };
  if (stage === "marked") yield* restartIntoIt(session, target, options);
  const candidate = { ...target, trial, memory };
  for (let losses = 1; ; losses++) {
    const after = yield* observe(session, options);
    const verdict = judge(before, after, target);
    yield { step: "judged", runsNewImage: verdict.runs, message: verdict.message };
    if (!verdict.runs) {
      await memory.notConfirmed();
      const { message, hint } = verdict;
      return {
        ...common,
        after,
        ...(verdict.taken ? { outcome: "taken" } : { outcome: "not-running", cause: verdict.cause }),
        message,
        hint: (!verdict.taken && verdict.cause === "reverted" ? undefined : likeliest(checks)) ?? hint,
      };
    }
    const health = yield* checkHealth(session, options);
    // Nobody knows what a board did while its cable was out: it is judged anew.
    if (health.linkLost && losses < MOST_LOSSES) continue;
    if (health.unwell !== undefined)
      return { ...common, ...(yield* giveUp(session, health.unwell, candidate, options)) };
    const ending = yield* keep(session, after, candidate, options);
    return { ...common, ...(yield* settle(session, ending, before, settled, options)) };
  }
}

interface Preflight {
  readonly checks: PreflightCheck[];
  readonly image: Image | undefined;
  /** What would be sent. */
  readonly bytes: Uint8Array;
  readonly signedBy?: Key;
  /** What a bootloader makes of a compressed image, and by which hash it is listed until then. */
  readonly unpacked?: UnpackedImage & { readonly sentHash: Uint8Array };
}

/** All checks before anything is sent, and the bytes that would be. */
export async function preflight(
  session: Session,
  file: Uint8Array,
  facts: BoardFacts,
  options: FlashOptions,
): Promise<Preflight> {
  const verdict = await verifyImage(file, {
    ...(options.keys?.length ? { keys: options.keys } : {}),
    ...(options.decryptionKey && { decryptionKey: options.decryptionKey }),
    toBoot: true,
  });
  const { image } = verdict;
  const checks = checkFile(verdict);
  if (image === undefined) return { checks, image, bytes: file };
  const { imageNumber = 0, throughRecovery = false } = options;
  const payload = payloadFor(file, image, withMode(facts, options.knownMode), options);
  checks.push({ name: "trailer", ...payload.check });
  const packed = verdict.result === "bad" ? undefined : await options.compress?.(payload.bytes);
  const sent = packed ? parseImage(packed) : image;
  if (options.compress && !packed && !statedUnpacked(image) && verdict.result !== "bad")
    checks.push({
      name: "compression",
      result: "warn",
      message: "Compressed it would be no smaller: it is sent as it is.",
    });
  const { boards = [], build } = options.binding ?? {};
  if (boards.length > 0) checks.push(await matchBoard(session, boards, options.signal));
  if (build) checks.push(...matchBuild(build, facts));
  const { alongside } = options;
  checks.push(...checkAgainstBoard({ image, sent, facts, imageNumber, throughRecovery, alongside }));
  const ratchet = await askRatchet(image, imageNumber, options.ratchet);
  checks.splice(checks.findIndex(({ name }) => name === "version") + 1, 0, ...ratchetChecks(ratchet));
  const { signedBy } = verdict;
  checks.push(
    ...(options.policy?.({
      facts,
      ...(signedBy && { signedBy }),
      ...(ratchet && { ratchet }),
      ...(statedUnpacked(sent) && { compressed: true as const }),
    }) ?? []),
  );
  const unpacked = statedUnpacked(sent);
  return {
    checks,
    image,
    bytes: packed ?? payload.bytes,
    ...(signedBy && { signedBy }),
    ...(unpacked && sent.imageHash && { unpacked: { ...unpacked, sentHash: sent.imageHash.value } }),
  };
}

/** What was saved by sending so many bytes in place of so many, at the pace of the upload. */
function savings(
  sentBytes: number,
  plainBytes: number,
  { uploadedBytes = 0, uploadMs = 0 }: { uploadedBytes?: number; uploadMs?: number },
): Compression {
  const savedBytes = plainBytes - sentBytes;
  const savedMs = uploadedBytes > 0 ? Math.round((uploadMs / uploadedBytes) * savedBytes) : undefined;
  return { sentBytes, plainBytes, savedBytes, ...(savedMs !== undefined && { savedMs }) };
}

/** Serial recovery tells no mode; the application may have told it before. */
function withMode(facts: BoardFacts, knownMode: number | undefined): BoardFacts {
  if (knownMode === undefined || facts.bootloader?.mode !== undefined) return facts;
  return { ...facts, bootloader: { ...facts.bootloader, mode: knownMode } };
}

function refusal(
  result: Omit<FlashResult, "outcome" | "message">,
  refused: readonly PreflightCheck[],
): FlashResult {
  const [first] = refused;
  const message =
    first?.message ?? "The image carries no hash, so the board cannot be asked whether it runs.";
  return {
    ...result,
    outcome: "refused-by-preflight",
    message,
    ...(first && { refusedBy: first.name }),
    ...(first?.hint === undefined ? {} : { hint: first.hint }),
  };
}

/**
 * A failed check of the preflight that was overruled is the likeliest reason of a refusal. Not of a revert: there the
 * bootloader started the image.
 */
function likeliest(checks: readonly PreflightCheck[]): string | undefined {
  const failed = checks.find(({ result }) => result === "fail");
  return failed && `The likeliest reason is what the preflight found (${failed.name}): ${failed.message}`;
}

function named(image: Image | undefined): { imageHash?: Uint8Array; version?: string } {
  if (image === undefined) return {};
  return {
    version: formatVersion(image.version),
    ...(image.imageHash && { imageHash: image.imageHash.value }),
  };
}
