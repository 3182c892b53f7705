import { CUSTOM_RULES_SCHEMA, type CustomRule, judgeCustomRule, readCustomRules } from "./custom-rules.js";
import { PolicyError } from "./policy-error.js";
import { evaluateRule, type PolicyFacts, RULES, type RuleName } from "./policy-rules.js";
import { type PolicyAction, type PolicySettings, SEVERITIES, type Severity } from "./policy-settings.js";

/** One file that says what may be signed and flashed, and one function that judges by it. */

export const POLICY_LEVELS = ["bench", "pilot", "production"] as const;
export type PolicyLevel = (typeof POLICY_LEVELS)[number];

export interface Policy {
  readonly level: PolicyLevel;
  readonly settings: PolicySettings;
  /** Severities that differ from the level's. */
  readonly rules: Readonly<Partial<Record<RuleName, Severity>>>;
  /** Rules that may be overridden on the command line, with a reason. */
  readonly overrides: readonly FindingName[];
  /** Rules that the policy adds to the built-in ones. */
  readonly customRules?: readonly CustomRule[];
}

/** A rule as findings name it; custom rules are `custom/NAME`. */
export type FindingName = RuleName | `custom/${string}`;

/** An override on the command line. */
export interface Override {
  readonly rules: readonly string[];
  readonly reason?: string;
}

export interface Finding {
  readonly rule: FindingName;
  readonly severity: Exclude<Severity, "off">;
  /** `unknown`: what the rule needs is not known here; counts as broken from `pilot` up where the rule refuses. */
  readonly result: "pass" | "broken" | "unknown";
  /** One sentence: what was compared with what. */
  readonly message: string;
  /** It would have refused, and was overridden for this reason. */
  readonly overridden?: string;
}

export interface PolicyVerdict {
  readonly level: PolicyLevel;
  readonly decision: "allow" | "refuse";
  readonly findings: readonly Finding[];
}

/**
 * Judges by a policy. The one function that `flash`, `recover`, `sign`, `prove` and `policy check` all ask.
 *
 * @param policy - by {@link readPolicy}
 * @param action - what is about to be done
 * @param facts - what is known; a fact that is absent makes its rules unknown
 * @param override - rules that somebody sets aside, and why
 * @returns the decision, and every finding that led to it
 * @throws PolicyError `bad-override`
 *
 * @example
 * ```ts
 * import { compareVersions, parseVersion } from "bootproof/mcuboot";
 * import { evaluatePolicy, policyOfLevel } from "bootproof/trust";
 * const byVersion = (a: string, b: string) => compareVersions(parseVersion(a), parseVersion(b));
 * const { decision } = evaluatePolicy(policyOfLevel("production"), "sign", { compareVersions: byVersion });
 * // Nothing is known of the image, and what is unknown is not let pass.
 * if (decision !== "refuse") throw new Error(decision);
 * ```
 */
export function evaluatePolicy(
  policy: Policy,
  action: PolicyAction,
  facts: PolicyFacts,
  override: Override = { rules: [] },
): PolicyVerdict {
  mustBeAllowed(policy, override);
  const found = (
    rule: FindingName,
    severity: Severity,
    judge: () => Pick<Finding, "result" | "message">,
  ): Finding[] => {
    if (severity === "off") return [];
    const { result, message } = judge();
    const breaks = result === "broken" || (result === "unknown" && policy.level !== "bench");
    const isOverridden = severity === "refuse" && breaks && override.rules.includes(rule);
    return [{ rule, severity, result, message, ...(isOverridden && { overridden: override.reason! }) }];
  };
  const findings = [
    ...RULES.filter(({ actions }) => actions.includes(action)).flatMap((rule) =>
      found(rule.name, severityOf(policy, rule.name), () => evaluateRule(rule, facts, policy.settings)),
    ),
    ...(policy.customRules ?? [])
      .filter(({ actions }) => actions.includes(action))
      .flatMap((rule) => found(`custom/${rule.name}`, rule.severity, () => judgeCustomRule(rule, facts))),
  ];
  return { level: policy.level, decision: findings.some(refuses(policy)) ? "refuse" : "allow", findings };
}

/**
 * True for a finding that stops what was asked for.
 *
 * @param policy - its level decides whether what is unknown stops
 * @returns a filter of findings
 */
export function refuses({ level }: Pick<Policy, "level">): (finding: Finding) => boolean {
  return ({ severity, result, overridden }) =>
    severity === "refuse" &&
    overridden === undefined &&
    (result === "broken" || (result === "unknown" && level !== "bench"));
}

