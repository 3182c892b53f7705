import type { Command } from "commander";
import { isAvb } from "../../avb/magic.js";
import { toHex } from "../../bytes.js";
import type { Key } from "../../crypto/keys.js";
import { short } from "../../mcuboot/checks.js";
import type { SlotGeometry } from "../../mcuboot/largest-image.js";
import type { SignatureTrial } from "../../mcuboot/signatures.js";
import { tlvName } from "../../mcuboot/tlv.js";
import { type UpgradeMode, upgradeMode } from "../../mcuboot/upgrade-modes.js";
import { type Verdict, type VerifyOptions, verifyImage } from "../../mcuboot/verify.js";
import type { Source } from "../../sources/source.js";
import { type AvbVerifyOptions, rollbackIndexOption } from "../avb/options.js";
import { type BootloaderOptions, bootloaderFacts, bootloaderOptions } from "../bootloader-options.js";
import { type DecryptionKeyOptions, decryptionKeyOptions, readDecryptionKey } from "../decryption-key.js";
import { readImageAs } from "../firmware-file.js";
import { type GeometryOptions, geometryOptions, slotGeometry, upgradeModeNamed } from "../geometry.js";
import { readContent } from "../image-input.js";
import { keyFiles } from "../key-files.js";
import { type Output, printable, prose, tone } from "../output.js";
import { warnIfPublished } from "../published-key.js";
import { passphraseHelp, readKey } from "../secrets.js";
import { several } from "../several.js";
import { mayBeContainer, SOURCE_HELP, type SourceOptions, sourceOptions } from "../source-options.js";
import { UsageError } from "../usage-error.js";
import { type CommonOptions, type Context, commonOptions, inContext } from "../verb-context.js";

interface VerifyCommandOptions
  extends CommonOptions,
    BootloaderOptions,
    DecryptionKeyOptions,
    GeometryOptions,
    AvbVerifyOptions,
    SourceOptions {
  key?: string[];
  tuf?: string;
  bootable?: boolean;
  strict?: boolean;
}

const MARKS = {
  pass: tone("good", "pass"),
  fail: tone("bad", "FAIL"),
  "not-checked": tone("dim", " -  "),
} as const;

const SAYS = {
  good: "good: a trusted key signed this image and nothing is wrong with it",
  "digest-not-checked":
    "signed: a trusted key signed the digest that this encrypted image states; whether its content has that digest is not known (--decrypt-key)",
  "signature-not-checked":
    "signature not checked: nothing is wrong with the image, but no key was given to check its signature",
  bad: "bad: a bootloader with these keys will not start this image",
} as const;

export function define(command: Command): void {
  bootloaderOptions(decryptionKeyOptions(sourceOptions(command)));
  geometryOptions(
    commonOptions(command.argument("<image>", `${SOURCE_HELP}; or Android boot metadata`)).option(
      "--key <file>",
      "a public key to trust (repeatable; default: the config file's)",
      several,
    ),
  )
    .option("--passphrase-file <file>", passphraseHelp)
    .option("--bootable", "the image must be bootable: NON_BOOTABLE is a failure")
    .option("--strict", "an unchecked signature is a failure")
    .option("--tuf <repository>", "the file must be this repository's target of its name, or REPOSITORY#PATH")
    .option(
      "--rollback-index <number>",
      "Android: what the device has stored; an older index is refused",
      rollbackIndexOption,
    )
    .option("--partition <name=file>", "Android: a partition's content to compare (repeatable)", several)
    .option("--allow-unsigned", "Android: accept algorithm NONE")
    .action((file: string, options: VerifyCommandOptions) =>
      inContext(options, async (context) => {
        const { out } = context;
        const source = await sourceOf(file, options, context);
        const content = source ? undefined : readContent(file, options.expectSha256);
        if (content && isAvb(content)) {
          const [{ parseAvb }, { verifyAvbFile }] = await Promise.all([
            import("../../avb/vbmeta.js"),
            import("../avb/verify.js"),
          ]);
          return verifyAvbFile(file, content, parseAvb(content), options, out);
        }
        const files = keyFiles(options.key, context);
        const keys = await Promise.all(files.map(async (name) => (await readKey(name, options)).publicKey));
        const how = await policy(options, keys);
        for (const key of keys) warnIfPublished(key, out);
        const names = new Map(keys.map((key, index) => [key, files[index]!]));
        if (source) {
          const verdicts = await Promise.all(source.payloads.map(({ bytes }) => verifyImage(bytes, how)));
          const isVouched = await report(source, verdicts, names, out);
          if (!isVouched || verdicts.some((verdict) => isFailure(verdict, options))) process.exitCode = 6;
          return;
        }
        const verdict = await readImageAs(file, out, (bytes) => verifyImage(bytes, how), content);
        out.result(describe(file, verdict, names), prose(draw(verdict, names)));
        if (isFailure(verdict, options)) process.exitCode = 6;
      }),
    );
}

