import type { Command } from "commander";
import type { FlashOptions } from "../../update/flash.js";
import { PREFLIGHT_CHECKS, type PreflightCheckName } from "../../update/preflight-check.js";
import { type AttestOptions, attestOptions } from "../audit/attest-signer.js";
import { type BoardOptions, boardOptions } from "../board-options.js";
import { wholeNumber } from "../context.js";
import { type DecryptionKeyOptions, decryptionKeyOptions } from "../decryption-key.js";
import { type BoardsOptions, severalBoardsOptions } from "../many-boards/choose-boards.js";
import { type PolicyOptions, policyOptions } from "../policy/policy-options.js";
import { several } from "../several.js";
import { type SourceOptions, sourceOptions } from "../source-options.js";
import { type TrailerOptions, trailerOptions } from "../trailer-options.js";
import { type TrialOptions, trialOf, updateOptions } from "../update-options.js";
import { UsageError } from "../usage-error.js";

export interface FlashCommandOptions
  extends Omit<BoardOptions, "device">,
    BoardsOptions,
    SourceOptions,
    DecryptionKeyOptions,
    TrailerOptions,
    PolicyOptions,
    AttestOptions,
    TrialOptions {
  known?: string[];
  image?: number;
  confirm: boolean;
  preflight: boolean;
  skip?: string[];
  settle?: boolean;
  dryRun?: boolean;
  recovery?: boolean;
  compress?: boolean;
  together?: boolean;
  each?: boolean;
  count?: number;
  isolate?: string[];
  logProof?: string;
}

const withImageOptions = (command: Command) =>
  trailerOptions(
    decryptionKeyOptions(sourceOptions(command)),
    "kind of trailer: test, confirmed or none (default: as the board's mode needs)",
  );

/** The options of an update of boards, for every verb that makes one. */
export function flashOptions(command: Command): Command {
  const common = policyOptions(severalBoardsOptions(boardOptions(withImageOptions(command), several)));
  return attestOptions(updateOptions(common), "this update")
    .option(
      "--known <image>",
      "an image file that may be on the board, to name its security counter (repeatable)",
      several,
    )
    .option("--image <number>", "which image number (pair of slots)", wholeNumber("--image", { max: 255 }))
    .option(
      "--compress",
      "send it compressed, for a bootloader that decompresses it; --key must name the private key that signed it",
    )
    .option("--together", "confirm on all boards only if all of them passed; otherwise revert all of them")
    .option(
      "--isolate <board>",
      "with --together: continue without this board if it does not pass (repeatable)",
      several,
    )
    .option(
      "--each",
      "one board after the other: wait until one is plugged in, update it, wait until it is unplugged",
    )
    .option(
      "--count <number>",
      "with --each: stop after this many boards",
      wholeNumber("--count", { min: 1, max: 1e6 }),
    )
    .option("--no-confirm", "leave the image on trial: the next reset reverts it")
    .option("--dry-run", "stop after the preflight; nothing is sent")
    .option("--recovery", "if the board is in serial recovery, write its primary slot directly")
    .option("--log-proof <file>", "write the proof that this update is in the audit log (NAME.tlog-proof)");
}

export function isSignatureSkipped(skip: FlashOptions["skip"]): boolean {
  return skip === "all" || (skip?.includes("signature") ?? false);
}

/** What of the command line is about the update itself. */
export function workflowOptions(options: FlashCommandOptions): FlashOptions {
  return {
    imageNumber: options.image,
    skip: options.preflight ? checkNames(options.skip ?? []) : "all",
    throughRecovery: options.recovery,
    dryRun: options.dryRun,
    confirm: options.confirm,
    settle: options.settle,
    trailer: options.trailer,
    erasedValue: options.erased,
    ...trialOf(options),
  };
}

function checkNames(texts: readonly string[]): PreflightCheckName[] {
  return texts
    .flatMap((text) => text.split(","))
    .map((name) => {
      const known = PREFLIGHT_CHECKS.find((check) => check === name);
      if (known === undefined)
        throw new UsageError(
          `The preflight has no check "${name}".`,
          `Its checks: ${PREFLIGHT_CHECKS.join(", ")}.`,
        );
      return known;
    });
}
