import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { orderOfVersions } from "../../src/cli/audit/ratchet-memory.js";
import {
  evaluatePolicy,
  POLICY_LEVELS,
  type Policy,
  policyOfLevel,
  policySchema,
  readPolicy,
} from "../../src/trust/policy.js";
import { type PolicyFacts, RULES, type RuleName } from "../../src/trust/policy-rules.js";

const KEY = "99638d140e140ca6159d09cbeb73ad8a0a06013a9c07db530a6ee4101262b8ff";

/** Settings that every rule has something to compare with. */
const SETTINGS = {
  keys: [KEY.slice(0, 16)],
  counterFloor: 5,
  minimumVersion: "1.4.0",
  vendorId: "aa".repeat(16),
  tlvs: { "0x00a0": "cafe" },
  provenanceKeys: ["0123456789abcdef"],
  proofKeys: ["fedcba9876543210"],
  requireSbom: true,
  deviceTypes: ["rack-3"],
  trustedMemory: "chip" as const,
};

/** An update of which every rule at every level approves. */
const GOOD = {
  image: {
    hash: "c0".repeat(32),
    version: "1.5.0",
    counter: 7,
    signedBy: { type: "ed25519", hash: KEY },
    vendorId: "aa".repeat(16),
    tlvs: { "0x00a0": "cafe" },
    isPreConfirmed: false,
  },
  board: {
    identity: "usb-1",
    storedCounter: 6,
    runningVersion: "1.4.0",
    canRevert: true,
    trustedKeys: [KEY],
  },
  ratchet: { result: "pass", message: "fine" },
  confirmation: { healthChecks: 1, soakMs: 1000, settles: true },
  provenance: { namesImage: true, signedBy: "0123456789abcdef00" },
  sbom: { digest: "5b".repeat(32), isNamedByProvenance: true },
  proof: {
    result: "PASSED",
    signedBy: "fedcba9876543210ff",
    boardIds: ["usb-1"],
    subjects: ["b0".repeat(32)],
    ageDays: 3,
  },
  madeFor: ["rack-3", "rack-4"],
  trustedMemory: "chip",
  compareVersions: orderOfVersions,
} satisfies PolicyFacts;

const production: Policy = { ...policyOfLevel("production"), settings: SETTINGS };
const image = (change: Partial<NonNullable<PolicyFacts["image"]>>): PolicyFacts => ({
  ...GOOD,
  image: { ...GOOD.image, ...change },
});
const board = (change: object): PolicyFacts => ({ ...GOOD, board: { ...GOOD.board, ...change } });
const { signedBy: _signer, ...unsigned } = GOOD.image;
const { counter: _counter, ...uncounted } = GOOD.image;

/** For each rule: what breaks it, and what it then says. */
const BROKEN: Readonly<Record<RuleName, [PolicyFacts, RegExp]>> = {
  signature: [{ ...GOOD, image: unsigned }, /None of the given keys signed/],
  "signing-key": [image({ signedBy: { type: "ed25519", hash: "ab".repeat(32) } }), /not one of the 1/],
  "published-key": [
    image({ signedBy: { type: "ed25519", hash: KEY, published: "root-ed25519.pem" } }),
    /root-ed25519\.pem, whose private part is published/,
  ],
  algorithm: [image({ signedBy: { type: "rsa-2048", hash: KEY } }), /rsa-2048 is not among/],
  "counter-required": [{ ...GOOD, image: uncounted }, /carries no security counter/],
  "counter-floor": [image({ counter: 4 }), /4 is below the 5 that the policy/],
  "counter-stored": [board({ storedCounter: 8 }), /7 is below the 8 that the board/],
  "counter-settled": [
    { ...GOOD, confirmation: { ...GOOD.confirmation, settles: false } },
    /Older images are accepted/,
  ],
  ratchet: [{ ...GOOD, ratchet: { result: "fail", message: "This host confirmed counter 9" } }, /counter 9/],
  "version-floor": [image({ version: "1.3.9" }), /1\.3\.9 is below the 1\.4\.0/],
  "version-not-older": [board({ runningVersion: "2.0.0" }), /older than the running 2\.0\.0/],
  hardware: [image({ vendorId: "bb".repeat(16) }), /vendor id is bbbb/],
  "board-identity": [
    {
      ...GOOD,
      board: { ...GOOD.board, identity: undefined as never, noIdentityBecause: "a plain serial line." },
    },
    /Unprotected.*a plain serial line/,
  ],
  "board-keys": [board({ trustedKeys: [KEY, "ee".repeat(32)] }), /accepts key eeee/],
  "pre-confirmed": [image({ isPreConfirmed: true }), /skip the trial boot/],
  revert: [board({ canRevert: false }), /cannot revert/],
  health: [{ ...GOOD, confirmation: { ...GOOD.confirmation, healthChecks: 0 } }, /0 health check/],
  soak: [{ ...GOOD, confirmation: { ...GOOD.confirmation, soakMs: 10 } }, /runs 10 ms/],
  provenance: [{ ...GOOD, provenance: { ...GOOD.provenance, namesImage: false } }, /of another image/],
  "host-confirms": [
    { ...GOOD, confirmation: { ...GOOD.confirmation, by: "application" } },
    /confirmed itself before the health checks/,
  ],
  sbom: [
    { ...GOOD, sbom: { digest: "5b".repeat(32), isNamedByProvenance: false } },
    /Neither the provenance nor/,
  ],
  proved: [{ ...GOOD, proof: { ...GOOD.proof, boardIds: ["usb-2"] } }, /about another board/],
  "trusted-memory": [{ ...GOOD, trustedMemory: "software" }, /the policy requires a chip/],
  "device-type": [{ ...GOOD, madeFor: ["lamp"] }, /made for lamp; the policy requires rack-3/],
  "no-skips": [{ ...GOOD, skippedChecks: ["signature"] }, /skips checks: signature/],
};

