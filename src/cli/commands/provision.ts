import { createHash } from "node:crypto";
import type { Command } from "commander";
import { toHex } from "../../bytes.js";
import { readFacts, runningSlot } from "../../session/board-facts.js";
import { openEnvelope, parseEnvelope, signEnvelope } from "../../trust/dsse.js";
import { refuses } from "../../trust/policy.js";
import { readProofStatement } from "../../trust/proof-statement.js";
import { formatStatement, IN_TOTO } from "../../trust/statement.js";
import { thisActor } from "../../trust-store/audit-log.js";
import { recorder } from "../audit/recorder.js";
import { type BoardOptions, boardOptions } from "../board-options.js";
import { type Context, onBoard, readKeys } from "../context.js";
import { readInput, writeOutput } from "../files.js";
import { printable } from "../output.js";
import { boardFacts } from "../policy/policy-facts.js";
import { judge } from "../policy/policy-judge.js";
import { choosePolicy } from "../policy/policy-options.js";
import { askedOnce, QUESTIONS_FOR_PEOPLE, readStated } from "../provision/stated.js";
import { several } from "../several.js";
import { openSigner, type SigningOptions, wayOf } from "../signing/choose.js";
import { signerOptions } from "../signing/options.js";
import { UsageError } from "../usage-error.js";
import { inContext } from "../verb-context.js";
import { version } from "../version.js";

/** Predicate of a record; the topic provision describes it. */
export const PROVISION_PREDICATE = "urn:x-bootproof:attestation:provisioning:v1";

interface RecordOptions extends BoardOptions, Omit<SigningOptions, "publicKey"> {
  output: string;
  bootloader?: string;
  proof?: string;
  proofKey?: string[];
  policy?: string;
  state?: string[];
}

export function define(command: Command): void {
  const record = command
    .command("record")
    .description("record what a unit was provisioned with: read from it, proven on it, or stated");
  signerOptions(boardOptions(record))
    .requiredOption("-o, --output <file>", "the record, a signed in-toto statement (DSSE)")
    .option("--bootloader <file>", "the bootloader build that was programmed; recorded by digest")
    .option("--proof <file>", "a signed statement of prove about this unit: accepted keys are then proven")
    .option("--proof-key <file>", "a public key that may have signed it (repeatable)", several)
    .option(
      "--policy <file>",
      "the policy to compare with (default: BOOTPROOF_POLICY, else the config file's)",
    )
    .option(
      "--state <question=answer>",
      `facts that only people know (repeatable): ${QUESTIONS_FOR_PEOPLE.map(({ name }) => name).join(", ")}; otherwise asked once and remembered`,
      several,
    )
    .action((options: RecordOptions) =>
      inContext(options, (context) => {
        const stated = readStated(options.state ?? []);
        return onBoard(options, context, async (session, identity) => {
          const facts = await readFacts(session, { signal: context.signal });
          const proof = await provenClaims(options, identity.id, context);
          const people = await askedOnce(stated);
          const chosen = await choosePolicy(
            options.policy === undefined ? {} : { policy: options.policy },
            context.config,
          );
          const verdict = chosen && judge(chosen, "prove", { board: boardFacts(facts, identity, 0) });
          const running = runningSlot(facts)?.content;
          const name = identity.id ?? facts.name;
          const predicate = {
            board: { ...(identity.id !== undefined && { id: identity.id }), address: facts.name },
            acceptedKeys: {
              how: proof?.signature === "holds" ? "proven" : facts.trustedKeys ? "read" : "unknown",
              ...(facts.trustedKeys && {
                keys: facts.trustedKeys.map(({ type, hash }) => ({ type, hash: toHex(hash) })),
              }),
              ...(proof && { signatureClaim: proof.signature ?? "not tried" }),
            },
            storedCounters: facts.images.map(({ image, storedCounter }) => ({
              image,
              how: storedCounter === undefined ? "unknown" : "read",
              ...(storedCounter && { value: storedCounter.value }),
            })),
            upgradeMode: facts.bootloader?.modeName ?? "-",
            bootloader: {
              ...(facts.bootloader?.name !== undefined && { reported: facts.bootloader.name }),
              ...(options.bootloader !== undefined && {
                build: { how: "stated", sha256: sha256(readInput(options.bootloader)) },
              }),
            },
            firmware: {
              ...(running && { version: running.version }),
              ...(running?.hash && { hash: toHex(running.hash) }),
            },
            stated: people,
            ...(verdict && {
              policy: { level: verdict.level, decision: verdict.decision, findings: verdict.findings },
            }),
            by: thisActor(),
            tool: `bootproof ${version()}`,
            recordedOn: new Date().toISOString(),
          };
          const subject = [
            { name, digest: { sha256: sha256(new TextEncoder().encode(name)) } },
            ...(predicate.bootloader.build
              ? [{ name: "bootloader build", digest: { sha256: predicate.bootloader.build.sha256 } }]
              : []),
          ];
          const payload = formatStatement(subject, PROVISION_PREDICATE, predicate);
          const way = wayOf(options, ["key", "signerCommand", "pkcs11Module"]);
          const signer = (await openSigner(way, options, {
            signal: context.signal,
            context: { purpose: "provisioning" },
          }))!;
          try {
            writeOutput(options.output, await signEnvelope(IN_TOTO, payload, [signer.signer]), {
              overwrite: false,
            });
          } finally {
            signer.close();
          }
          recorder()?.record({
            type: "provision.record",
            result: verdict?.decision === "refuse" ? "refused" : "ok",
            detail: { record: sha256(payload), keyHash: toHex(signer.signer.publicKey.keyHash) },
          });
          const broken = verdict?.findings.filter(refuses(verdict));
          context.out.result(
            { file: options.output, ...predicate },
            draw(options.output, predicate, broken ?? []),
          );
          if (broken && broken.length > 0) process.exitCode = 48;
        });
      }),
    );
}

