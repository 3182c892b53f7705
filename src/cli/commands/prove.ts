import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import type { ProofReport } from "bootproof/prove";
import type { Command } from "commander";
import { BootproofError } from "../../errors.js";
import { upgradeModeOfNumber } from "../../mcuboot/upgrade-modes.js";
import { parseAddress } from "../../transport/parse-address.js";
import { type Finding, refuses } from "../../trust/policy.js";
import { PolicyError } from "../../trust/policy-error.js";
import type { BoardIdentity } from "../../trust/ratchet.js";
import { mustNameEachBoard, statementFile } from "../audit/attest-files.js";
import { attestProof } from "../audit/attest-proof.js";
import { type AttestOptions, attestOptions, attestSigner } from "../audit/attest-signer.js";
import { recorder } from "../audit/recorder.js";
import { withPlaces } from "../labgrid/with-places.js";
import {
  type BoardsOptions,
  meansPlaces,
  mustNameOneWay,
  placeOptions,
} from "../many-boards/choose-boards.js";
import { type AttestEach, addressOf, proveBoards, withoutEvidence } from "../many-boards/prove-boards.js";
import { identityAt } from "../open-board.js";
import { printable, prose, table } from "../output.js";
import { judge } from "../policy/policy-judge.js";
import { choosePolicy } from "../policy/policy-options.js";
import { ProofError } from "../proof-error.js";
import { several } from "../several.js";
import type { ChosenSigner } from "../signing/choose.js";
import { type CommonOptions, type Context, commonOptions, inContext, wholeNumber } from "../verb-context.js";
import { version } from "../version.js";

/** The proof suite: loaded when it is needed, because it is as large as the rest of the program. */
type Suite = typeof import("bootproof/prove");

interface ProveOptions extends CommonOptions, BoardsOptions, AttestOptions {
  bootloader?: string;
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
  by?: string;
  explain?: string;
  saveImages?: string;
  list?: boolean;
  restore?: boolean;
  importHardwareMap?: string;
  exportHardwareMap?: string;
}

export function define(command: Command): void {
  placeOptions(attestOptions(commonOptions(command), "what was proven"))
    .option(
      "--bootloader <file>",
      "the bootloader build that is on the boards; report and statement name it by digest",
    )
    .option("--by <name>", "the operator, for the report (default: the user of this machine)")
    .option(
      "-d, --device <address>",
      "a board: an address; wasm:VARIANT and qemu:VARIANT are emulated ones (several: bootproof help many-boards)",
      several,
    )
    .option("--all", "every board of the config file; without one, every board that is plugged in")
    .option("--boards <file>", "the boards of a board file (bootproof help prove)")
    .option("--board <name>", "only this board of the board file (repeatable)", several)
    .option(
      "--tag <tag>",
      "only boards of the board file with this tag; without a file, KEY=VALUE of a place of labgrid (repeatable)",
      several,
    )
    .option(
      "--image <file>",
      "the image that the board runs: bad images are made from it, and it is put back at the end",
    )
    .option("--key <file>", "private key that signs for this board; without it only damaged images are tried")
    .option("--quick", "run only the most telling cases")
    .option(
      "--case <id>",
      "only this case, or all of a kind: authenticity, power-cut, ... (repeatable)",
      several,
    )
    .option("--claim <name>", "only cases of this claim (repeatable)", several)
    .option("--allow-destructive", "also run cases after which the board may not recover")
    .option("--through <way>", "deliver images by smp or programmer")
    .option("--seed <number>", "repeat the random choices of an earlier run", wholeNumber("--seed"))
    .option(
      "--cuts <number>",
      "power cuts per scenario, spread evenly over its flash operations; a large number cuts at every one",
      wholeNumber("--cuts", { min: 1, max: 1e6 }),
    )
    .option(
      "--random-cuts <number>",
      "power cuts at random",
      wholeNumber("--random-cuts", { min: 1, max: 1e6 }),
    )
    .option("--policy <file>", "what must hold for exit status 0 (YAML, must-hold: a list)")
    .option("--report <file>", "write a report: .html, .xml (JUnit) or .json (repeatable)", several)
    .option("--compare <file>", "an earlier .json report: show what changed since")
    .option(
      "--explain <case>",
      "run only this case and show every step: the bytes, what the board did, how to repeat it with other tools",
    )
    .option("--save-images <folder>", "write the images that are sent to the boards to this folder")
    .option("--list", "show all cases; with --boards FILE: the boards of the file")
    .option("--restore", "restore the boards of runs that were killed")
    .option("--import-hardware-map <file>", "print a board file made from twister's hardware map")
    .option("--export-hardware-map <file>", "print twister's hardware map of a board file")
    .addHelpText(
      "after",
      "\nExit status 0 only if everything asked for holds. Without --policy: every claim that was tried.",
    )
    .action((options: ProveOptions) => inContext(options, (context) => act(options, context)));
}

