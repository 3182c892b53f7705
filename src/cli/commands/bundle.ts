import type { Command } from "commander";
import type { BundleMakeOptions } from "../bundle/make.js";
import type { BundleTrustOptions } from "../bundle/open-bundle.js";
import type { BundleVerifyOptions } from "../bundle/verify.js";
import { type FlashCommandOptions, flashOptions } from "../flash/options.js";
import { several } from "../several.js";
import { signingOptions } from "../tuf/repository-verbs.js";
import { UsageError } from "../usage-error.js";
import { commonOptions, inContext, wholeNumber } from "../verb-context.js";
import { runFlash } from "./flash.js";

interface BundleFlashOptions extends FlashCommandOptions, BundleTrustOptions {
  hardware?: string;
}

export function define(command: Command): void {
  const verb = (signature: string, description: string) =>
    command.command(signature).description(description);

  signingOptions(commonOptions(verb("make <output>", "make a bundle: one file (.bundle, .tar) or a folder")))
    .requiredOption("--director <folder>", "the Director's repository, which tuf init --offline-key made")
    .requiredOption(
      "--images <place>",
      "the Image repository: a folder, or a TUF repository that is trusted here",
    )
    .requiredOption("--target <hardware-id=path>", "which image goes to which hardware (repeatable)", several)
    .option("--boards <file>", "every board of this board file that has an ecu must get an image")
    .option("--artifact <path>", "also include this target of the Image repository (repeatable)", several)
    .requiredOption("--name <name>", "name of the update; each new bundle of a name replaces the one before")
    .option(
      "--days <number>",
      "how long the bundle may be installed",
      wholeNumber("--days", { min: 1, max: 3650 }),
      30,
    )
    .option("--request <folder>", "write a request there for each file that still needs signatures")
    .option("--attach <file>", "add the signatures in this response (repeatable)", several)
    .option("--force", "replace existing files")
    .action((output: string, options: BundleMakeOptions) =>
      inContext(options, async (context) =>
        (await import("../bundle/make.js")).make(output, options, context),
      ),
    );

  trustOptions(commonOptions(verb("verify <bundle>", "check a whole bundle without a network")))
    .option("--boards <file>", "also use what the vehicle of this board file has seen")
    .option("--extract <folder>", "write the verified files to this folder")
    .action((bundle: string, options: BundleVerifyOptions) =>
      inContext(options, async (context) =>
        (await import("../bundle/verify.js")).verify(bundle, options, context),
      ),
    );

  trustOptions(flashOptions(verb("flash <bundle>", "check a bundle and update boards with its images")))
    .option(
      "--hardware <id>",
      "the hardware id of this kind of board in the update; without it, the boards of --boards, each by its ecu there",
    )
    .action((bundle: string, options: BundleFlashOptions) => {
      const { hardware, directorRoot, imagesRoot, images, update, ...rest } = options;
      const { boards } = options;
      const bundleTrust = { ...defined({ directorRoot, imagesRoot, images, update, boards }) };
      if (hardware !== undefined) return runFlash(`bundle:${bundle}#${hardware}`, { ...rest, bundleTrust });
      if (options.boards === undefined)
        throw new UsageError(
          "Which of the bundle's images is meant?",
          "Name the hardware with --hardware ID, or a board file with --boards FILE.",
        );
      return inContext(options, async (context) =>
        (await import("../bundle/flash-boards.js")).flashBoardsOfBundle(
          bundle,
          { ...rest, ...bundleTrust },
          context,
        ),
      );
    });
}

/** Without the fields that are undefined. */
function defined(fields: { [K in keyof BundleTrustOptions]: string | undefined }): BundleTrustOptions {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function trustOptions(command: Command): Command {
  return command
    .option("--director-root <file>", "root of the Director to trust on first use")
    .option("--images-root <file>", "the same for the Image repository")
    .option(
      "--images <repository>",
      "the Image repository is this TUF repository, whose state this host knows (bootproof tuf)",
    )
    .option("--update <name>", "which update, where the bundle holds several");
}
