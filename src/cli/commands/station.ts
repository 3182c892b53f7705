import type { Command } from "commander";
import { policyOptions } from "../policy/policy-options.js";
import { several } from "../several.js";
import type { StationOptions } from "../station/options.js";
import { commonOptions, inContext, wholeNumber } from "../verb-context.js";

/** "Station" on a telephone's keys begins so. */
const PORT = 7828;

export function define(command: Command): void {
  policyOptions(commonOptions(command))
    .option(
      "-d, --device <address>",
      "a board of the bench (repeatable; default: those of the config file)",
      several,
    )
    .option("--boards <file>", "the boards of a board file (bootproof help many-boards)")
    .option("--no-plugged", "do not show boards that are plugged in but not named")
    .option("--no-look", "do not open boards before there is a job for them")
    .option(
      "--key <file>",
      "a public key that must have signed images (repeatable; default: the config file's)",
      several,
    )
    .option("--update <file>", "an update to offer (repeatable; others can be uploaded in the page)", several)
    .option(
      "--soak <ms>",
      "how long an image must run before it is confirmed",
      wholeNumber("--soak", { max: 3_600_000 }),
    )
    .option(
      "--wait <ms>",
      "how long a board may stay silent",
      wholeNumber("--wait", { min: 1000, max: 3_600_000 }),
    )
    .option(
      "--timeout <ms>",
      "how long to wait for each answer",
      wholeNumber("--timeout", { min: 1, max: 3_600_000 }),
    )
    .option("--port <number>", "0 chooses a free one", wholeNumber("--port", { max: 65535 }), PORT)
    .option(
      "--listen <host>",
      "an address of this machine; beyond 127.0.0.1 with TLS and a token only",
      "127.0.0.1",
    )
    .option("--host-name <name>", "another host name by which browsers may reach it (repeatable)", several)
    .option("--token-file <file>", "a file with the token that signs in (or BOOTPROOF_TOKEN)")
    .option("--viewer-token-file <file>", "a file with the token of viewers, who can change nothing")
    .option("--read-only", "nobody can change anything")
    .option("--cert <file>", "certificate in PEM (default with --listen: one of its own)")
    .option("--tls-key <file>", "its private key")
    .option("--title <text>", "title of the page")
    .action((options: StationOptions) =>
      inContext(options, async (context) => {
        // It brings the server and all verbs' work: loaded when it is wanted.
        const { runStation } = await import("../station/run-station.js");
        await runStation(options, context);
      }),
    );
}
