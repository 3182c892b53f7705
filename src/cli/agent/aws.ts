import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { AwsThing } from "../../agents/aws-thing.js";
import { readCodeSigner } from "../../agents/code-signature.js";
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
import { keyOption, type TrialOptions, trialOf, trialOptions } from "../update-options.js";
import { UsageError } from "../usage-error.js";
import { connectThing } from "./aws-link.js";
import { type AwsAgentOptions, AwsRound, type AwsRoundResult, type AwsSetup } from "./aws-round.js";
import { AwsStateFolder } from "./aws-state.js";

interface Options extends AwsAgentOptions, BoardsOptions, PolicyOptions, TrialOptions {
  readonly port: number;
  readonly alpn?: boolean;
  readonly thing?: string;
  readonly cert: string;
  readonly certKey: string;
  readonly ca?: string[];
  readonly codeSigner?: string[];
  readonly poll: number;
  readonly once?: boolean;
}

export function defineAwsAgent(command: Command): void {
  const agent = command.command("aws").description("update boards as AWS IoT things: jobs, streams, reports");
  trialOptions(keyOption(policyOptions(severalBoardsOptions(boardOptions(agent, several)))))
    .requiredOption("--endpoint <host>", "the account's endpoint for device data")
    .option(
      "--port <number>",
      "8883, or 443 (MQTT by ALPN)",
      wholeNumber("--port", { min: 1, max: 65_535 }),
      8883,
    )
    .option("--alpn", "name MQTT in the TLS handshake (ALPN); port 443 always does")
    .requiredOption("--cert <file>", "certificate of the thing, or of this host for all its things (PEM)")
    .requiredOption("--cert-key <file>", "its private key (PEM)")
    .option("--thing <name>", "the thing's name (default: the board's name in the board file)")
    .option("--ca <file>", "CA certificate of the broker (repeatable; default: the system's)", several)
    .option("--url-ca <file>", "CA certificate of servers of HTTPS links (repeatable)", several)
    .option(
      "--code-signer <file>",
      "a certificate that may have signed files; jobs call it by its file name (repeatable)",
      several,
    )
    .option("--id-by-name", "use a board's name as its identity if it reports none of its own")
    .option("--image <number>", "which image number (pair of slots)", wholeNumber("--image", { max: 255 }))
    .option(
      "--block-size <bytes>",
      "size of a stream's blocks",
      wholeNumber("--block-size", { min: 256, max: 32_768 }),
      4096,
    )
    .option(
      "--step-timeout <minutes>",
      "the service gives up a job after this time without a report (default: by the file's size)",
      wholeNumber("--step-timeout", { min: 1, max: 10_080 }),
    )
    .option(
      "--poll <s>",
      "seconds between two checks where changes are not announced",
      wholeNumber("--poll", { min: 1, max: 86_400 }),
      900,
    )
    .option("--once", "check once, do what is due, and exit")
    .addHelpText("after", "\nSee bootproof help aws.")
    .action((options: Options) => inContext(options, (context) => awsAgent(options, context)));
}

async function awsAgent(options: Options, context: Context): Promise<void> {
  const { config, out } = context;
  const boards = await chooseBoards(options, context);
  if (options.thing !== undefined && boards.length > 1)
    throw new UsageError(
      "--thing names one board's thing.",
      "Several boards are things by their names in the board file.",
    );
  const setup: AwsSetup = {
    options,
    keys: await readKeys(keyFiles(options.key, context), out),
    signers: (options.codeSigner ?? []).map((file) => readCodeSigner(basename(file), readInput(file))),
    policy: await choosePolicy(options, config),
    flash: trialOf(options),
  };
  const results = await Promise.all(boards.map((board) => actFor(board, options, setup, context)));
  const good = results.filter(
    (result) => result && ["nothing", "left", "succeeded"].includes(result.outcome),
  ).length;
  if (good < results.length) process.exitCode = good > 0 ? 60 : 61;
}

/** One MQTT session a thing. One thing's trouble never stops the others. */
async function actFor(
  board: ChosenBoard,
  options: Options,
  setup: AwsSetup,
  context: Context,
): Promise<AwsRoundResult | undefined> {
  const { out, signal } = context;
  const name = options.thing ?? board.name;
  if (!/^[\w:-]{1,128}$/.test(name))
    throw new UsageError(
      `"${name}" is not a name of a thing.`,
      "Give it with --thing, or use it as the board's name in the board file.",
    );
  for (;;) {
    let result: AwsRoundResult | undefined;
    try {
      const { link, close } = await connectThing({
        endpoint: options.endpoint,
        port: options.port,
        alpn: options.alpn ?? options.port === 443,
        thing: name,
        certificate: readInput(options.cert),
        key: readInput(options.certKey),
        ca: (options.ca ?? []).map((file) => readInput(file)),
        signal,
      });
      try {
        const thing = new AwsThing(name, link, { signal });
        await thing.open();
        do {
          const announced = new Promise<void>((resolve) => {
            thing.onNext = resolve;
          });
          const folder = new AwsStateFolder(options.endpoint, name);
          result = await new AwsRound(thing, board, folder, setup, context).run();
          out.line(result, `${printable(name)}  ${result.outcome}  ${printable(result.message)}`);
          if (!options.once)
            await Promise.race([announced, delay(options.poll * 1000, undefined, { signal })]);
        } while (!options.once);
      } finally {
        await close();
      }
    } catch (error) {
      signal.throwIfAborted();
      const message = error instanceof Error ? error.message : String(error);
      out.line(
        { thing: name, outcome: "pending", message, ...errorJson(error) },
        `${printable(name)}  failed  ${printable(message)}`,
      );
    }
    if (options.once) return result;
    await delay(options.poll * 1000, undefined, { signal });
  }
}
