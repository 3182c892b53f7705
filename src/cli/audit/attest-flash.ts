import { createHash } from "node:crypto";
import { basename } from "node:path";
import { toHex } from "../../bytes.js";
import { runningSlot } from "../../session/board-facts.js";
import type { BoardFacts } from "../../session/facts.js";
import type { JointEnding } from "../../station/together.js";
import { signEnvelope } from "../../trust/dsse.js";
import {
  type FlashedImage,
  type FlashPredicate,
  type FlashStanding,
  flashStatement,
} from "../../trust/flash-statement.js";
import type { BoardIdentity } from "../../trust/ratchet.js";
import { IN_TOTO } from "../../trust/statement.js";
import type { FlashResult } from "../../update/flash.js";
import type { ImagesResult } from "../../update/images-events.js";
import type { PreflightCheck } from "../../update/preflight-check.js";
import { writeOutput } from "../files.js";
import type { ChosenSigner } from "../signing/choose.js";
import { version } from "../version.js";
import { statementFile } from "./attest-files.js";
import type { describeImage } from "./flash-events.js";
import { type EventSink, recorder } from "./recorder.js";

/** A file of the update, and what describes the image in it. */
export interface AttestedFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly image: ReturnType<typeof describeImage>;
  /** Image number. */
  readonly number: number;
}

/** Writes a signed statement of an update: what it came to, and what the board reported before and after. */
export async function attestFlash(
  output: string,
  { signer }: ChosenSigner,
  about: {
    readonly files: readonly AttestedFile[];
    readonly identity: BoardIdentity;
    readonly result: FlashResult | ImagesResult;
    /** Where the event goes; default: the run's. */
    readonly audit?: EventSink | undefined;
  },
): Promise<void> {
  const { files, identity, result, audit = recorder() } = about;
  const predicate = predicateOf(identity, result, {
    ...("images" in result ? ofSeveral(files, result) : ofOne(files, result)),
    outcome: result.outcome,
    message: result.message,
  });
  await writeStatement(output, signer, predicate, { files, audit });
}

/** What a joint update came to for one of its boards. */
export interface JointAttestation {
  readonly file: AttestedFile;
  readonly identity: BoardIdentity;
  /** Of the board's preflight, before anything was sent. */
  readonly first: FlashResult;
  readonly ending: Pick<JointEnding, "state" | "version" | "hash">;
  readonly message: string;
  readonly together: NonNullable<FlashPredicate["together"]>;
  readonly audit?: EventSink | undefined;
}

/** Writes a signed statement of one board of a joint update: what all came to, and what this one reported before and after. */
export async function attestTogether(
  output: string,
  { signer }: ChosenSigner,
  { file, identity, first, ending, message, together, audit = recorder() }: JointAttestation,
): Promise<void> {
  const { state, version: runs, hash } = ending;
  const predicate = predicateOf(identity, first, {
    image: described(file.image),
    outcome: state,
    message,
    together,
    before: standing(first.before, file.number),
    ...(runs !== undefined && { after: { version: runs, ...(hash && { hash: toHex(hash) }) } }),
  });
  await writeStatement(output, signer, predicate, { files: [file], audit });
}

function predicateOf(
  identity: BoardIdentity,
  result: FlashResult | ImagesResult,
  what: Omit<FlashPredicate, "board" | "notPassed" | "tool" | "job" | "finishedOn">,
): FlashPredicate {
  const job = recorder()?.job;
  return {
    board: { ...(identity.id !== undefined && { id: identity.id }), address: result.before.name },
    ...what,
    notPassed: checksOf(result)
      .filter((check) => check.result !== "pass")
      .map((check) => ({ name: check.name, result: check.result, message: check.message })),
    tool: `bootproof ${version()}`,
    ...(job !== undefined && { job }),
    finishedOn: new Date().toISOString(),
  };
}

async function writeStatement(
  output: string,
  signer: ChosenSigner["signer"],
  predicate: FlashPredicate,
  { files, audit }: { files: readonly AttestedFile[]; audit: EventSink | undefined },
): Promise<void> {
  const { id, address = "" } = predicate.board;
  const subjects = files.map(({ name, bytes }) => ({
    name: basename(name),
    sha256: createHash("sha256").update(bytes).digest("hex"),
  }));
  const envelope = await signEnvelope(IN_TOTO, flashStatement(subjects, predicate), [signer]);
  writeOutput(statementFile(output, id ?? address), envelope);
  for (const { image } of files)
    audit?.record({
      type: "attest",
      image,
      result: "ok",
      detail: { keyHash: toHex(signer.publicKey.keyHash) },
    });
}

function ofOne([file]: readonly AttestedFile[], result: FlashResult) {
  const standingOf = (facts: BoardFacts) => standing(facts, file!.number);
  return {
    image: described(file!.image),
    before: standingOf(result.before),
    ...(result.after && { after: standingOf(result.after) }),
  };
}

function ofSeveral(files: readonly AttestedFile[], { images, before, after }: ImagesResult) {
  return {
    images: files.map(({ image, number }) => ({
      image: number,
      ...described(image),
      state: images.find((one) => one.image === number)?.state ?? "not-sent",
      before: standing(before, number),
      ...(after && { after: standing(after, number) }),
    })),
  };
}

/** Of several images each check names its image. */
function checksOf(result: FlashResult | ImagesResult): readonly PreflightCheck[] {
  if (!("images" in result)) return result.preflight;
  return result.preflight.flatMap(({ image, checks }) =>
    checks.map((check) => ({ ...check, message: `Image ${image}: ${check.message}` })),
  );
}

function described({ hash, version: imageVersion, counter }: AttestedFile["image"]): FlashedImage {
  return {
    ...(hash !== undefined && { hash }),
    ...(imageVersion !== undefined && { version: imageVersion }),
    ...(counter !== undefined && { securityCounter: counter }),
  };
}

function standing(facts: BoardFacts, number: number): FlashStanding {
  const running = runningSlot(facts, number)?.content;
  const stored = facts.images.find(({ image }) => image === number)?.storedCounter?.value;
  return {
    ...(running && { version: running.version }),
    ...(running?.hash && { hash: toHex(running.hash) }),
    ...(stored !== undefined && { storedCounter: stored }),
  };
}
