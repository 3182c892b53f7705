import type { Command } from "commander";
import { toHex } from "../../bytes.js";
import { publishedKeyName } from "../../image/published-keys.js";
import { type SignOptions, signImage } from "../../image/sign.js";
import { parseVersion } from "../../image/version.js";
import { type CommonOptions, commonOptions, inContext, wholeNumber } from "../context.js";
import { UsageError } from "../exit.js";
import { readInput, writeOutput } from "../files.js";
import { passphraseHelp, readPrivateKey } from "../secrets.js";

interface SignCommandOptions extends CommonOptions {
  key?: string;
  unsigned?: boolean;
  passphraseFile?: string;
  version: string;
  headerSize: number;
  padHeader?: boolean;
  slotSize: number;
  securityCounter?: number | "auto";
  align?: number;
  maxSectors?: number;
  overwriteOnly?: boolean;
  pad?: boolean;
  confirm?: boolean;
  force?: boolean;
}

const ALIGNMENTS = [1, 2, 4, 8, 16, 32] as const;

export function define(command: Command): void {
  commonOptions(
    command
      .argument("<body>", "the firmware as the build made it, raw binary")
      .argument("<image>", "the image file to write"),
  )
    .option("-k, --key <pem>", "the private key")
    .option("--unsigned", "make an image with a hash only")
    .option("--passphrase-file <file>", passphraseHelp)
    .requiredOption("-v, --version <version>", "maj[.min[.rev[+build]]]")
    .option(
      "-H, --header-size <bytes>",
      "room for the header in front of the body",
      wholeNumber("--header-size", { min: 32, max: 0xffff }),
      0x200,
    )
    .option("--pad-header", "put a header in front; without it the body must begin with that many zero bytes")
    .requiredOption(
      "-S, --slot-size <bytes>",
      "size of the slot; the image and its trailer must fit",
      wholeNumber("--slot-size"),
    )
    .option(
      "-s, --security-counter <number>",
      "anti-rollback: a number, or auto to derive it from the version",
      counter,
    )
    .option(
      "--align <bytes>",
      "write size of the flash: 1, 2, 4, 8, 16, 32",
      wholeNumber("--align", { min: 1, max: 32 }),
    )
    .option(
      "-M, --max-sectors <number>",
      "sectors of a slot (default 128)",
      wholeNumber("--max-sectors", { min: 1 }),
    )
    .option("--overwrite-only", "for a bootloader in overwrite-only mode")
    .option("--pad", "fill to the slot's size with a trailer that asks for a test boot")
    .option("--confirm", "fill to the slot's size with a trailer that makes it permanent")
    .option("--force", "replace the image file if it is there")
    .action((body: string, file: string, options: SignCommandOptions) =>
      inContext(options, async ({ out }) => {
        if ((options.key === undefined) === !options.unsigned) {
          throw new UsageError(
            "Say how to sign: either --key FILE or --unsigned.",
            "bootproof keys generate makes a key.",
          );
        }
        const key = options.key === undefined ? undefined : await readPrivateKey(options.key, options);
        const published = key && publishedKeyName(key.keyHash);
        if (published)
          out.note(
            `WARNING: this is MCUboot's published development key ${published}. Everybody has it: never ship an image signed with it.`,
          );
        const signed = await signImage(readInput(body), { ...workOptions(options), ...(key && { key }) });
        writeOutput(file, signed.bytes, { overwrite: options.force ?? false });
        const hash = toHex(signed.imageHash);
        out.result(
          {
            file,
            bytes: signed.bytes.length,
            imageSize: signed.image.length,
            hash,
            ...(key && { key: { type: key.type, hash: toHex(key.keyHash) } }),
          },
          `${file}: ${signed.bytes.length} bytes, ${key ? `signed with ${key.type} key ${toHex(key.keyHash).slice(0, 16)}` : "NOT signed"}, image hash ${hash}`,
        );
      }),
    );
}

function workOptions(options: SignCommandOptions): SignOptions {
  const align = options.align === undefined ? undefined : ALIGNMENTS.find((known) => known === options.align);
  if (options.align !== undefined && align === undefined)
    throw new UsageError(`--align ${options.align}: it is one of ${ALIGNMENTS.join(", ")}.`);
  return {
    version: parseVersion(options.version),
    headerSize: options.headerSize,
    padHeader: options.padHeader ?? false,
    slotSize: options.slotSize,
    overwriteOnly: options.overwriteOnly ?? false,
    ...(align && { align }),
    ...(options.maxSectors === undefined ? {} : { maxSectors: options.maxSectors }),
    ...(options.securityCounter === undefined ? {} : { securityCounter: options.securityCounter }),
    ...(options.confirm
      ? { trailer: "confirmed" as const }
      : options.pad
        ? { trailer: "test" as const }
        : {}),
  };
}

function counter(text: string): number | "auto" {
  return text.toLowerCase() === "auto" ? "auto" : wholeNumber("--security-counter")(text);
}