/** The update that a file, a folder or an address holds; undefined for the plain file of one image. */
async function sourceOf(
  file: string,
  options: VerifyCommandOptions,
  context: Context,
): Promise<Source | undefined> {
  if (options.tuf === undefined && !mayBeContainer(file)) return undefined;
  const { isContainer, openUpdate, openUpdateOfTuf } = await import("../update-source.js");
  if (options.tuf !== undefined) return openUpdateOfTuf(file, options.tuf, options, context);
  return isContainer(file) ? openUpdate(file, options, context) : undefined;
}

/** A key that was given on the command line and could not be applied is a failure: somebody relies on it. */
function isFailure({ result }: Verdict, { strict, key = [] }: VerifyCommandOptions): boolean {
  if (result === "bad") return true;
  if (strict) return result !== "good";
  return key.length > 0 && result === "signature-not-checked";
}

/** One verdict for each image of a source, with what the source itself says. Resolves to whether that is in order. */
async function report(
  source: Source,
  verdicts: readonly Verdict[],
  names: KeyNames,
  out: Output,
): Promise<boolean> {
  const [{ failedCheck }, { describeSource }] = await Promise.all([
    import("../../sources/source.js"),
    import("../update-source.js"),
  ]);

  const images = source.payloads.map(({ name, image, slot }, index) => ({
    ...(image !== undefined && { image }),
    ...(slot !== undefined && { slot }),
    ...describe(name, verdicts[index]!, names),
  }));
  const pages = source.payloads.map(({ name }, index) =>
    [tone("strong", printable(name)), draw(verdicts[index]!, names)].join("\n"),
  );
  const failed = failedCheck(source);
  if (failed) pages.push(tone("bad", `bad: ${printable(failed.message)}`));
  out.result({ source: describeSource(source), images }, pages.join("\n\n"));
  return failed === undefined;
}

async function policy(options: VerifyCommandOptions, keys: readonly Key[]): Promise<VerifyOptions> {
  const { slotSize, bootable } = options;
  const mode = upgradeModeNamed(options.mode);
  const geometry = verifyGeometry(options, mode);
  const decryptionKey = await readDecryptionKey(options);
  return {
    ...bootloaderFacts(options),
    tryEveryKey: true,
    ...(keys.length > 0 && { keys }),
    ...(slotSize !== undefined && { slotSize }),
    ...(geometry && { geometry }),
    ...(mode && { mode }),
    ...(bootable && { toBoot: true }),
    ...(decryptionKey && { decryptionKey }),
  };
}

/** What fits depends on the sectors only where images are swapped. */
function verifyGeometry(options: GeometryOptions, mode: UpgradeMode | undefined): SlotGeometry | undefined {
  const { slotSize, sectorSize } = options;
  if (mode === undefined) return slotGeometry(options);
  const inSectors = upgradeMode(mode).swap !== undefined;
  if (slotSize === undefined || (inSectors && sectorSize === undefined))
    throw new UsageError(
      `--mode ${mode} needs the size of the slot${inSectors ? " and of a sector" : ""} to say what fits.`,
      "Add --slot-size and --sector-size.",
    );
  return slotGeometry({ ...options, sectorSize: sectorSize ?? slotSize });
}

type KeyNames = ReadonlyMap<Key, string>;

function describe(file: string, verdict: Verdict, names: KeyNames) {
  const { result, checks, warnings, signatures, trials = [], signedBy } = verdict;
  return {
    file,
    result,
    checks,
    warnings,
    signatures: signatures.map(({ offset, result: each, key }) => ({
      offset,
      result: each,
      ...(key && { key: { type: key.type, hash: toHex(key.keyHash) } }),
    })),
    trials: trials.map(({ offset, type, tried }) => ({
      offset,
      type: tlvName(type),
      tried: tried.map(({ key, good }) => ({ key: names.get(key), hash: toHex(key.keyHash), good })),
    })),
    ...(signedBy && { signedBy: { type: signedBy.type, hash: toHex(signedBy.keyHash) } }),
  };
}

function draw({ result, checks, warnings, trials = [] }: Verdict, names: KeyNames): string {
  return [
    ...checks.map((check) => `${MARKS[check.result]}  ${check.name.padEnd(17)} ${printable(check.sentence)}`),
    ...trials.flatMap((trial) => drawTrial(trial, names)),
    ...warnings.map((warning) => `${tone("warn", "note")}  ${printable(warning)}`),
    tone(result === "good" ? "good" : result === "bad" ? "bad" : "warn", SAYS[result]),
  ].join("\n");
}

function drawTrial({ offset, type, tried }: SignatureTrial, names: KeyNames): string[] {
  const what = `${tlvName(type)} at 0x${offset.toString(16)}`;
  if (tried.length === 0) return [`      ${what}: none of the keys is of this type`];
  return tried.map(
    ({ key, good }) =>
      `      ${what}: ${good ? "made by" : "not by"} ${printable(names.get(key) ?? short(key.keyHash))}`,
  );
}
