import { createHash } from "node:crypto";
import type { Command } from "commander";
import { toHex } from "../../bytes.js";
import { EnvelopeError, openEnvelope, parseEnvelope } from "../../trust/dsse.js";
import { IN_TOTO, names, parseStatement } from "../../trust/statement.js";
import { type CommonOptions, commonOptions, inContext, readKeys, several } from "../context.js";
import { readInput } from "../files.js";
import { printable } from "../output.js";

interface VerifyOptions extends CommonOptions {
  key: string[];
  subject?: string;
  type?: string;
}

export function define(command: Command): void {
  commonOptions(
    command
      .command("verify <file>")
      .description("check a signed in-toto statement (DSSE), and what it is about"),
  )
    .requiredOption("--key <file>", "a public key that may have signed it (repeatable)", several)
    .option("--subject <file>", "the file that it must be about, by SHA-256")
    .option("--type <uri>", "the predicate type that it must have")
    .action((file: string, options: VerifyOptions) =>
      inContext(options, async ({ out }) => {
        const keys = await readKeys(options.key, out);
        const envelope = parseEnvelope(new TextDecoder().decode(readInput(file)));
        const { payload, signedBy } = await openEnvelope(envelope, { keys, payloadType: IN_TOTO });
        const statement = parseStatement(payload);
        if (options.type !== undefined && statement.predicateType !== options.type)
          throw new EnvelopeError(
            "wrong-content",
            `${file} is a statement of type ${statement.predicateType.slice(0, 200)}; expected ${options.type}.`,
          );
        if (options.subject !== undefined) {
          const sha256 = createHash("sha256").update(readInput(options.subject)).digest("hex");
          if (!names(statement, sha256))
            throw new EnvelopeError(
              "wrong-content",
              `${file} is not about ${options.subject}: none of its subjects has SHA-256 ${sha256}.`,
            );
        }
        const signers = signedBy.map((key) => ({ type: key.type, hash: toHex(key.keyHash) }));
        const about = statement.subject.map(({ name, digest }) => `${name ?? "-"} ${digest.sha256 ?? ""}`);
        out.result(
          { file, signedBy: signers, statement },
          [
            `good: signed by ${signers.map(({ type, hash }) => `${type} key ${hash.slice(0, 16)}`).join(", ")}`,
            `type  ${printable(statement.predicateType)}`,
            ...about.map((line) => `about ${printable(line)}`),
          ].join("\n"),
        );
      }),
    );
}
