import { setTimeout as delay } from "node:timers/promises";
import { type Command, Option } from "commander";
import { boardOptions } from "../board-options.js";
import { type Context, inContext, readKeys, wholeNumber } from "../context.js";
import { errorJson } from "../error-json.js";
import { readInput } from "../files.js";
import { keyFiles } from "../key-files.js";
import {
  type BoardsOptions,
  type ChosenBoard,
  chooseBoards,
  severalBoardsOptions,
} from "../many-boards/choose-boards.js";
import { printable } from "../output.js";
import { choosePolicy, type PolicyOptions, policyOptions } from "../policy/policy-options.js";
import { several } from "../several.js";
import { sourceOptions } from "../source-options.js";
import { keyOption, type TrialOptions, trialOf, trialOptions } from "../update-options.js";
import { UsageError } from "../usage-error.js";
import { type MenderAgentOptions, menderRound, type RoundResult, type RoundSetup } from "./mender-round.js";
import { DEVICE_KEY_TYPES } from "./mender-state.js";

interface Options extends MenderAgentOptions, BoardsOptions, PolicyOptions, TrialOptions {
  readonly tenantToken?: string;
  readonly poll: number;
  readonly once?: boolean;
}

export function defineMenderAgent(command: Command): void {
  const agent = command
    .command("mender")
    .description("update boards from a Mender server: poll, install, report");
  trialOptions(keyOption(policyOptions(severalBoardsOptions(boardOptions(sourceOptions(agent), several)))))
    .requiredOption("--server <url>", "address of the Mender server")
    .option("--tenant-token <file>", "a file that holds the tenant's token, for servers with several tenants")
    .addOption(
      new Option("--device-key-type <type>", "type of the key that is made for a board at its first start")
        .choices(DEVICE_KEY_TYPES)
        .default("ed25519"),
    )
    .option("--id-by-name", "use a board's name as its identity if it reports none of its own")
    .option("--image <number>", "which image number (pair of slots)", wholeNumber("--image", { max: 255 }))
    .option(
      "--poll <s>",
      "seconds between two polls of the server",
      wholeNumber("--poll", { min: 1, max: 604_800 }),
      1800,
    )
    .option("--once", "poll once, do what is due, and exit")
    .addHelpText("after", "\nSee bootproof help mender.")
    .action((options: Options) => inContext(options, (context) => menderAgent(options, context)));
}

async function menderAgent(options: Options, context: Context): Promise<void> {
  const { config, out, signal } = context;
  if (options.deviceType === undefined)
    throw new UsageError("The boards' device type is missing.", "Give it with --device-type TYPE.");
  const setup: RoundSetup = {
    options,
    keys: await readKeys(keyFiles(options.key, context), out),
    policy: await choosePolicy(options, config),
    flash: trialOf(options),
    connection: { ca: (options.ca ?? []).map((file) => new TextDecoder().decode(readInput(file))) },
    tenantToken: options.tenantToken && new TextDecoder().decode(readInput(options.tenantToken)).trim(),
  };
  const boards = await chooseBoards(options, context);
  for (;;) {
    const results = await Promise.all(boards.map((board) => roundOf(board, setup, context)));
    if (options.once) return finish(results);
    await delay(options.poll * 1000, undefined, { signal });
  }
}

/** One board's trouble never stops the others. */
async function roundOf(board: ChosenBoard, setup: RoundSetup, context: Context): Promise<RoundResult> {
  const { out, signal } = context;
  try {
    const result = await menderRound(board, setup, context);
    out.line(result, `${printable(board.name)}  ${result.outcome}  ${printable(result.message)}`);
    return result;
  } catch (error) {
    signal.throwIfAborted();
    const message = error instanceof Error ? error.message : String(error);
    const result = { board: board.name, outcome: "pending" as const, message };
    out.line({ ...result, ...errorJson(error) }, `${printable(board.name)}  failed  ${printable(message)}`);
    return result;
  }
}

const GOOD: readonly RoundResult["outcome"][] = ["nothing", "success"];

function finish(results: readonly RoundResult[]): void {
  const good = results.filter(({ outcome }) => GOOD.includes(outcome)).length;
  if (good < results.length) process.exitCode = good > 0 ? 60 : 61;
}