/** What a statement of prove about this very unit says of its claims. */
async function provenClaims(
  { proof, proofKey = [] }: RecordOptions,
  id: string | undefined,
  { out }: Context,
): Promise<Readonly<Record<string, string>> | undefined> {
  if (proof === undefined) return undefined;
  const keys = await readKeys(proofKey, out);
  const envelope = parseEnvelope(new TextDecoder().decode(readInput(proof)));
  const { payload } = await openEnvelope(envelope, { keys, payloadType: IN_TOTO });
  const found = readProofStatement(payload);
  if (found === undefined || id === undefined || !found.boardIds.includes(id))
    throw new UsageError(
      `${proof} is not a statement of prove about this unit.`,
      "Prove it first: bootproof prove --attest.",
    );
  return Object.fromEntries(found.claims.map(({ claim, verdict }) => [claim, verdict]));
}

function draw(
  file: string,
  {
    acceptedKeys,
    storedCounters,
    upgradeMode,
    bootloader,
    stated,
  }: {
    acceptedKeys: { how: string; keys?: readonly { type: string; hash: string }[] };
    storedCounters: readonly { image: number; value?: number }[];
    upgradeMode: string;
    bootloader: { reported?: string; build?: { sha256: string } };
    stated: Readonly<Record<string, { answer: string }>>;
  },
  broken: readonly { rule: string; message: string }[],
): string {
  const keys = (acceptedKeys.keys ?? []).map(({ type, hash }) => `${type} ${hash.slice(0, 16)}`);
  return [
    `accepted keys  ${keys.join(", ") || "-"} (${acceptedKeys.how})`,
    `counters       ${storedCounters.map(({ image, value }) => `image ${image}: ${value ?? "-"}`).join(", ") || "-"}`,
    `upgrade mode   ${upgradeMode}`,
    `bootloader     ${bootloader.reported ?? "-"}${bootloader.build ? `, build ${bootloader.build.sha256.slice(0, 16)} (stated)` : ""}`,
    ...Object.entries(stated).map(([name, { answer }]) => `${name.padEnd(14)} ${printable(answer)} (stated)`),
    ...broken.map(({ rule, message }) => `policy/${rule}: ${printable(message)}`),
    `Wrote ${file}.`,
  ].join("\n");
}

const sha256 = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");