async function act(options: ProveOptions, context: Context): Promise<void> {
  const suite = await import("bootproof/prove");
  if (options.list && options.boards !== undefined) return listBoards(suite, options.boards, context);
  if (options.list) return list(suite, context);
  if (options.restore) return restore(suite, context);
  if (options.importHardwareMap !== undefined) {
    const boardFile = suite.boardFileFromHardwareMap(options.importHardwareMap);
    return context.out.result({ boardFile }, boardFile.trimEnd());
  }
  if (options.exportHardwareMap !== undefined) {
    const map = suite.hardwareMapFromBoardFile(options.exportHardwareMap);
    return context.out.result({ map }, map.trimEnd());
  }
  return prove(suite, options, context);
}

function listBoards(suite: Suite, file: string, { out }: Context): void {
  const boards = suite.boardAddresses(file).map(({ power: _switch, ...board }) => board);
  const rows = boards.map(({ name, tags, address = "-" }) => [name, tags.join(" "), printable(address)]);
  out.result(boards, table(["BOARD", "TAGS", "ADDRESS"], rows));
}

const ENDINGS = {
  "claim-broken": "A claim does not hold; the report shows what was seen.",
  "claim-open": "A claim could not be judged, which is not a pass.",
  "not-put-back": "A board does not run its own image again.",
} as const;

async function prove(suite: Suite, options: ProveOptions, context: Context): Promise<void> {
  const { out, signal } = context;
  const { device: devices = [], all, boards, board = [], tag } = options;
  const attesting = await attestSigner(options, signal);
  // One board that is named by itself has its whole report as the result.
  const isOneOfFile = boards !== undefined && board.length === 1 && tag === undefined;
  if (meansPlaces(options))
    return withPlaces(options, context, (own) =>
      proveBoards(suite, own, context, attestEach(own, attesting)),
    );
  if (devices.length > 1 || all || tag !== undefined || (boards !== undefined && !isOneOfFile))
    return proveBoards(suite, options, context, attestEach(options, attesting));
  mustNameOneWay(options);
  const {
    boards: boardFile,
    board: _one,
    case: cases,
    claim,
    report,
    device: _named,
    bootloader,
    ...rest
  } = options;
  const named = devices[0] ?? process.env.BOOTPROOF_DEVICE;
  const device = named === undefined || boardFile !== undefined ? undefined : await addressOf(named, context);
  const draw = suite.proofInWords(out);
  const outcome = await suite.runProof(
    {
      ...rest,
      ...(boardFile === undefined ? { device } : { boardFile, boards: board }),
      cases,
      claims: claim,
      reports: report,
      bootloader,
    },
    {
      version: version(),
      ranBy: options.by ?? whoRuns(),
      signal,
      note: out.note,
      progress: out.progress,
      onEvent(event) {
        out.event(withoutEvidence(event));
        draw(event);
      },
    },
  );
  const identityHere = device === undefined ? undefined : await identityOfAddress(device, context);
  recordProof(outcome.report, identityHere);
  if (attesting) {
    await attestProof(options.attest!, attesting, outcome.report, { identity: identityHere, bootloader });
    attesting.close();
  }
  out.result(outcome.report, prose(outcome.text));
  if (outcome.ending === "interrupted") signal.throwIfAborted();
  if (outcome.ending === "interrupted") return;
  const refused = await brokenRule(options, outcome.report, identityHere, context);
  if (outcome.ending === "passed") {
    const [unwritten] = outcome.unwritten;
    if (refused === undefined && unwritten === undefined) return;
    if (refused === undefined) throw unwritten;
    throw new PolicyError(
      "policy-refused",
      `The policy's rule "${refused.rule}" is broken: ${refused.message}`,
      {
        hint: "bootproof policy show explains the rules.",
      },
    );
  }
  const code = outcome.ending;
  throw new ProofError(code, ENDINGS[code], {
    hint: code === "not-put-back" ? "Run bootproof prove --restore, or use serial recovery." : undefined,
  });
}

