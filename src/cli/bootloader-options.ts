import type { Command } from "commander";
import { HASHES, type HashName } from "../crypto/hashes.js";
import type { VerifyOptions } from "../mcuboot/verify.js";
import { several } from "./several.js";
import { UsageError } from "./usage-error.js";
import { wholeNumber } from "./verb-context.js";

/** How a bootloader was built and what it has stored: what its verdict on an image depends on beside keys. */
export interface BootloaderOptions {
  storedCounter?: number;
  slotAddress?: string[];
  hash?: string;
  /** Commander's `--no-`: true unless given. */
  allowList: boolean;
}

export function bootloaderOptions(command: Command): Command {
  return command
    .option(
      "--stored-counter <number>",
      "the board's stored security counter: images with a lower one are refused",
      wholeNumber("--stored-counter"),
    )
    .option(
      "--slot-address <address>",
      "address of the slot (of two, the primary first): an image for another address is refused",
      several,
    )
    .option("--hash <name>", "the only hash the bootloader knows: sha256, sha384, sha512")
    .option("--no-allow-list", "the bootloader accepts any type of unprotected TLV");
}

/** The same for the verdict on the image of a slot; `slot`: 0 the primary, or the only one. */
export function bootloaderFacts(options: BootloaderOptions, slot = 0): Partial<VerifyOptions> {
  const { storedCounter, allowList, hash, slotAddress = [] } = options;
  const addresses = slotAddress.map(wholeNumber("--slot-address"));
  const address = addresses[slot];
  return {
    allowList,
    ...(storedCounter !== undefined && { storedCounter }),
    ...(address !== undefined && { slotAddress: address }),
    ...(hash !== undefined && { hash: hashName(hash) }),
  };
}

function hashName(text: string): HashName {
  if (Object.hasOwn(HASHES, text)) return text as HashName;
  throw new UsageError(`--hash ${text}: it is sha256, sha384 or sha512.`);
}
