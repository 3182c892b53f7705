import { createHash } from "node:crypto";
import { isAbsolute, resolve } from "node:path";
import type { Command } from "commander";
import { toHex } from "../../bytes.js";
import { parseKey } from "../../crypto/keys.js";
import { openEnvelope, parseEnvelope } from "../../trust/dsse.js";
import { type Override, type Policy, readPolicy } from "../../trust/policy.js";
import { PolicyError } from "../../trust/policy-error.js";
import type { PolicyFacts } from "../../trust/policy-rules.js";
import { readProofStatement } from "../../trust/proof-statement.js";
import { IN_TOTO, parseStatement, SLSA_PROVENANCE, type Statement } from "../../trust/statement.js";
import { readAs, readInput } from "../files.js";
import { several } from "../several.js";
import { UsageError } from "../usage-error.js";

export interface PolicyOptions {
  policy?: string;
  override?: string[];
  reason?: string;
  provenance?: string;
  provenanceKey?: string[];
  sbom?: string;
  proof?: string;
  proofKey?: string[];
}

/** Adds what a verb needs that asks the policy. */
export function policyOptions(command: Command): Command {
  return command
    .option("--policy <file>", "the policy (default: BOOTPROOF_POLICY, else the config file's)")
    .option("--override <rule>", "override a rule of the policy, where the policy allows it", several)
    .option("--reason <text>", "the reason for the override; kept in the audit log")
    .option("--provenance <file>", "a signed SLSA statement of how the image was built (DSSE)")
    .option("--provenance-key <file>", "a public key that may have signed it (repeatable)", several)
    .option(
      "--sbom <file>",
      "the software bill of materials of the image: named by digest in the provenance or the policy",
    )
    .option("--proof <file>", "a signed statement of prove about this board or its bootloader build (DSSE)")
    .option("--proof-key <file>", "a public key that may have signed it (repeatable)", several);
}

/** A policy and what the command line says to it. */
export interface ChosenPolicy {
  readonly policy: Policy;
  /** The file it was read from. */
  readonly file: string;
  readonly override: Override;
  readonly provenance?: { readonly statement: Statement; readonly signedBy: string };
  /** SHA-256 of the software bill of materials, hex. */
  readonly sbom?: string;
  readonly proof?: NonNullable<PolicyFacts["proof"]>;
}

/**
 * The policy that holds: `--policy`, else BOOTPROOF_POLICY, else the config file's. Undefined when there is none.
 *
 * @throws PolicyError, FileError, UsageError, EnvelopeError
 */
export async function choosePolicy(
  options: PolicyOptions,
  config: { readonly policy?: string },
): Promise<ChosenPolicy | undefined> {
  const file = options.policy ?? (process.env.BOOTPROOF_POLICY || undefined) ?? config.policy;
  if (file === undefined) {
    if (options.override !== undefined)
      throw new UsageError("There is no policy to override.", "Name one with --policy FILE.");
    return undefined;
  }
  const policy = await readPolicyFile(file);
  const rules = (options.override ?? []).flatMap((text) => text.split(","));
  const override = { rules, ...(options.reason === undefined ? {} : { reason: options.reason }) };
  return {
    policy,
    file,
    override,
    ...(await readProvenance(options)),
    ...(options.sbom !== undefined && {
      sbom: createHash("sha256").update(readInput(options.sbom)).digest("hex"),
    }),
    ...(await readProof(options)),
  };
}

const LARGEST_POLICY = 256 * 1024;

/** @throws PolicyError naming the file, FileError */
export function readPolicyFile(file: string): Promise<Policy> {
  return readAs(isAbsolute(file) ? file : resolve(file), async (content) => {
    if (content.length > LARGEST_POLICY)
      throw new PolicyError("bad-policy", `A policy has at most ${LARGEST_POLICY} bytes.`);
    // Loaded when there is a policy: it takes as long as all the rest.
    const { parse, YAMLError } = await import("yaml");
    try {
      return readPolicy(parse(new TextDecoder().decode(content), { prettyErrors: true }));
    } catch (cause) {
      if (cause instanceof PolicyError) throw cause;
      const why =
        cause instanceof YAMLError ? cause.message.split("\n")[0]!.replace(/:$/, "") : String(cause);
      throw new PolicyError("bad-policy", `This is not YAML: ${why}`, {
        cause,
        hint: "bootproof help policy shows one.",
      });
    }
  });
}

async function readProof({ proof, proofKey = [] }: PolicyOptions): Promise<Pick<ChosenPolicy, "proof">> {
  if (proof === undefined) return {};
  if (proofKey.length === 0)
    throw new UsageError(
      "Give the public key that signed the statement of prove.",
      "Add --proof-key FILE; the policy says by hash which keys count.",
    );
  const { payload, signedBy } = await openSigned(proof, proofKey);
  const facts = readProofStatement(payload);
  if (facts === undefined)
    throw new PolicyError("bad-policy", `${proof} is not a statement of prove.`, {
      hint: "bootproof prove --attest writes one.",
    });
  const { result, boardIds, startedAt, statement } = facts;
  const ageDays = startedAt === undefined ? undefined : (Date.now() - Date.parse(startedAt)) / 86_400_000;
  return {
    proof: {
      result,
      boardIds,
      signedBy,
      subjects: statement.subject.flatMap(({ digest }) => digest.sha256 ?? []),
      ...(ageDays === undefined ? {} : { ageDays }),
    },
  };
}

/** An envelope with an in-toto statement, signed by one of the keys in these files. @throws EnvelopeError, KeyError */
async function openSigned(
  file: string,
  keyFiles: readonly string[],
): Promise<{ payload: Uint8Array; signedBy: string }> {
  const keys = await Promise.all(keyFiles.map((name) => readAs(name, (content) => parseKey(content))));
  const envelope = await readAs(file, (content) => parseEnvelope(new TextDecoder().decode(content)));
  const { payload, signedBy } = await openEnvelope(envelope, { keys, payloadType: IN_TOTO });
  return { payload, signedBy: toHex(signedBy[0]!.keyHash) };
}

async function readProvenance({
  provenance,
  provenanceKey = [],
}: PolicyOptions): Promise<Pick<ChosenPolicy, "provenance">> {
  if (provenance === undefined) return {};
  if (provenanceKey.length === 0)
    throw new UsageError(
      "Give the public key that signed the provenance.",
      "Add --provenance-key FILE; the policy says by hash which keys count.",
    );
  const { payload, signedBy } = await openSigned(provenance, provenanceKey);
  const statement = parseStatement(payload);
  if (statement.predicateType !== SLSA_PROVENANCE)
    throw new PolicyError(
      "bad-policy",
      `${provenance} is not an SLSA provenance but ${statement.predicateType}.`,
      {
        hint: `Its predicate type must be ${SLSA_PROVENANCE}.`,
      },
    );
  return { provenance: { statement, signedBy } };
}