/**
 * How strict a rule is under this policy: what the policy says of it, else what its level does.
 *
 * @param policy - by {@link readPolicy}
 * @param name - of a rule
 * @returns `refuse`, `warn` or `off`
 */
export function severityOf(policy: Policy, name: RuleName): Severity {
  const rule = RULES.find((one) => one.name === name)!;
  return policy.rules[name] ?? rule.severity[POLICY_LEVELS.indexOf(policy.level)]!;
}

function mustBeAllowed({ overrides, level }: Policy, { rules, reason }: Override): void {
  if (rules.length === 0) return;
  const wrong = (message: string, hint: string) => {
    throw new PolicyError("bad-override", message, { hint });
  };
  const denied = rules.find((name) => !overrides.some((allowed) => allowed === name));
  if (denied !== undefined)
    wrong(
      `The policy (level ${level}) allows no override of "${denied.slice(0, 60)}".`,
      overrides.length > 0
        ? `It allows overrides of: ${overrides.join(", ")}.`
        : "The owner of the policy can list the rule under overrides.",
    );
  if (reason === undefined || reason.trim() === "")
    wrong("An override needs a reason.", "Add --reason TEXT; it is recorded in the audit log.");
}

/**
 * A policy of nothing but a level.
 *
 * @param level - how strict
 * @returns a policy with the level's defaults
 */
export function policyOfLevel(level: PolicyLevel): Policy {
  return { level, settings: {}, rules: {}, overrides: [] };
}

const SETTINGS: Readonly<
  Record<keyof PolicySettings, { schema: object; test: (value: unknown) => boolean }>
> = {
  keys: listOf("^[0-9a-f]{16,128}$"),
  algorithms: listOf("^(rsa-2048|rsa-3072|ecdsa-p256|ecdsa-p384|ed25519)$"),
  counterFloor: countUpTo(0xffff_ffff),
  minimumVersion: textOf("^\\d{1,3}\\.\\d{1,3}\\.\\d{1,5}(\\+\\d{1,10})?$"),
  vendorId: textOf("^[0-9a-f]{32}$"),
  classId: textOf("^[0-9a-f]{32}$"),
  tlvs: {
    schema: {
      type: "object",
      propertyNames: { pattern: "^0x[0-9a-f]{4}$" },
      additionalProperties: { type: "string", pattern: "^([0-9a-f]{2})*$" },
    },
    test: (value) =>
      isObject(value) &&
      Object.entries(value).every(
        ([type, hex]) =>
          /^0x[0-9a-f]{4}$/.test(type) && typeof hex === "string" && /^([0-9a-f]{2})*$/.test(hex),
      ),
  },
  soakMs: countUpTo(3_600_000),
  healthChecks: countUpTo(100),
  sbomDigests: listOf("^[0-9a-f]{64}$"),
  requireSbom: { schema: { type: "boolean" }, test: (value) => typeof value === "boolean" },
  proofKeys: listOf("^[0-9a-f]{16,128}$"),
  proofMaxAgeDays: countUpTo(3660),
  bootloaderBuild: textOf("^[0-9a-f]{64}$"),
  trustedMemory: {
    schema: { enum: ["any", "chip"] },
    test: (value) => value === "any" || value === "chip",
  },
  deviceTypes: listOf("^[\\x21-\\x7e]{1,256}$"),
  breakGlassKeys: listOf("^[0-9a-f]{16,128}$"),
  provenanceKeys: listOf("^[0-9a-f]{16,128}$"),
};

function listOf(pattern: string) {
  const form = new RegExp(pattern);
  return {
    schema: { type: "array", items: { type: "string", pattern }, minItems: 1 },
    test: (value: unknown) =>
      Array.isArray(value) &&
      value.length > 0 &&
      value.every((one) => typeof one === "string" && form.test(one)),
  };
}

function textOf(pattern: string) {
  const form = new RegExp(pattern);
  return {
    schema: { type: "string", pattern },
    test: (value: unknown) => typeof value === "string" && form.test(value),
  };
}

function countUpTo(maximum: number) {
  return {
    schema: { type: "integer", minimum: 0, maximum },
    test: (value: unknown) =>
      Number.isInteger(value) && (value as number) >= 0 && (value as number) <= maximum,
  };
}

