import { evaluatePolicy, type Finding, type PolicyVerdict, refuses } from "../../trust/policy.js";
import type { PolicyFacts } from "../../trust/policy-rules.js";
import type { PolicyAction } from "../../trust/policy-settings.js";
import type { BoardIdentity } from "../../trust/ratchet.js";
import type { PolicyHook } from "../../update/events.js";
import type { FlashOptions, FlashResult } from "../../update/flash.js";
import type { PreflightCheck } from "../../update/preflight-check.js";
import { trustedMemoryKind } from "../audit/ratchet-memory.js";
import { type EventSink, recorder } from "../audit/recorder.js";
import { boardFacts, companionFacts, compareVersions, imageFacts, provenanceFacts } from "./policy-facts.js";
import type { ChosenPolicy } from "./policy-options.js";

/** Asks the policy and records what it decided. */
export function judge(
  chosen: ChosenPolicy,
  action: PolicyAction,
  facts: Omit<PolicyFacts, "compareVersions">,
  audit: EventSink | undefined = recorder(),
): PolicyVerdict {
  const { policy, override } = chosen;
  const verdict = evaluatePolicy(policy, action, { ...facts, compareVersions }, override);
  const { version, hash, counter } = facts.image ?? {};
  const image = {
    ...(hash === undefined ? {} : { hash }),
    ...(version === undefined ? {} : { version }),
    ...(counter === undefined ? {} : { counter }),
  };
  for (const finding of verdict.findings) {
    const detail = { message: finding.message };
    if (finding.overridden !== undefined)
      audit?.record({
        type: "policy.override",
        image,
        rule: finding.rule,
        result: "ok",
        detail: { ...detail, reason: finding.overridden },
      });
    else if (refuses(policy)(finding))
      audit?.record({
        type: "refusal",
        image,
        rule: `policy/${finding.rule}`,
        result: "refused",
        detail,
      });
  }
  audit?.record({
    type: "policy.decision",
    image,
    rule: "policy",
    result: verdict.decision === "allow" ? "ok" : "refused",
    detail: { level: verdict.level, action },
  });
  return verdict;
}

/** Findings as checks of the preflight. `policy/RULE`; none of them can be skipped. */
export function asChecks({ findings, level }: PolicyVerdict): PreflightCheck[] {
  return findings.map((finding) => ({
    name: `policy/${finding.rule}` as const,
    result: resultOf(finding, level),
    message:
      finding.overridden === undefined
        ? finding.message
        : `${finding.message} Overridden: ${finding.overridden}`,
    ...(refuses({ level })(finding) && {
      hint: `The policy's rule "${finding.rule}" refuses it (level ${level}).`,
    }),
  }));
}

/**
 * The rules that can only be judged when the image runs. Undefined when none of them refuses.
 *
 * @returns the finding that refuses
 */
export function judgeAfterwards(
  chosen: ChosenPolicy | undefined,
  result: FlashResult,
  audit: EventSink | undefined = recorder(),
): Finding | undefined {
  if (chosen === undefined || result.selfConfirmed !== true) return undefined;
  const { policy, override } = chosen;
  const confirmation = { by: "application", healthChecks: 0, soakMs: 0, settles: false } as const;
  const { findings } = evaluatePolicy(policy, "flash", { confirmation, compareVersions }, override);
  const finding = findings.find(({ rule }) => rule === "host-confirms");
  if (finding === undefined || !refuses(policy)(finding)) return undefined;
  const detail = { message: finding.message };
  audit?.record({ type: "refusal", rule: "policy/host-confirms", result: "refused", detail });
  return finding;
}

function resultOf(finding: Finding, level: PolicyVerdict["level"]): PreflightCheck["result"] {
  if (refuses({ level })(finding)) return "fail";
  if (finding.result === "pass") return "pass";
  return finding.result === "unknown" ? "unknown" : "warn";
}

/** Asked only where a policy asks for it: a TPM takes its time. */
export function trustedMemoryFacts({ policy }: ChosenPolicy): Pick<PolicyFacts, "trustedMemory"> {
  const kind = policy.settings.trustedMemory === undefined ? undefined : trustedMemoryKind();
  return kind === undefined ? {} : { trustedMemory: kind };
}

/** How an update becomes confirmed, by its options. */
export function confirmationOf({ health = [], soakMs = 1000, settle = false }: FlashOptions) {
  return { healthChecks: health.length, soakMs, settles: settle };
}

/** What `flash` and `recover` ask before they touch a board. */
export function policyHook(
  chosen: ChosenPolicy | undefined,
  action: "flash" | "recover",
  how: {
    readonly file: Uint8Array;
    readonly identity?: BoardIdentity;
    readonly imageNumber?: number | undefined;
    readonly confirmation?: PolicyFacts["confirmation"];
    readonly skip?: readonly string[] | "all" | undefined;
    /** What the update was made for. */
    readonly madeFor?: readonly string[] | undefined;
    /** Where decisions are recorded; default: as events of the run's one board. */
    readonly audit?: EventSink | undefined;
  },
): PolicyHook | undefined {
  if (chosen === undefined) return undefined;
  return ({ signedBy, facts, ratchet, compressed }) => {
    const image = imageFacts(how.file, signedBy);
    const about = {
      image,
      board: {
        ...boardFacts(facts, how.identity, how.imageNumber ?? 0),
        ...(compressed && { canRevert: false }),
      },
      ...(ratchet && { ratchet }),
      ...(how.confirmation && { confirmation: how.confirmation }),
      skippedChecks: how.skip === "all" ? ["all"] : (how.skip ?? []),
      ...trustedMemoryFacts(chosen),
      ...(how.madeFor && { madeFor: how.madeFor }),
      ...provenanceFacts(chosen, how.file, image.hash),
      ...companionFacts(chosen),
    };
    return asChecks(judge(chosen, action, about, how.audit));
  };
}
