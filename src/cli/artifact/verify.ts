import { parseVerificationKey, type VerificationKey } from "../../crypto/verification-key.js";
import { type ArtifactCheck, type ArtifactVerdict, verifyArtifact } from "../../mender/verify.js";
import type { AddVerb } from "../add-verb.js";
import { readAs } from "../files.js";
import { printable, tone } from "../output.js";
import { several } from "../several.js";
import { UsageError } from "../usage-error.js";
import { type CommonOptions, inContext } from "../verb-context.js";
import { artifactIn, describeArtifact, drawArtifact } from "./read.js";

interface VerifyOptions extends CommonOptions {
  key?: string[];
  deviceType?: string;
  provides?: string[];
  strict?: boolean;
}

const SUMMARY: Readonly<Record<ArtifactVerdict["result"], string>> = {
  good: "good: a trusted key signed this artifact and nothing is wrong with it",
  "signature-not-checked":
    "signature not checked: nothing is wrong with the artifact, but no key was given to check its signature",
  bad: "bad: do not install this artifact",
};

const MARKS: Readonly<Record<ArtifactCheck["result"], string>> = {
  pass: tone("good", "pass"),
  fail: tone("bad", "FAIL"),
  warn: tone("warn", "note"),
  "not-checked": tone("dim", " -  "),
};

export function defineVerify(verb: AddVerb): void {
  verb("verify <artifact>", "check who signed an artifact, and whether it is for a device")
    .option("--key <file>", "a public key that may have signed it: RSA or P-256 (repeatable)", several)
    .option("--device-type <type>", "the device's type")
    .option("--provides <key=value>", "what is installed on the device (repeatable)", several)
    .option("--strict", "an unchecked signature is a failure")
    .action((file: string, options: VerifyOptions) =>
      inContext(options, async ({ out }) => {
        const keys = await artifactKeys(options.key ?? []);
        const artifact = await artifactIn(file);
        const { deviceType, provides } = options;
        const { result, checks, signedBy } = await verifyArtifact(artifact, {
          keys,
          ...(deviceType !== undefined && { deviceType }),
          ...(provides && {
            provides: Object.fromEntries(provides.map((pair) => keyValue("--provides", pair))),
          }),
        });
        out.result(
          {
            ...describeArtifact(file, artifact),
            result,
            checks,
            ...(signedBy && { signedBy: { type: signedBy.type, fingerprint: signedBy.fingerprint } }),
          },
          [drawArtifact(file, artifact), "", drawChecks(checks), SUMMARY[result]].join("\n"),
        );
        if (result === "bad" || (options.strict && result !== "good")) process.exitCode = 6;
      }),
    );
}

/** Public keys of whoever signs artifacts. Throws `FileError`, `KeyError`. */
export function artifactKeys(files: readonly string[]): Promise<VerificationKey[]> {
  return Promise.all(files.map((file) => readAs(file, parseVerificationKey)));
}

/** A pair from the command line. Throws `UsageError`. */
export function keyValue(option: string, text: string): [key: string, value: string] {
  const at = text.indexOf("=");
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new UsageError(`${option} "${text}": write it as KEY=VALUE.`);
}

export function drawChecks(checks: readonly ArtifactCheck[]): string {
  return checks
    .map(({ name, result, message }) => `${MARKS[result]}  ${name.padEnd(12)} ${printable(message)}`)
    .join("\n");
}
