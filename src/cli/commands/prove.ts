import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { BootproofError } from "../../errors.js";
import {
  type CommonOptions,
  type Context,
  commonOptions,
  inContext,
  several,
  wholeNumber,
} from "../context.js";
import { table } from "../output.js";

/**
 * What this command calls of the proof suite. The suite (`hil/`) is built beside this program and knows it only through
 * the public index, as any other user; so its shape is stated here, and a test holds the two together.
 */
export interface Suite {
  runProof(request: ProveRequest, hooks: ProveHooks): Promise<ProveOutcome>;
  listCases(): { id: string; title: string; says: string; risk: string; quick: boolean }[];
  restoreAll(signal: AbortSignal): Promise<{ board: string; ok: boolean; says: string }[]>;
  benchFromHardwareMap(path: string): string;
}

interface ProveRequest {
  device?: string | undefined;
  bench?: string | undefined;
  boards?: readonly string[] | undefined;
  image?: string | undefined;
  key?: string | undefined;
  quick?: boolean | undefined;
  cases?: readonly string[] | undefined;
  claims?: readonly string[] | undefined;
  allowDestructive?: boolean | undefined;
  through?: string | undefined;
  seed?: number | undefined;
  cuts?: number | undefined;
  randomCuts?: number | undefined;
  policy?: string | undefined;
  reports?: readonly string[] | undefined;
  compare?: string | undefined;
}

interface ProveHooks {
  version: string;
  signal: AbortSignal;
  note(text: string): void;
  progress(label: string, done: number, total: number, unit?: string): void;
}

interface ProveOutcome {
  report: unknown;
  text: string;
  ending: "passed" | "does-not-hold" | "not-judged" | "not-put-back" | "interrupted";
}

interface ProveOptions extends CommonOptions {
  device?: string;
  bench?: string;
  board?: string[];
  image?: string;
  key?: string;
  quick?: boolean;
  case?: string[];
  claim?: string[];
  allowDestructive?: boolean;
  through?: string;
  seed?: number;
  cuts?: number;
  randomCuts?: number;
  policy?: string;
  report?: string[];
  compare?: string;
  list?: boolean;
  restore?: boolean;
  importHardwareMap?: string;
}

export function define(command: Command): void {
  commonOptions(command)
    .option(
      "-d, --device <address>",
      "one board: an address; wasm:VARIANT and qemu:VARIANT are emulated ones",
    )
    .option("--bench <file>", "boards described in a bench file; the README has one")
    .option("--board <name>", "only this board of the bench; may be given several times", several)
    .option("--image <file>", "the board's own image: bad ones are made from it, and it is put back")
    .option("--key <file>", "private key that signs for this board; without it only damage is tried")
    .option("--quick", "the most telling cases only")
    .option(
      "--case <id>",
      "only this case, or all of a kind: authenticity, power-cut; several times",
      several,
    )
    .option("--claim <name>", "only cases of this claim; several times", several)
    .option("--allow-destructive", "run also what no proven way back covers")
    .option("--through <way>", "get images to the board by smp or programmer")
    .option("--seed <number>", "repeat the random choices of an earlier run", wholeNumber("--seed"))
    .option(
      "--cuts <number>",
      "power cuts per stretch, spread evenly; more than there are operations: every one",
      wholeNumber("--cuts", { min: 1, max: 1e6 }),
    )
    .option(
      "--random-cuts <number>",
      "power cuts at random",
      wholeNumber("--random-cuts", { min: 1, max: 1e6 }),
    )
    .option("--policy <file>", "what must hold for exit status 0 (YAML, must-hold: a list)")
    .option("--report <file>", "write a report: .html, .xml (JUnit) or .json; several times", several)
    .option("--compare <file>", "an earlier .json report: say what got worse")
    .option("--list", "show all cases")
    .option("--restore", "put back the boards that an interrupted run has left")
    .option("--import-hardware-map <file>", "print a bench file made from twister's hardware map")
    .addHelpText(
      "after",
      "\nExit status 0 only if everything asked for holds. Without --policy: every claim that was tried.",
    )
    .action((options: ProveOptions) => inContext(options, (context) => act(options, context)));
}

async function act(options: ProveOptions, context: Context): Promise<void> {
  const suite = await loadSuite();
  if (options.list) return list(suite, context);
  if (options.restore) return restore(suite, context);
  if (options.importHardwareMap !== undefined) {
    const bench = suite.benchFromHardwareMap(options.importHardwareMap);
    return context.out.result({ bench }, bench.trimEnd());
  }
  return prove(suite, options, context);
}

/** Built beside this program; its path is put together so that neither build has to know the other's files. */
async function loadSuite(): Promise<Suite> {
  return (await import(new URL("../../hil/index.js", import.meta.url).href)) as Suite;
}

/** Ways a run can end that are no success. */
export class ProofError extends BootproofError {
  declare readonly code: "claim-broken" | "claim-open" | "not-put-back";
}

const ENDINGS = {
  "does-not-hold": [
    "claim-broken",
    "Something that was asked for does not hold; the report says what was seen.",
  ],
  "not-judged": ["claim-open", "Something that was asked for could not be judged, which is not a pass."],
  "not-put-back": ["not-put-back", "A board does not run its own image again."],
} as const;

async function prove(suite: Suite, options: ProveOptions, { out, signal }: Context): Promise<void> {
  const { board, case: cases, claim, report, device = process.env.BOOTPROOF_DEVICE, ...rest } = options;
  const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"));
  const outcome = await suite.runProof(
    {
      ...rest,
      ...(options.bench === undefined ? { device } : {}),
      boards: board,
      cases,
      claims: claim,
      reports: report,
    },
    { version, signal, note: out.note, progress: out.progress },
  );
  out.result(outcome.report, outcome.text);
  if (outcome.ending === "interrupted") signal.throwIfAborted();
  if (outcome.ending === "passed" || outcome.ending === "interrupted") return;
  const [code, says] = ENDINGS[outcome.ending];
  throw new ProofError(code, says, {
    hint: code === "not-put-back" ? "Run bootproof prove --restore, or use serial recovery." : undefined,
  });
}

function list(suite: Suite, { out }: Context): void {
  const cases = suite.listCases();
  const rows = cases.map(({ id, says, risk, quick }) => [id, quick ? "yes" : "", risk, says]);
  out.result(cases, table(["CASE", "QUICK", "AT RISK", "WHAT IS ASKED"], rows));
}

async function restore(suite: Suite, { out, signal }: Context): Promise<void> {
  const results = await suite.restoreAll(signal);
  const lines = results.map(({ board, ok, says }) => `${board}: ${ok ? "" : "NOT PUT BACK: "}${says}`);
  out.result(results, lines.length > 0 ? lines.join("\n") : "No interrupted run has left a board behind.");
  if (results.some(({ ok }) => !ok))
    throw new ProofError("not-put-back", "A board does not run its own image again.", {
      hint: "Look at its log, or use serial recovery.",
    });
}
