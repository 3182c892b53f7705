import type { Command } from "commander";
import { verifyImage } from "../../image/verify.js";
import { type CommonOptions, commonOptions, inContext, readKeys, several, wholeNumber } from "../context.js";
import { readInput } from "../files.js";
import { printable, tone } from "../output.js";

interface VerifyOptions extends CommonOptions {
  key?: string[];
  slotSize?: number;
  counter?: number;
  strict?: boolean;
}

const MARKS = {
  pass: tone("good", "pass"),
  fail: tone("bad", "FAIL"),
  "not-checked": tone("dim", " -  "),
} as const;

const SAYS = {
  good: "good: a trusted key signed this image and nothing is wrong with it",
  "signature-not-checked":
    "signature not checked: nothing is wrong with the image, but no key says whose it is",
  bad: "bad: a bootloader with these keys will not start this image",
} as const;

export function define(command: Command): void {
  commonOptions(command.argument("<image>", "an MCUboot image"))
    .option("--key <file>", "a public key to trust (repeatable; default: the config file's)", several)
    .option("--slot-size <bytes>", "check that it fits a slot of this size", wholeNumber("--slot-size"))
    .option(
      "--stored-counter <number>",
      "check against a board's stored security counter",
      wholeNumber("--stored-counter"),
    )
    .option("--strict", "an unchecked signature is a failure")
    .action((file: string, options: VerifyOptions & { storedCounter?: number }) =>
      inContext(options, async ({ out, config }) => {
        const keys = await readKeys([...(options.key ?? []), ...config.keys]);
        const { slotSize, storedCounter } = options;
        const verdict = await verifyImage(readInput(file), {
          ...(keys.length > 0 ? { keys } : {}),
          ...(slotSize === undefined ? {} : { slotSize }),
          ...(storedCounter === undefined ? {} : { storedCounter }),
        });
        const { result, checks, warnings } = verdict;
        const lines = [
          ...checks.map(
            (check) => `${MARKS[check.result]}  ${check.name.padEnd(16)} ${printable(check.sentence)}`,
          ),
          ...warnings.map((warning) => `${tone("warn", "note")}  ${printable(warning)}`),
          tone(result === "good" ? "good" : result === "bad" ? "bad" : "warn", SAYS[result]),
        ];
        out.result({ file, result, checks, warnings }, lines.join("\n"));
        if (result === "bad" || (options.strict && result !== "good")) process.exitCode = 6;
      }),
    );
}
