import { toHex } from "../bytes.js";
import type { Client } from "../client/client.js";
import { connect } from "../client/connect.js";
import { BootproofError } from "../errors.js";
import { parseImage } from "../mcuboot/image.js";
import { runningSlot } from "../session/board-facts.js";
import type { BoardFacts } from "../session/facts.js";
import { isLost, MOST_LOSSES } from "../session/reconnect.js";
import { retryUntilBack } from "../session/retry-until-back.js";
import { mayRunNext, mustBeOneOf } from "../session/same-board.js";
import { memoryOf } from "../update/memory.js";
import { type AliveBoard, findLife } from "./alive.js";
import { checkTheFile, checkThroughRecovery, firstRefusal, refusalOf } from "./check-file.js";
import { agree, type Consent, leftAlone } from "./consent.js";
import { type MethodResult, RECOVERY_METHODS, type RecoveryFacts, type RecoveryMethod } from "./methods.js";
import type { Ending, MethodSummary, RecoverEvent, RecoverOptions, RecoverResult } from "./recover-events.js";
import type { RecoveryTarget } from "./target.js";
import { judgeWritten } from "./verify-written.js";
import { writeThroughRecovery } from "./write-through-recovery.js";

const DEFAULT_WITHIN_MS = 15_000;

/**
 * Gets a board that no longer boots to run `file`: climbs the list of recovery methods from the least destructive recovery method up, says before each
 * what it will do and what that destroys, and stops at the first that works. In serial recovery the image goes straight
 * over the primary slot and nobody checks it before the next boot. So the preflight is that of `flash`, a board that shows
 * signs of life is only written with consent, and the result is judged by what runs afterwards.
 *
 * Refusals and recovery methods that fail are results, not errors. Abort throws the signal's reason.
 *
 * @param target - how the board can be reached
 * @param file - a signed image
 * @param options - `keys` that the board trusts; which methods; consent; times in milliseconds
 * @returns the outcome in words, the method that worked, and every method that was considered
 * @throws what reading of devices throws; OtherBoardError when another board came to the port; abort throws the signal's reason
 */
export async function* recover(
  target: RecoveryTarget,
  file: Uint8Array,
  options: RecoverOptions,
): AsyncGenerator<RecoverEvent, RecoverResult, void> {
  const { checks, image, bytes, plain } = await checkTheFile(file, target, options);
  yield { step: "file", checks };
  const result = { preflight: checks, tried: [] as RecoverResult["tried"] };
  const refused = firstRefusal(checks, options);
  if (refused || image === undefined) return { ...result, ...refusalOf(refused) };

  if (options.decrypted && plain === undefined)
    return {
      ...result,
      outcome: "refused-by-preflight",
      message: "The image is encrypted, and cannot be sent decrypted without its key.",
      hint: "Add --decrypt-key FILE with the private half of the key that it is encrypted for.",
    };
  const sent = options.decrypted ? plain! : bytes;
  const { recoveryFacts, life } = await meet(target, { file: sent, plain }, options);
  try {
    yield { step: "found", message: foundWords(recoveryFacts) };
    if (life && recoveryFacts.client?.server.mode !== "recovery") {
      const boardChecks = life.facts === undefined ? [] : checkThroughRecovery(image, life.facts, options);
      yield { step: "preflight", checks: boardChecks };
      result.preflight = [...checks, ...boardChecks];
      const why = firstRefusal(boardChecks, options);
      if (why) return { ...result, ...refusalOf(why) };
    }
    const consent: Consent = { agreed: options.dryRun === true, facts: life?.facts };
    if (life && !(yield* agree(life, consent, options))) return { ...result, ...leftAlone(life, target) };
    for (const method of RECOVERY_METHODS) {
      const words = wordsOf(method, recoveryFacts);
      const passed = options.dryRun ? "This is a dry run." : await whyNot(words, method, options);
      if (passed !== undefined) {
        result.tried.push({ method: method.name, why: words.unavailable ?? passed });
        yield options.dryRun && words.unavailable === undefined
          ? { step: "method", method: words }
          : { step: "passed-over", method: method.name, why: words.unavailable ?? passed };
        continue;
      }
      yield { step: "method", method: words };
      // From here on the image may be in the primary slot, whatever ends this process.
      const memory = memoryOf(image, options.imageNumber ?? 0, options.ratchet);
      if (method.needsConsent) await memory.intend();
      const climbed = yield* attemptMethod(method, recoveryFacts, options);
      if (climbed.kind !== "failed") {
        const sent = { ...recoveryFacts, file: options.decrypted ? plain! : file };
        const ending = yield* finish(method, climbed, sent, consent, options);
        if (climbed.kind === "written" && ending.outcome === "recovered") await memory.confirmed();
        return { ...result, ...ending };
      }
      result.tried.push({ method: method.name, why: climbed.why });
      yield { step: "failed", method: method.name, why: climbed.why };
    }
  } finally {
    await recoveryFacts.client?.close();
  }
  return options.dryRun
    ? { ...result, outcome: "dry-run", message: "Nothing was done to the board." }
    : {
        ...result,
        outcome: "no-way-in",
        message: `No recovery method worked for ${target.name}.`,
        hint: "Each recovery method above shows what it needs: a power switch, a profile with the wiring, a debug tool.",
      };
}

