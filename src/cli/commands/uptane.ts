import type { Command } from "commander";
import { policyOptions } from "../policy/policy-options.js";
import { several } from "../several.js";
import { updateOptions } from "../update-options.js";
import type { EnrollOptions } from "../uptane/enroll.js";
import type { VehicleInstallOptions } from "../uptane/install.js";
import type { ManifestOptions } from "../uptane/manifest.js";
import type { VehicleReportOptions } from "../uptane/report.js";
import type { UptaneVerifyOptions } from "../uptane/verify.js";
import { commonOptions, inContext, wholeNumber } from "../verb-context.js";

export function define(command: Command): void {
  commonOptions(
    command
      .command("verify")
      .description("check both repositories, and show which image each ECU may install")
      .requiredOption("--director <place>", "the Director repository: an address or a folder")
      .option("--images <place>", "the Image repository; needed except with --partial")
      .requiredOption("--ecu <serial=hardware-id>", "an ECU of the vehicle (repeatable)", several)
      .option(
        "--installed <serial=counter>",
        "release counter of the image that an ECU runs (repeatable)",
        several,
      )
      .option("--vehicle <id>", "id of the vehicle")
      .option("--director-root <file>", "root to trust on first use")
      .option("--images-root <file>", "the same for the Image repository")
      .option("--partial", "check only the Director's root and targets, as small ECUs do"),
  ).action((options: UptaneVerifyOptions) =>
    inContext(options, async (context) => (await import("../uptane/verify.js")).verify(options, context)),
  );

  commonOptions(
    command
      .command("enroll <board-file>")
      .description("make the keys of a vehicle's ECUs, which this bench holds, and write their public halves")
      .requiredOption("-o, --output <file>", "the file for the Director")
      .option("--force", "replace the file if it exists"),
  ).action((file: string, options: EnrollOptions) =>
    inContext(options, async (context) =>
      (await import("../uptane/enroll.js")).enroll(file, options, context),
    ),
  );

  updateOptions(
    policyOptions(
      commonOptions(
        command
          .command("install <board-file>")
          .description(
            "install what Director and Image repository direct, on all boards of a vehicle together",
          ),
      ),
    ),
  )
    .option("--timeout <ms>", "how long to wait for each answer", wholeNumber("--timeout", { min: 1 }))
    .option("--manifest <file>", "write the vehicle version manifest afterwards")
    .option("--abandon", "abandon an installation that cannot be finished, and start over")
    .action((file: string, options: VehicleInstallOptions) =>
      inContext(options, async (context) =>
        (await import("../uptane/install.js")).install(file, options, context),
      ),
    );

  commonOptions(
    command
      .command("report <board-file>")
      .description("read the boards of a vehicle and write its version manifest")
      .requiredOption("-o, --output <file>", "the manifest")
      .option(
        "--wait <ms>",
        "how long a board may stay silent",
        wholeNumber("--wait", { min: 1000, max: 3_600_000 }),
      )
      .option("--timeout <ms>", "how long to wait for each answer", wholeNumber("--timeout", { min: 1 })),
  ).action((file: string, options: VehicleReportOptions) =>
    inContext(options, async (context) =>
      (await import("../uptane/report.js")).report(file, options, context),
    ),
  );

  commonOptions(
    command
      .command("manifest <file>")
      .description("check a version manifest as a Director does, and show what runs where")
      .requiredOption("--vehicle <file>", "the vehicle's enrolled keys, as uptane enroll wrote them")
      .option("--remember", "store the counters of the reports there, so that no report is accepted twice"),
  ).action((file: string, options: ManifestOptions) =>
    inContext(options, async (context) =>
      (await import("../uptane/manifest.js")).manifest(file, options, context),
    ),
  );
}