/** The user of this machine; undefined where it has no name for it, as in some containers. */
function whoRuns(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    // No entry for this user id: the report then names nobody.
    return undefined;
  }
}

/** What a policy with levels and rules says of the board that was proven; told on stderr. */
async function brokenRule(
  { policy }: ProveOptions,
  { boards }: ProofReport,
  identity: BoardIdentity | undefined,
  { out, config }: Context,
): Promise<Finding | undefined> {
  const file = policy ?? (process.env.BOOTPROOF_POLICY || undefined) ?? config.policy;
  const [board] = boards;
  // A file of nothing but must-hold has no rules.
  if (file === undefined || board?.initial === undefined || !/^level:/m.test(readFileSync(file, "utf8")))
    return undefined;
  const chosen = await choosePolicy({ policy: file }, config);
  const { trustedKeys, modeNumber } = board.initial;
  const about = {
    ...(identity?.id === undefined
      ? { noIdentityBecause: identity?.reason ?? "this ran several boards." }
      : { identity: identity.id }),
    ...(trustedKeys && { trustedKeys }),
    ...(modeNumber === undefined ? {} : { canRevert: upgradeModeOfNumber(modeNumber)?.reverts ?? true }),
  };
  const { findings } = judge(chosen!, "prove", { board: about });
  for (const { rule, result, message } of findings)
    if (result !== "pass") out.note(`policy/${rule}: ${message}`);
  return findings.find(refuses(chosen!.policy));
}

/** Writes a statement for each board of several. */
function attestEach(
  { attest, bootloader }: ProveOptions,
  attesting: ChosenSigner | undefined,
): AttestEach | undefined {
  if (attesting === undefined) return undefined;
  mustNameEachBoard(attest!);
  return async (report, identityOf) => {
    try {
      for (const board of report.boards) {
        const identity = await identityOf(board.board);
        const file = statementFile(attest!, identity?.id ?? board.board);
        await attestProof(file, attesting, { ...report, boards: [board] }, { identity, bootloader });
      }
    } finally {
      attesting.close();
    }
  };
}

/** Undefined for what cannot be asked any more: a device that went away, a name that is none here. */
async function identityOfAddress(device: string, context: Context): Promise<BoardIdentity | undefined> {
  try {
    return await identityAt(parseAddress(device), context);
  } catch (error) {
    if (error instanceof BootproofError) return undefined;
    throw error;
  }
}

/** Each claim of each board, as the audit log keeps it. */
function recordProof({ boards }: ProofReport, identity: BoardIdentity | undefined): void {
  const id = boards.length === 1 ? identity?.id : undefined;
  for (const { board, claims, image } of boards)
    for (const { claim, verdict } of claims)
      recorder()?.record({
        type: "prove.result",
        board: { ...(id !== undefined && { id }), address: board },
        ...(image && { image: { hash: image.imageHash, version: image.version } }),
        rule: claim,
        ...(verdict === "holds" ? { result: "ok" } : verdict === "does-not-hold" ? { result: "failed" } : {}),
        detail: { verdict },
      });
}

function list(suite: Suite, { out }: Context): void {
  const cases = suite.listCases();
  const rows = cases.map(({ id, message, risk, quick }) => [id, quick ? "yes" : "", risk, message]);
  out.result(cases, table(["CASE", "QUICK", "AT RISK", "WHAT IS ASKED"], rows));
}

async function restore(suite: Suite, { out, signal }: Context): Promise<void> {
  const results = await suite.restoreAll(signal);
  const lines = results.map(({ board, ok, message }) => `${board}: ${ok ? "" : "NOT PUT BACK: "}${message}`);
  out.result(results, lines.length > 0 ? lines.join("\n") : "No interrupted run has to be restored.");
  if (results.some(({ ok }) => !ok))
    throw new ProofError("not-put-back", "A board does not run its own image again.", {
      hint: "Look at its log, or use serial recovery.",
    });
}
