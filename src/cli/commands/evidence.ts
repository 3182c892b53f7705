import type { Command } from "commander";
import { boardOptions } from "../board-options.js";
import type { EvidenceOptions } from "../evidence/make.js";
import { several } from "../several.js";
import { signerOptions } from "../signing/options.js";
import { inContext } from "../verb-context.js";

export function define(command: Command): void {
  const make = command
    .command("make <folder>")
    .description(
      "collect what an auditor asks for in one signed folder, which can be checked without this program",
    );
  signerOptions(boardOptions(make))
    .option("--about <text>", "name of the unit or release, for the reader")
    .option("--image <file>", "the image that was released or flashed")
    .option(
      "--statement <file>",
      "a signed statement: flash --attest, prove --attest, provenance (repeatable)",
      several,
    )
    .option(
      "--trusted-key <file>",
      "a public key that signed one of them (repeatable); it goes into the pack",
      several,
    )
    .option("--report <file>", "a report of prove (repeatable)", several)
    .option("--sbom <file>", "the software bill of materials: CycloneDX or SPDX, as JSON")
    .option("--policy-file <file>", "the policy that was in force")
    .option("--log-proof <file>", "a proof from the audit log (repeatable)", several)
    .option("--log-key <text>", "that log's verifier key (default: this user's log)")
    .action((folder: string, options: EvidenceOptions) =>
      inContext(options, async (context) => {
        const { makeEvidence } = await import("../evidence/make.js");
        await makeEvidence(folder, options, context);
      }),
    );
}
