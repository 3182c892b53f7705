import type { Command } from "commander";
import { toHex } from "../../bytes.js";
import { short } from "../../image/checks.js";
import { HASHES, type HashName } from "../../image/hashes.js";
import type { Key } from "../../image/keys.js";
import type { BootMode, SlotGeometry } from "../../image/largest-image.js";
import type { SignatureTrial } from "../../image/signatures.js";
import { tlvName } from "../../image/tlv.js";
import { type Verdict, type VerifyOptions, verifyImage } from "../../image/verify.js";
import { parseWrappingKey, type WrappingKey } from "../../image/wrapping-key.js";
import { type CommonOptions, commonOptions, inContext, several, wholeNumber } from "../context.js";
import { UsageError } from "../exit.js";
import { readInput } from "../files.js";
import { readFirmware } from "../firmware-file.js";
import { bootMode, type GeometryOptions, geometryOptions, slotGeometry } from "../geometry.js";
import { printable, tone } from "../output.js";
import { warnIfPublished } from "../published-key.js";
import { passphraseHelp, readKey } from "../secrets.js";

interface VerifyCommandOptions extends CommonOptions, GeometryOptions {
  key?: string[];
  decryptKey?: string;
  decryptKek?: string;
  passphraseFile?: string;
  storedCounter?: number;
  slotAddress?: number;
  hash?: string;
  /** Commander's `--no-`: true unless given. */
  allowList: boolean;
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
  "signature-not-checked":
    "signature not checked: nothing is wrong with the image, but no key says whose it is",
  bad: "bad: a bootloader with these keys will not start this image",
} as const;

export function define(command: Command): void {
  geometryOptions(
    commonOptions(command.argument("<image>", "an MCUboot image, raw or Intel HEX (.hex)")).option(
      "--key <file>",
      "a public key to trust (repeatable; default: the config file's)",
      several,
    ),
  )
    .option("--decrypt-key <file>", "private key of an encrypted image")
    .option("--decrypt-kek <file>", "AES key that wraps the content key of an encrypted image: raw or base64")
    .option("--passphrase-file <file>", passphraseHelp)
    .option(
      "--stored-counter <number>",
      "check against a board's stored security counter",
      wholeNumber("--stored-counter"),
    )
    .option(
      "--slot-address <address>",
      "where the slot is: an image for another address is refused",
      wholeNumber("--slot-address"),
    )
    .option("--hash <name>", "the only hash the bootloader knows: sha256, sha384, sha512")
    .option("--no-allow-list", "the bootloader takes any type of unprotected TLV")
    .option("--bootable", "the image is to be booted: NON_BOOTABLE is a failure")
    .option("--strict", "an unchecked signature is a failure")
    .action((file: string, options: VerifyCommandOptions) =>
      inContext(options, async ({ out, config }) => {
        const files = [...(options.key ?? []), ...config.keys];
        const keys = await Promise.all(files.map(async (name) => (await readKey(name, options)).publicKey));
        const verdict = await verifyImage(readFirmware(file).bytes, await policy(options, keys));
        for (const key of keys) warnIfPublished(key, out);
        const names = new Map(keys.map((key, index) => [key, files[index]!]));
        out.result(describe(file, verdict, names), draw(verdict, names));
        if (verdict.result === "bad" || (options.strict && verdict.result !== "good")) process.exitCode = 6;
      }),
    );
}

async function policy(options: VerifyCommandOptions, keys: readonly Key[]): Promise<VerifyOptions> {
  const { slotSize, storedCounter, slotAddress, allowList, bootable, hash } = options;
  const mode = bootMode(options.mode);
  const geometry = verifyGeometry(options, mode);
  const decryptionKey = await readDecryptionKey(options);
  return {
    allowList,
    tryEveryKey: true,
    ...(keys.length > 0 && { keys }),
    ...(slotSize !== undefined && { slotSize }),
    ...(geometry && { geometry }),
    ...(mode && { mode }),
    ...(storedCounter !== undefined && { storedCounter }),
    ...(slotAddress !== undefined && { slotAddress }),
    ...(bootable && { toBoot: true }),
    ...(decryptionKey && { decryptionKey }),
    ...(hash !== undefined && { hash: hashName(hash) }),
  };
}

/** Modes whose trailer or spare sector is counted in sectors. */
const IN_SECTORS: readonly BootMode[] = ["swap-move", "swap-offset", "swap-scratch"];

/** What fits depends on the sectors only where images are swapped. */
function verifyGeometry(options: GeometryOptions, mode: BootMode | undefined): SlotGeometry | undefined {
  const { slotSize, sectorSize } = options;
  if (mode === undefined) return slotGeometry(options);
  const inSectors = IN_SECTORS.includes(mode);
  if (slotSize === undefined || (inSectors && sectorSize === undefined))
    throw new UsageError(
      `--mode ${mode} needs the size of the slot${inSectors ? " and of a sector" : ""} to say what fits.`,
      "Add --slot-size and --sector-size.",
    );
  return slotGeometry({ ...options, sectorSize: sectorSize ?? slotSize });
}

async function readDecryptionKey(options: VerifyCommandOptions): Promise<Key | WrappingKey | undefined> {
  const { decryptKey, decryptKek } = options;
  if (decryptKey !== undefined && decryptKek !== undefined)
    throw new UsageError("Decrypt with --decrypt-key or with --decrypt-kek, not with both.");
  if (decryptKek !== undefined) return parseWrappingKey(readInput(decryptKek));
  return decryptKey === undefined ? undefined : readKey(decryptKey, options);
}

function hashName(text: string): HashName {
  if (Object.hasOwn(HASHES, text)) return text as HashName;
  throw new UsageError(`--hash ${text}: it is sha256, sha384 or sha512.`);
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
    ...checks.map((check) => `${MARKS[check.result]}  ${check.name.padEnd(16)} ${printable(check.sentence)}`),
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
