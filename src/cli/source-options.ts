import { closeSync, openSync, readSync, statSync } from "node:fs";
import type { Command } from "commander";
import type { BundleTrustOptions } from "./bundle/open-bundle.js";
import { EXPECT_SHA256 } from "./image-input.js";
import { several } from "./several.js";
import { readStandardInput, STDIN } from "./standard-input.js";
import { wholeNumber } from "./verb-context.js";

/** The options of verbs that take an update from any source; `update-source.ts` opens it. */

/** Options of verbs that take an update from any source. */
export interface SourceOptions {
  artifactKey?: string[];
  deviceType?: string;
  provides?: string[];
  ca?: string[];
  fetchMaxBytes?: number;
  fetchMinRate?: number;
  fetchTimeout?: number;
  from?: string;
  expectSha256?: string;
  /** Whom to trust about a bundle for offline updates. */
  bundleTrust?: BundleTrustOptions;
}

/** What a verb's argument may be. */
export const SOURCE_HELP =
  "a signed MCUboot image (.bin, .hex; - for stdin), dfu_application.zip, a Mender artifact, the folder of a build, an http(s) address, tuf:REPOSITORY#PATH, or bundle:PLACE#HARDWARE-ID";

export function sourceOptions(command: Command): Command {
  return command
    .option(
      "--artifact-key <file>",
      "a public key that must have signed a Mender artifact (repeatable; default: the config file's)",
      several,
    )
    .option("--device-type <type>", "the board's device type, for a Mender artifact")
    .option(
      "--provides <key=value>",
      "what is installed, for a Mender artifact's dependencies (repeatable)",
      several,
    )
    .option("--ca <file>", "CA certificate of the HTTPS server, PEM (repeatable)", several)
    .option(
      "--fetch-max-bytes <count>",
      "largest file to download from an address (default 64 MiB)",
      wholeNumber("--fetch-max-bytes", { min: 1, max: 1 << 30 }),
    )
    .option(
      "--fetch-min-rate <count>",
      "minimum rate of a server, bytes per second (default 256)",
      wholeNumber("--fetch-min-rate"),
    )
    .option(
      "--fetch-timeout <s>",
      "how long a server may be silent or too slow (default 10)",
      wholeNumber("--fetch-timeout", { min: 1, max: 86_400 }),
    )
    .option("--from <place>", "another copy of the TUF repository: an address, a folder, a USB stick")
    .option(...EXPECT_SHA256);
}

/**
 * May this be more than the file of one image? Answers quickly, and yes when in doubt: `isContainer` of `update-source.ts`
 * knows for certain, and what it needs to know it with takes longer to load than an image to verify.
 */
export function mayBeContainer(where: string): boolean {
  if (where === STDIN) return isContainerHead(readStandardInput());
  if (/^(https?|tuf|bundle):/i.test(where)) return true;
  const there = statSync(where, { throwIfNoEntry: false });
  if (!there?.isFile()) return there !== undefined;
  return isContainerHead(firstBytes(where));
}

function isContainerHead(bytes: Uint8Array): boolean {
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, 8));
  return head.startsWith("PK") || head.startsWith("version");
}

/** Of a file that can be read; none of another, which whoever reads it will tell. */
function firstBytes(path: string): Uint8Array {
  const head = new Uint8Array(8);
  try {
    const file = openSync(path, "r");
    try {
      return head.subarray(0, readSync(file, head));
    } finally {
      closeSync(file);
    }
  } catch {
    return head.subarray(0, 0);
  }
}