describe("a policy", () => {
  it.each(POLICY_LEVELS)("lets a good update pass at level %s", (level) => {
    const verdict = evaluatePolicy({ ...policyOfLevel(level), settings: SETTINGS }, "flash", GOOD);
    expect(verdict.findings.filter(({ result }) => result !== "pass")).toEqual([]);
    expect(verdict).toMatchObject({ level, decision: "allow" });
  });

  it.each(Object.entries(BROKEN) as [RuleName, [PolicyFacts, RegExp]][])(
    "refuses at production what breaks the rule %s, and says why",
    (rule, [facts, why]) => {
      const { decision, findings } = evaluatePolicy(production, "flash", facts);
      expect(decision).toBe("refuse");
      expect(findings.find((finding) => finding.rule === rule)).toMatchObject({
        severity: "refuse",
        result: "broken",
        message: expect.stringMatching(why),
      });
    },
  );

  it.each(RULES.map(({ name }) => name))(
    "rule %s: off, warned of, overridden with a reason, by level",
    (rule) => {
      const [facts] = BROKEN[rule];
      const only = (severity: "warn" | "off", overrides: RuleName[] = []): Policy => ({
        ...production,
        rules: { ...Object.fromEntries(RULES.map(({ name }) => [name, "off"])), [rule]: severity },
        overrides,
      });
      expect(evaluatePolicy(only("off"), "flash", facts)).toMatchObject({ decision: "allow", findings: [] });
      expect(evaluatePolicy(only("warn"), "flash", facts)).toMatchObject({
        decision: "allow",
        findings: [{ rule, severity: "warn", result: "broken" }],
      });
      const overridable = {
        ...only("off", [rule]),
        rules: { ...only("off").rules, [rule]: "refuse" as const },
      };
      const override = { rules: [rule], reason: "trial 12" };
      expect(evaluatePolicy(overridable, "flash", facts, override)).toMatchObject({
        decision: "allow",
        findings: [{ rule, result: "broken", overridden: "trial 12" }],
      });
      expect(evaluatePolicy(overridable, "flash", facts).decision).toBe("refuse");
      expect(() => evaluatePolicy(overridable, "flash", facts, { rules: [rule] })).toThrow(/needs a reason/);
      expect(() => evaluatePolicy(production, "flash", facts, override)).toThrow(/allows no override of/);
    },
  );

  it("refuses from pilot up what it cannot find out, and not at bench", () => {
    const { canRevert: _mode, ...silent } = GOOD.board;
    const facts = { ...GOOD, board: silent };
    const at = (level: (typeof POLICY_LEVELS)[number]) =>
      evaluatePolicy(policyOfLevel(level), "flash", facts);
    expect(at("bench").decision).toBe("allow");
    expect(at("pilot").decision).toBe("refuse");
  });

  it("asks only what the action can answer", () => {
    const { decision, findings } = evaluatePolicy(production, "sign", {
      image: GOOD.image,
      compareVersions: orderOfVersions,
    });
    expect(decision).toBe("allow");
    expect(findings.map(({ rule }) => rule)).not.toContain("revert");
  });

  it.each<[string, object, RegExp]>([
    ["an unknown rule", { rules: { signatur: "off" } }, /no rule "signatur"/],
    ["an unknown setting", { settings: { key: [] } }, /unknown setting "key"/],
    ["an unknown field", { extra: 1 }, /unknown field "extra"/],
    ["a severity that is none", { rules: { revert: "ignore" } }, /"revert" has no severity/],
    ["no version", { version: undefined }, /version: 1/],
    ["a level that is none", { level: "prod" }, /its level is not known/],
    ["a counter that is text", { settings: { counterFloor: "5" } }, /"counterFloor" has a wrong value/],
    ["a key hash that is too short", { settings: { keys: ["99"] } }, /"keys" has a wrong value/],
    ["the signature turned down", { rules: { signature: "warn" } }, /cannot be lowered/],
    ["the signature overridden", { overrides: ["signature"] }, /cannot be overridden/],
  ])("is refused with %s", (_, change, why) => {
    const value = { version: 1, level: "pilot", ...change };
    expect(() => readPolicy(value)).toThrow(
      expect.objectContaining({ code: "bad-policy", message: expect.stringMatching(why) }),
    );
  });

  it.each([
    [{ result: "WARNED" }, /ended as WARNED/],
    [{ ageDays: 91 }, /91 days old; the policy requires at most 90/],
    [{ ageDays: undefined as never }, /does not say when/],
    [{ signedBy: "aa".repeat(32) }, /which the policy does not name/],
  ])("does not take a statement of prove with %j", (change, why) => {
    const { findings } = evaluatePolicy(production, "flash", {
      ...GOOD,
      proof: { ...GOOD.proof, ...change },
    });
    expect(findings.find(({ rule }) => rule === "proved")).toMatchObject({
      result: "broken",
      message: expect.stringMatching(why),
    });
  });

  it("takes a statement of prove about the bootloader build that it names, for any board", () => {
    const settings = { ...SETTINGS, bootloaderBuild: "b0".repeat(32) };
    const facts = { ...GOOD, proof: { ...GOOD.proof, boardIds: [] } };
    const { findings } = evaluatePolicy({ ...production, settings }, "flash", facts);
    expect(findings.find(({ rule }) => rule === "proved")).toMatchObject({ result: "pass" });
  });

  const withRule = (requires: object, rest: object = {}) =>
    readPolicy({
      version: 1,
      level: "pilot",
      "custom-rules": [
        {
          name: "third-line",
          summary: "Only releases of the third line.",
          severity: "refuse",
          requires,
          ...rest,
        },
      ],
    });

  it.each([
    [{ "image.version": ">=1.5.0 <2.0.0" }, "pass"],
    [{ "image.version": ">=1.5.0 <1.5.0" }, "broken"],
    [{ "image.counter": 7, "board.identity": ["usb-*"] }, "pass"],
    [{ "image.counter": ">7" }, "broken"],
    [{ "board.identity": ["usb-2", "smp-*"] }, "broken"],
    [{ "image.hash": `${GOOD.image.hash}`, "image.signedBy": `${KEY.slice(0, 12)}*` }, "pass"],
    [{ "image.classId": "00" }, "unknown"],
  ])("has a custom rule that requires %j: %s", (requires, result) => {
    const { findings } = evaluatePolicy(withRule(requires), "flash", GOOD);
    expect(findings.find(({ rule }) => rule === "custom/third-line")).toMatchObject({
      severity: "refuse",
      result,
    });
  });

  it("asks its own rules of the actions that they name, and lets them be overridden where it says so", () => {
    const requires = { "image.counter": ">7" };
    const asked = (policy: Policy, action: "flash" | "sign") =>
      evaluatePolicy(policy, action, GOOD).findings.filter(({ rule }) => rule.startsWith("custom/"));
    expect(asked(withRule(requires, { actions: ["sign"] }), "flash")).toEqual([]);
    expect(asked(withRule(requires, { actions: ["sign"] }), "sign")).toHaveLength(1);
    const policy = { ...withRule(requires), overrides: ["custom/third-line"] as const };
    const override = { rules: ["custom/third-line"], reason: "trial" };
    const { findings } = evaluatePolicy(policy, "flash", GOOD, override);
    expect(findings.at(-1)).toMatchObject({ result: "broken", overridden: "trial" });
  });

  it.each([
    [{ "image.flavour": "x" }, {}, /unknown "image\.flavour"/],
    [{ "image.version": ">=one" }, {}, /has no condition for image\.version/],
    [{}, {}, /has no conditions/],
    [{ "image.counter": 1 }, { severity: "off" }, /neither refuse nor warn/],
    [{ "image.counter": 1 }, { name: "A b" }, /has no name/],
    [{ "image.counter": 1 }, { actions: ["fly"] }, /list of actions/],
    [{ "image.counter": 1 }, { because: "x" }, /unknown field "because"/],
  ])("refuses to be read with a custom rule that requires %j and has %j", (wants, rest, why) => {
    expect(() => withRule(wants, rest)).toThrow(why);
  });

  it("is read as it is written, and its schema names every rule and setting", () => {
    const value = {
      version: 1,
      level: "pilot",
      settings: SETTINGS,
      rules: { revert: "warn" },
      overrides: ["soak"],
    };
    expect(readPolicy(value)).toEqual({
      level: "pilot",
      settings: SETTINGS,
      rules: { revert: "warn" },
      overrides: ["soak"],
    });
    const text = JSON.stringify(policySchema());
    for (const name of [...RULES.map((rule) => rule.name), ...Object.keys(SETTINGS)])
      expect(text).toContain(`"${name}"`);
  });
});

it("ships its schema as the file that editors take", () => {
  const file = new URL("../../src/topics/policy.schema.json", import.meta.url);
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(JSON.parse(JSON.stringify(policySchema())));
});
