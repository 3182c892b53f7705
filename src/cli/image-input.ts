import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { FileError, readInput } from "./files.js";
import { readStandardInput, STDIN } from "./standard-input.js";
import { UsageError } from "./usage-error.js";

/** The bytes of an image's file, or of what is piped in for `-`. `expected`: their SHA-256, as text. Throws `FileError`. */
export function readContent(path: string, expected?: string): Uint8Array {
  const bytes = path === STDIN ? readStandardInput() : readInput(path);
  if (expected === undefined) return bytes;
  const found = createHash("sha256").update(bytes).digest("hex");
  if (found === expected) return bytes;
  const what = path === STDIN ? "the piped input" : path;
  throw new FileError("file-differs", path, `The SHA-256 of ${what} is ${found}, not ${expected}.`, {
    hint:
      bytes.length === 0
        ? "There are no bytes: the program before the pipe failed."
        : "Nothing was sent. Was it truncated in transit, or is it another build?",
  });
}

/** A digest as `sha256sum` writes it, for commander. Throws `UsageError`. */
export function sha256Option(text: string): string {
  const digest = text.trim().toLowerCase();
  if (/^[0-9a-f]{64}$/.test(digest)) return digest;
  throw new UsageError(`--expect-sha256 "${text}" is not the 64 hexadecimal digits of a SHA-256.`);
}

export const EXPECT_SHA256 = [
  "--expect-sha256 <digest>",
  "refuse the file, or the piped input for -, if its SHA-256 differs",
  sha256Option,
] as const;

/** An address, a repository and a folder have no one digest. Throws `UsageError`. */
export function mustBeOneFile(where: string, expected: string | undefined): void {
  if (expected === undefined || where === STDIN) return;
  const isFile = statSync(where, { throwIfNoEntry: false })?.isDirectory() === false;
  if (!isFile && (/^(https?|tuf|bundle):/i.test(where) || statSync(where, { throwIfNoEntry: false })))
    throw new UsageError("--expect-sha256 is for a file or piped input.");
}