/**
 * Reads a policy out of the value that its YAML or JSON spells. Nothing unknown is let pass: a misspelt rule would be a
 * rule that does not hold.
 *
 * @param value - out of YAML or JSON, not believed yet
 * @returns every field checked
 * @throws PolicyError `bad-policy`
 */
export function readPolicy(value: unknown): Policy {
  if (!isObject(value)) throw bad("it is not a map of fields");
  const {
    version,
    level,
    settings = {},
    rules = {},
    overrides = [],
    "custom-rules": customRules = [],
    $schema: _schema,
    "must-hold": mustHold = [],
    ...rest
  } = value;
  const [stranger] = Object.keys(rest);
  if (stranger !== undefined)
    throw bad(
      `unknown field "${stranger}"`,
      "Fields: version, level, settings, rules, custom-rules, overrides, must-hold.",
    );
  if (version !== 1) throw bad("it does not say version: 1");
  const known = POLICY_LEVELS.find((one) => one === level);
  if (known === undefined) throw bad("its level is not known", `Levels: ${POLICY_LEVELS.join(", ")}.`);
  if (!Array.isArray(mustHold) || !mustHold.every((claim) => typeof claim === "string"))
    throw bad("must-hold is not a list of claims");
  if (!isObject(settings)) throw bad("its settings are not a map");
  for (const [name, setting] of Object.entries(settings)) {
    if (!Object.hasOwn(SETTINGS, name))
      throw bad(`unknown setting "${name}"`, `Settings: ${Object.keys(SETTINGS).join(", ")}.`);
    if (!SETTINGS[name as keyof PolicySettings].test(setting))
      throw bad(`the setting "${name}" has a wrong value`, `See bootproof policy schema.`);
  }
  if (!isObject(rules)) throw bad("its rules are not a map of rule and severity");
  for (const [name, severity] of Object.entries(rules)) {
    ruleNamed(name);
    if (!SEVERITIES.some((one) => one === severity))
      throw bad(`the rule "${name}" has no severity`, `Severities: ${SEVERITIES.join(", ")}.`);
    if (name === "signature" && severity !== "refuse")
      throw bad(
        'the severity of the rule "signature" cannot be lowered: images without a good signature are always refused',
      );
  }
  if (!Array.isArray(overrides)) throw bad("its overrides are not a list of rules");
  const custom = readCustomRules(customRules);
  const isCustom = (name: unknown) => custom.some((rule) => name === `custom/${rule.name}`);
  for (const name of overrides)
    if (!isCustom(name) && ruleNamed(name) === "signature")
      throw bad('the rule "signature" cannot be overridden');
  return {
    level: known,
    settings: settings as PolicySettings,
    rules: rules as Policy["rules"],
    overrides: overrides as FindingName[],
    ...(custom.length > 0 && { customRules: custom }),
  };
}

function ruleNamed(name: unknown): RuleName {
  const rule = RULES.find((one) => one.name === name);
  if (rule) return rule.name;
  throw bad(
    `there is no rule "${String(name).slice(0, 60)}"`,
    `Rules: ${RULES.map((one) => one.name).join(", ")}.`,
  );
}

/**
 * JSON schema (draft 2020-12) of a policy file, for editors.
 *
 * @returns to be written as JSON
 */
export function policySchema(): object {
  const names = RULES.map(({ name }) => name);
  const rules = RULES.map(({ name, summary }) => [name, { enum: SEVERITIES, description: summary }]);
  const settings = Object.entries(SETTINGS).map(([name, { schema }]) => [name, schema]);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "bootproof policy",
    type: "object",
    required: ["version", "level"],
    additionalProperties: false,
    properties: {
      $schema: { type: "string" },
      version: { const: 1 },
      level: { enum: POLICY_LEVELS },
      settings: { type: "object", additionalProperties: false, properties: Object.fromEntries(settings) },
      rules: { type: "object", additionalProperties: false, properties: Object.fromEntries(rules) },
      "must-hold": {
        type: "array",
        items: { type: "string" },
        description: "claims that prove must find to hold",
      },
      "custom-rules": CUSTOM_RULES_SCHEMA,
      overrides: {
        type: "array",
        items: {
          anyOf: [
            { enum: names.filter((name) => name !== "signature") },
            { type: "string", pattern: "^custom/" },
          ],
        },
      },
    },
  };
}

function bad(why: string, hint?: string): PolicyError {
  return new PolicyError("bad-policy", `This is not a policy: ${why}.`, {
    hint: hint ?? "bootproof help policy shows one.",
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
