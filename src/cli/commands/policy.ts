import type { Command } from "commander";
import { parseImage } from "../../mcuboot/image.js";
import { verifyImage } from "../../mcuboot/verify.js";
import { readFacts } from "../../session/board-facts.js";
import type { BoardFacts } from "../../session/facts.js";
import {
  POLICY_LEVELS,
  type Policy,
  type PolicyLevel,
  type PolicyVerdict,
  policyOfLevel,
  policySchema,
  refuses,
  severityOf,
} from "../../trust/policy.js";
import { RULES } from "../../trust/policy-rules.js";
import type { BoardIdentity } from "../../trust/ratchet.js";
import { rememberedImage } from "../../update/memory.js";
import { askMemory } from "../audit/ratchet-memory.js";
import { type BoardOptions, boardOptions } from "../board-options.js";
import {
  type CommonOptions,
  type Context,
  commonOptions,
  inContext,
  onBoard,
  readKeys,
  several,
} from "../context.js";
import { readInput, writeOutput } from "../files.js";
import { keyFiles } from "../key-files.js";
import { printable, table, tone } from "../output.js";
import { boardFacts, companionFacts, imageFacts, provenanceFacts } from "../policy/policy-facts.js";
import { judge } from "../policy/policy-judge.js";
import { type ChosenPolicy, choosePolicy, policyOptions, readPolicyFile } from "../policy/policy-options.js";
import { UsageError } from "../usage-error.js";

interface CheckOptions extends BoardOptions {
  image?: string;
  key?: string[];
  level?: PolicyLevel;
}

export function define(command: Command): void {
  commonOptions(
    command.command("show [file]").description("show every rule, what it requires, and its severity"),
  )
    .option("--level <level>", `a built-in level instead of a file: ${POLICY_LEVELS.join(", ")}`, levelNamed)
    .action((file: string | undefined, options: CommonOptions & { level?: PolicyLevel }) =>
      inContext(options, async ({ out, config }) => {
        const policy = await policyNamed(file, options.level, config);
        const rows = RULES.map((rule) => [
          rule.name,
          severityOf(policy, rule.name),
          policy.overrides.includes(rule.name) ? "with a reason" : "no",
          rule.summary,
        ]);
        for (const { name, severity, summary } of policy.customRules ?? [])
          rows.push([
            `custom/${name}`,
            severity,
            policy.overrides.includes(`custom/${name}`) ? "with a reason" : "no",
            summary,
          ]);
        const shown = RULES.map(({ name, summary, actions }) => ({
          rule: name,
          summary,
          actions,
          severity: severityOf(policy, name),
          mayBeOverridden: policy.overrides.includes(name),
        }));
        out.result(
          {
            level: policy.level,
            settings: policy.settings,
            rules: shown,
            customRules: policy.customRules ?? [],
          },
          [`level ${policy.level}`, table(["RULE", "BROKEN", "OVERRIDE", "SCOPE"], rows)].join("\n"),
        );
      }),
    );

  policyOptions(
    boardOptions(
      command
        .command("check [file]")
        .description("show how a policy judges an image, and with -d a board; the board is only read"),
    ),
  )
    .option("--image <file>", "the image")
    .option(
      "--key <file>",
      "a public key that may have signed it (repeatable; default: the config file's)",
      several,
    )
    .option("--level <level>", `a built-in level instead of a file: ${POLICY_LEVELS.join(", ")}`, levelNamed)
    .action((file: string | undefined, options: CheckOptions) =>
      inContext(options, async (context) => {
        const { policy, ...rest } = await choiceOf(file, options, context);
        const chosen = { policy, ...rest };
        if (options.device === undefined) return show(await check(chosen, options, context), context);
        await onBoard(options, context, async (session, identity) => {
          const facts = await readFacts(session, { signal: context.signal });
          show(await check(chosen, options, context, { facts, identity }), context);
        });
      }),
    );

  commonOptions(command.command("schema").description("the JSON schema of a policy file, for editors"))
    .option("-o, --output <file>", "write it to this file")
    .action((options: CommonOptions & { output?: string }) =>
      inContext(options, async ({ out }) => {
        const schema = policySchema();
        const text = JSON.stringify(schema, undefined, 2);
        if (options.output === undefined) return out.result(schema, text);
        writeOutput(options.output, `${text}\n`);
        out.result({ file: options.output }, `Wrote ${options.output}.`);
      }),
    );
}

function levelNamed(text: string): PolicyLevel {
  const level = POLICY_LEVELS.find((known) => known === text);
  if (level === undefined)
    throw new UsageError(`"${text}" is not a level of a policy.`, `Levels: ${POLICY_LEVELS.join(", ")}.`);
  return level;
}

async function policyNamed(
  file: string | undefined,
  level: PolicyLevel | undefined,
  config: Context["config"],
): Promise<Policy> {
  if (level !== undefined) return policyOfLevel(level);
  if (file !== undefined) return readPolicyFile(file);
  const chosen = await choosePolicy({}, config);
  if (chosen === undefined)
    throw new UsageError("No policy was named.", "Give a file, or --level bench, pilot or production.");
  return chosen.policy;
}

async function choiceOf(
  file: string | undefined,
  options: CheckOptions & { policy?: string },
  { config }: Context,
): Promise<ChosenPolicy> {
  if (options.level !== undefined)
    return { policy: policyOfLevel(options.level), file: options.level, override: { rules: [] } };
  const named = file ?? options.policy;
  const chosen = await choosePolicy(
    { ...options, ...(named === undefined ? {} : { policy: named }) },
    config,
  );
  if (chosen === undefined)
    throw new UsageError("No policy was named.", "Give a file, or --level bench, pilot or production.");
  return chosen;
}

async function check(
  chosen: ChosenPolicy,
  options: CheckOptions,
  context: Context,
  on?: { facts: BoardFacts; identity: BoardIdentity },
): Promise<PolicyVerdict> {
  const board = boardFacts(on?.facts, on?.identity, 0);
  if (options.image === undefined) return judge(chosen, "prove", { board });
  const file = readInput(options.image);
  const keys = await readKeys(keyFiles(options.key, context), context.out);
  const { signedBy } = await verifyImage(file, { keys });
  const image = imageFacts(file, signedBy);
  const known = rememberedImage(parseImage(file));
  const ratchet = on && known && askMemory(on.identity, 0, known);
  return judge(chosen, on === undefined ? "sign" : "flash", {
    image,
    ...(on && { board }),
    ...(ratchet && { ratchet }),
    ...provenanceFacts(chosen, file, image.hash),
    ...companionFacts(chosen),
  });
}

function show(verdict: PolicyVerdict, { out }: Context): void {
  const isRefusal = refuses(verdict);
  const mark = (finding: PolicyVerdict["findings"][number]) => {
    if (isRefusal(finding)) return tone("bad", "refuse");
    if (finding.result === "pass") return tone("good", "pass");
    return finding.result === "unknown" ? tone("dim", "-") : tone("warn", "warn");
  };
  const rows = verdict.findings.map((finding) => [mark(finding), finding.rule, printable(finding.message)]);
  out.result(
    verdict,
    [table(["", "RULE", "WHY"], rows), `level ${verdict.level}: ${verdict.decision}`].join("\n"),
  );
  if (verdict.decision === "refuse") process.exitCode = 48;
}