/** Who answers, and whether that board is alive. A link that is lost in between is opened again. */
async function meet(
  target: RecoveryTarget,
  content: Pick<RecoveryFacts, "file" | "plain">,
  options: RecoverOptions,
): Promise<{ recoveryFacts: RecoveryFacts; life: AliveBoard | undefined }> {
  for (let losses = 1; ; losses++) {
    const recoveryFacts = await gatherFacts(target, content, options, losses > 1);
    const { client } = recoveryFacts;
    try {
      const how = { ...options, mayBeLost: losses === MOST_LOSSES };
      return { recoveryFacts, life: client && (await findLife(client, how)) };
    } catch (error) {
      await client?.close();
      if (!isLost(error)) throw error;
    }
  }
}

async function gatherFacts(
  target: RecoveryTarget,
  content: Pick<RecoveryFacts, "file" | "plain">,
  { signal, withinMs = DEFAULT_WITHIN_MS }: RecoverOptions,
  wasListed: boolean,
): Promise<RecoveryFacts> {
  const meet = async () => connect(await target.dial(signal), { probes: 3, ...target.connect, signal });
  try {
    const client = await retryUntilBack(meet, { signal, withinMs, wasListed });
    return { target, ...content, client, silence: "" };
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof BootproofError)) throw error;
    return { target, ...content, client: undefined, silence: error.message };
  }
}

function foundWords({ client, target, silence }: RecoveryFacts): string {
  if (client === undefined) return `${target.name}: no answer. ${silence}`;
  const { mode } = client.server;
  const who: Readonly<Record<Client["server"]["mode"], string>> = {
    application: "its application answers",
    recovery: "its bootloader's serial recovery answers",
    unknown: "a server answers, application or bootloader",
  };
  return `${target.name}: ${who[mode]}.`;
}

function wordsOf(method: RecoveryMethod, recoveryFacts: RecoveryFacts): MethodSummary {
  const unavailable = method.unavailable(recoveryFacts);
  return {
    name: method.name,
    summary: method.summary(recoveryFacts),
    destroys: method.destroys(recoveryFacts),
    ...(unavailable === undefined ? {} : { unavailable }),
  };
}

async function whyNot(
  words: MethodSummary,
  method: RecoveryMethod,
  options: RecoverOptions,
): Promise<string | undefined> {
  if (words.unavailable !== undefined) return words.unavailable;
  if (options.without?.includes(method.name)) return "It was excluded on request.";
  if (!method.needsConsent) return undefined;
  const agreed = (await options.consent?.(words)) ?? false;
  return agreed
    ? undefined
    : `It needs consent (--yes). It would do this: ${words.summary} What is lost: ${words.destroys}`;
}

async function* attemptMethod(
  method: RecoveryMethod,
  recoveryFacts: RecoveryFacts,
  { signal, withinMs = DEFAULT_WITHIN_MS }: RecoverOptions,
): AsyncGenerator<RecoverEvent, MethodResult, void> {
  const progress: RecoverEvent[] = [];
  const onProgress = (done: number, total: number) => void progress.push({ step: "writing", done, total });
  try {
    return await method.attempt(recoveryFacts, { signal, withinMs, onProgress });
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof BootproofError)) throw error;
    return { kind: "failed", why: error.message };
  } finally {
    yield* progress.slice(-1);
  }
}

/** Somebody agreed to write over one board: another one that took its port meanwhile is not meant. */
async function mustHoldWhatItHeld(
  client: Client,
  before: BoardFacts,
  file: Uint8Array,
  options: RecoverOptions,
): Promise<void> {
  const { content: ran } = runningSlot(before) ?? {};
  const now = await findLife(client, options);
  if (ran?.hash === undefined || now?.facts === undefined) return;
  const mayRun = [...mayRunNext(before), toHex(parseImage(file).imageHash?.value ?? new Uint8Array())];
  mustBeOneOf(client.name, { ...ran, hash: toHex(ran.hash) }, mayRun, runningSlot(now.facts)?.content);
}

async function* finish(
  method: RecoveryMethod,
  climbed: Exclude<MethodResult, { kind: "failed" }>,
  { target, file }: RecoveryFacts,
  consent: Consent,
  options: RecoverOptions,
): AsyncGenerator<RecoverEvent, Ending, void> {
  if (climbed.kind === "written") {
    yield { step: "written", method: method.name, message: climbed.message };
    const { signal, withinMs = DEFAULT_WITHIN_MS } = options;
    const verdict = yield* judgeWritten(target, file, { signal, withinMs });
    if (verdict.outcome !== "written") return { method: method.name, ...verdict };
    const hint =
      "Nothing has answered on this port since, so it is not known whether it runs: look at its log, or run bootproof info.";
    return { outcome: "written", method: method.name, message: climbed.message, hint };
  }
  yield { step: "in-recovery", method: method.name };
  try {
    const { client } = climbed.session;
    if (consent.agreed && consent.facts) await mustHoldWhatItHeld(client, consent.facts, file, options);
    const life = consent.agreed ? undefined : await findLife(client, options);
    if (life && !(yield* agree(life, consent, options)))
      return { method: method.name, ...leftAlone(life, target) };
    return { method: method.name, ...(yield* writeThroughRecovery(climbed.session, file, consent, options)) };
  } finally {
    await climbed.session.close();
  }
}
