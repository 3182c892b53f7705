import type { Command } from "commander";
import { toHex } from "../../bytes.js";
import { upgradeModeOfNumber } from "../../mcuboot/upgrade-modes.js";
import { readFacts } from "../../session/board-facts.js";
import type { BoardFacts } from "../../session/facts.js";
import {
  type Answer,
  answerQuestions,
  type KnownClaim,
  type KnownOfBoard,
} from "../../trust/audit-questions.js";
import { openEnvelope, parseEnvelope } from "../../trust/dsse.js";
import { LogError } from "../../trust/log-error.js";
import { readProofStatement } from "../../trust/proof-statement.js";
import type { BoardIdentity } from "../../trust/ratchet.js";
import { IN_TOTO } from "../../trust/statement.js";
import { openAuditLog } from "../audit/open-log.js";
import { openRatchet } from "../audit/ratchet-memory.js";
import { type BoardOptions, boardOptions } from "../board-options.js";
import { type Context, inContext, onBoard, readKeys, several } from "../context.js";
import { readAs } from "../files.js";
import { printable, table, tone } from "../output.js";
import { choosePolicy } from "../policy/policy-options.js";
import { UsageError } from "../usage-error.js";

interface AuditOptions extends BoardOptions {
  proof?: string[];
  proofKey?: string[];
  policy?: string;
}

export function define(command: Command): void {
  boardOptions(command)
    .option("--proof <file>", "a signed statement of prove about this board (repeatable)", several)
    .option("--proof-key <file>", "a public key that may have signed it (repeatable)", several)
    .option(
      "--policy <file>",
      "the policy to compare with (default: BOOTPROOF_POLICY, else the config file's)",
    )
    .addHelpText(
      "after",
      "\nThe board is only read. Exit status 26: something is broken. 27: something is open.",
    )
    .action((options: AuditOptions) =>
      inContext(options, (context) =>
        onBoard(options, context, async (session, identity) => {
          const facts = await readFacts(session, { signal: context.signal });
          const claims = [
            ...(await fromStatements(options, identity, context)),
            ...(await fromLog(identity, context)),
          ];
          const answers = answerQuestions(await known(facts, identity, claims, options, context));
          show(facts, identity, answers, options, context);
        }),
      ),
    );
}

/** The newest verdict of each claim in statements about this board. @throws EnvelopeError, UsageError */
async function fromStatements(
  { proof = [], proofKey = [] }: AuditOptions,
  identity: BoardIdentity,
  { out }: Context,
): Promise<KnownClaim[]> {
  if (proof.length === 0) return [];
  if (proofKey.length === 0)
    throw new UsageError("Name the public key of whoever signed the statement: --proof-key FILE.");
  const keys = await readKeys(proofKey, out);
  const claims: KnownClaim[] = [];
  for (const file of proof) {
    const envelope = await readAs(file, (content) => parseEnvelope(new TextDecoder().decode(content)));
    const { payload } = await openEnvelope(envelope, { keys, payloadType: IN_TOTO });
    const found = readProofStatement(payload);
    if (found === undefined || identity.id === undefined || !found.boardIds.includes(identity.id)) {
      out.note(`${printable(file)} is not about this board: ignored.`);
      continue;
    }
    claims.push(
      ...found.claims.map((one) => ({ ...one, at: found.startedAt ?? "-", from: `statement ${file}` })),
    );
  }
  return newest(claims);
}

/** What this user's audit log has of this board, when the log agrees with itself. */
async function fromLog(identity: BoardIdentity, { out, signal }: Context): Promise<KnownClaim[]> {
  if (identity.id === undefined) return [];
  const log = openAuditLog(signal);
  const claims: KnownClaim[] = [];
  for (const number of log.numbers())
    try {
      const { problems, checkpoint } = await log.verify(number);
      if (problems.length > 0) {
        out.note(`Audit log ${number} does not verify (bootproof log verify): ignored.`);
        continue;
      }
      for (const event of log.events(number, checkpoint.size)) {
        const { type, board, rule, detail, seq, time } = event;
        if (type !== "prove.result" || board?.id !== identity.id || rule === undefined) continue;
        const verdict = detail?.verdict as KnownClaim["verdict"];
        claims.push({ claim: rule, verdict, at: time, from: `audit log ${number}, entry ${seq}` });
      }
    } catch (error) {
      if (!(error instanceof LogError)) throw error;
      out.note(`Audit log ${number} cannot be read: ${error.message}`);
    }
  return newest(claims);
}

function newest(claims: readonly KnownClaim[]): KnownClaim[] {
  const byClaim = new Map<string, KnownClaim>();
  for (const one of claims) {
    const before = byClaim.get(one.claim);
    if (before === undefined || before.at <= one.at) byClaim.set(one.claim, one);
  }
  return [...byClaim.values()];
}

async function known(
  facts: BoardFacts,
  identity: BoardIdentity,
  claims: readonly KnownClaim[],
  options: AuditOptions,
  { config }: Context,
): Promise<KnownOfBoard> {
  const settings = (
    await choosePolicy(options.policy === undefined ? {} : { policy: options.policy }, config)
  )?.policy.settings;
  const stored = facts.images[0]?.storedCounter?.value;
  const remembered =
    identity.id === undefined
      ? undefined
      : openRatchet().read().boards[identity.id]?.images[0]?.counter?.counter;
  const mode = facts.bootloader?.mode;
  const namesHardware = [settings?.vendorId, settings?.classId, settings?.tlvs, settings?.deviceTypes].some(
    (one) => one !== undefined,
  );
  return {
    // One source may know of a claim what the other does not; of both the newer counts.
    claims: newest([...claims]),
    ...(facts.trustedKeys && { trustedKeys: facts.trustedKeys.map(({ hash }) => toHex(hash)) }),
    ...(settings?.keys && { policyKeys: settings.keys }),
    policyNamesHardware: namesHardware,
    ...(stored === undefined ? {} : { storedCounter: stored }),
    ...(remembered === undefined ? {} : { rememberedCounter: remembered }),
    ...(mode === undefined ? {} : { reverts: upgradeModeOfNumber(mode)?.reverts ?? false }),
  };
}

const TONES = { proven: "good", stated: "warn", open: "dim", broken: "bad" } as const;

function show(
  facts: BoardFacts,
  identity: BoardIdentity,
  answers: readonly Answer[],
  { device }: AuditOptions,
  { out }: Context,
): void {
  const next = (missing: readonly string[]) =>
    missing.length === 0
      ? undefined
      : `bootproof prove -d ${device ?? facts.name} ${missing.map((claim) => `--claim ${claim}`).join(" ")}`;
  const shown = answers.map((answer) => {
    const command = next(answer.missing);
    return { ...answer, ...(command !== undefined && { next: command }) };
  });
  const rows = shown.flatMap(({ question, answer, reasons, next: command }) => {
    const [first = "nothing is known", ...more] = reasons;
    const lines = [first, ...more, ...(command === undefined ? [] : [`next: ${command}`])].map(printable);
    return lines.map((line, at) =>
      at === 0 ? [question, tone(TONES[answer], answer), line] : ["", "", line],
    );
  });
  const board = identity.id ?? facts.name;
  out.result(
    { board, ...(identity.id === undefined && { noIdentityBecause: identity.reason }), questions: shown },
    `${printable(board)}\n${table(["QUESTION", "ANSWER", "BECAUSE"], rows)}`,
  );
  if (shown.some(({ answer }) => answer === "broken")) process.exitCode = 26;
  else if (shown.some(({ answer }) => answer === "open")) process.exitCode = 27;
}
