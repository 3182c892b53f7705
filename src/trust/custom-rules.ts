import { PolicyError } from "./policy-error.js";
import type { PolicyFacts } from "./policy-rules.js";
import { POLICY_ACTIONS, type PolicyAction, SEVERITIES, type Severity } from "./policy-settings.js";

/** A rule that a policy file adds: every condition in it has to hold. */
export interface CustomRule {
  /** Findings call it `custom/NAME`. */
  readonly name: string;
  /** One sentence: what holds where the rule holds. */
  readonly summary: string;
  readonly severity: Exclude<Severity, "off">;
  readonly actions: readonly PolicyAction[];
  readonly conditions: readonly Condition[];
}

type Field =
  | "image.version"
  | "image.counter"
  | "image.hash"
  | "image.signedBy"
  | "image.vendorId"
  | "image.classId"
  | "board.identity"
  | "board.runningVersion"
  | "board.storedCounter";

interface Condition {
  readonly field: Field;
  /** Of versions and counters: all comparators must hold. Of the others: one of the texts, `*` at an end for any rest. */
  readonly requires: readonly string[];
}

const FIELDS: Readonly<Record<Field, "version" | "count" | "text">> = {
  "image.version": "version",
  "image.counter": "count",
  "image.hash": "text",
  "image.signedBy": "text",
  "image.vendorId": "text",
  "image.classId": "text",
  "board.identity": "text",
  "board.runningVersion": "version",
  "board.storedCounter": "count",
};

/** Judges a custom rule. */
export function judgeCustomRule(
  { conditions, summary }: CustomRule,
  facts: PolicyFacts,
): { readonly result: "pass" | "broken" | "unknown"; readonly message: string } {
  for (const { field, requires } of conditions) {
    const value = factOf(field, facts);
    if (value === undefined) return { result: "unknown", message: `${summary} ${field} is not known.` };
    if (!holds(FIELDS[field], requires, value, facts))
      return {
        result: "broken",
        message: `${summary} ${field} is ${value}; the policy requires ${requires.join(" ")}.`,
      };
  }
  return { result: "pass", message: summary };
}

function factOf(field: Field, { image, board }: PolicyFacts): string | undefined {
  const values: Readonly<Record<Field, string | number | undefined>> = {
    "image.version": image?.version,
    "image.counter": image?.counter,
    "image.hash": image?.hash,
    "image.signedBy": image?.signedBy?.hash,
    "image.vendorId": image?.vendorId,
    "image.classId": image?.classId,
    "board.identity": board?.identity,
    "board.runningVersion": board?.runningVersion,
    "board.storedCounter": board?.storedCounter,
  };
  const value = values[field];
  return value === undefined ? undefined : `${value}`;
}

const COMPARATOR = /^(>=|<=|>|<|=)?(.+)$/;
const VERSION = /^\d{1,3}\.\d{1,3}\.\d{1,5}(\+\d{1,10})?$/;

function holds(
  kind: "version" | "count" | "text",
  requires: readonly string[],
  value: string,
  { compareVersions }: PolicyFacts,
): boolean {
  if (kind === "text")
    return requires.some((want) =>
      want.endsWith("*") ? value.startsWith(want.slice(0, -1)) : value === want,
    );
  return requires.every((want) => {
    const [, sign = "=", limit = ""] = COMPARATOR.exec(want) ?? [];
    const order = kind === "version" ? compareVersions(value, limit) : Number(value) - Number(limit);
    if (order === 0) return sign.includes("=");
    return order > 0 ? sign.startsWith(">") : sign.startsWith("<");
  });
}

/** JSON schema of the list. */
export const CUSTOM_RULES_SCHEMA: object = {
  type: "array",
  description: "rules of your own; every condition has to hold",
  items: {
    type: "object",
    required: ["name", "summary", "severity", "requires"],
    additionalProperties: false,
    properties: {
      name: { type: "string", pattern: "^[a-z][a-z0-9-]{0,39}$" },
      summary: { type: "string", minLength: 1, maxLength: 300 },
      severity: { enum: SEVERITIES.filter((one) => one !== "off") },
      actions: { type: "array", items: { enum: POLICY_ACTIONS }, minItems: 1 },
      requires: {
        type: "object",
        minProperties: 1,
        additionalProperties: false,
        properties: Object.fromEntries(
          Object.keys(FIELDS).map((field) => [field, { type: ["string", "integer", "array"] }]),
        ),
      },
    },
  },
};

/** Reads the field `custom-rules` of a policy. @throws PolicyError `bad-policy` */
export function readCustomRules(value: unknown): CustomRule[] {
  if (!Array.isArray(value)) throw bad("custom-rules is not a list of rules");
  const rules = value.map(readCustomRule);
  const twice = rules.find(({ name }, at) => rules.findIndex((one) => one.name === name) !== at);
  if (twice !== undefined) throw bad(`custom-rules has two rules "${twice.name}"`);
  return rules;
}

function readCustomRule(value: unknown): CustomRule {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw bad("a custom rule is not a map");
  const {
    name,
    summary,
    severity,
    actions = POLICY_ACTIONS,
    requires,
    ...rest
  } = value as Record<string, unknown>;
  if (typeof name !== "string" || !/^[a-z][a-z0-9-]{0,39}$/.test(name))
    throw bad("a custom rule has no name");
  const wrong = (why: string) => bad(`the rule custom/${name} ${why}`);
  const [stranger] = Object.keys(rest);
  if (stranger !== undefined) throw wrong(`has an unknown field "${stranger.slice(0, 40)}"`);
  if (typeof summary !== "string" || summary === "" || summary.length > 300) throw wrong("has no summary");
  if (severity !== "refuse" && severity !== "warn") throw wrong("is neither refuse nor warn");
  const isAction = (one: unknown): one is PolicyAction => POLICY_ACTIONS.some((known) => known === one);
  if (!Array.isArray(actions) || actions.length === 0 || !actions.every(isAction))
    throw wrong(`has no list of actions (${POLICY_ACTIONS.join(", ")})`);
  if (typeof requires !== "object" || requires === null || Array.isArray(requires))
    throw wrong("has no conditions");
  const conditions = Object.entries(requires).map(([field, wish]): Condition => {
    if (!Object.hasOwn(FIELDS, field))
      throw bad(
        `the rule custom/${name} requires the unknown "${field.slice(0, 40)}"`,
        `There are: ${Object.keys(FIELDS).join(", ")}.`,
      );
    const kind = FIELDS[field as Field];
    const texts = (Array.isArray(wish) ? wish : `${wish as string}`.split(/\s+/))
      .map(String)
      .filter((one) => one !== "");
    if (texts.length === 0 || !texts.every((text) => isWish(kind, text)))
      throw wrong(`has no condition for ${field}`);
    return { field: field as Field, requires: texts };
  });
  if (conditions.length === 0) throw wrong("has no conditions");
  return { name, summary, severity, actions, conditions };
}

function isWish(kind: "version" | "count" | "text", text: string): boolean {
  if (kind === "text") return /^[\x21-\x7e]{1,200}$/.test(text);
  const [, , limit = ""] = COMPARATOR.exec(text) ?? [];
  return kind === "version" ? VERSION.test(limit) : /^\d{1,10}$/.test(limit);
}

function bad(why: string, hint?: string): PolicyError {
  return new PolicyError("bad-policy", `This is not a policy: ${why}.`, {
    hint: hint ?? "bootproof help policy shows one.",
  });
}
