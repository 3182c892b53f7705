import type { AvbImage } from "../../avb/vbmeta.js";
import { type AvbCheck, type AvbVerdict, verifyAvb } from "../../avb/verify.js";
import { artifactKeys, keyValue } from "../artifact/verify.js";
import { readInput } from "../files.js";
import { type Output, printable, tone } from "../output.js";
import type { AvbVerifyOptions } from "./options.js";
import { describeAvb } from "./page.js";

const SUMMARY: Readonly<Record<AvbVerdict["result"], string>> = {
  good: "good: a given key signed this and nothing is wrong with it",
  "signature-not-checked": "signature not checked: nothing is wrong with it, but no given key verified it",
  bad: "bad: do not boot this",
};

const MARKS: Readonly<Record<AvbCheck["result"], string>> = {
  pass: tone("good", "pass"),
  fail: tone("bad", "FAIL"),
  warn: tone("warn", "note"),
  "not-checked": tone("dim", " -  "),
};

/** Judges Android boot metadata with the keys of the command line only: those of the config file sign MCUboot images. */
export async function verifyAvbFile(
  file: string,
  bytes: Uint8Array,
  image: AvbImage,
  options: AvbVerifyOptions,
  out: Output,
): Promise<void> {
  const { rollbackIndex, allowUnsigned, partition = [], strict } = options;
  const { result, checks } = await verifyAvb(image, {
    keys: await artifactKeys(options.key ?? []),
    ...(allowUnsigned && { allowUnsigned }),
    ...(rollbackIndex !== undefined && { storedRollbackIndex: rollbackIndex }),
    partitions: Object.fromEntries(
      partition.map((pair) => {
        const [name, path] = keyValue("--partition", pair);
        return [name, readInput(path)];
      }),
    ),
  });
  const lines = checks.map((one) => `${MARKS[one.result]}  ${one.name.padEnd(17)} ${printable(one.message)}`);
  out.result(
    { ...describeAvb(file, bytes, image), result, checks },
    [...lines, tone(result === "good" ? "good" : result === "bad" ? "bad" : "warn", SUMMARY[result])].join(
      "\n",
    ),
  );
  if (result === "bad" || (strict && result !== "good")) process.exitCode = 6;
}
