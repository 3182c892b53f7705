import { toHex } from "../bytes.js";
import { HASHES, type HashName } from "../crypto/hashes.js";
import { TufError, type TufErrorCode } from "./error.js";

const isKnown = (name: string): name is HashName => Object.hasOwn(HASHES, name);

/**
 * Checks length and every hash that is listed and known. At least one of the hashes must be known.
 *
 * @param bytes - what came
 * @param listed - length in bytes, and hashes in hex by their names
 * @param code - what a difference means: `mix-and-match` for metadata, `arbitrary-software` for a target
 * @throws TufError
 */
export function mustMatch(
  bytes: Uint8Array,
  listed: { readonly length?: number; readonly hashes?: ReadonlyMap<string, string> },
  { what, subject, code, step }: { what: string; subject: string; code: TufErrorCode; step: string },
): void {
  if (listed.length !== undefined && bytes.length !== listed.length)
    throw new TufError(code, subject, `${what} has ${bytes.length} bytes; ${listed.length} are listed.`, {
      step,
    });
  if (!listed.hashes) return;
  const known = [...listed.hashes].filter(([name]) => isKnown(name));
  if (known.length === 0) {
    const names = [...listed.hashes.keys()].join(", ");
    throw new TufError(
      "bad-metadata",
      subject,
      `${what} is listed with no hash that is known here, only: ${names}.`,
      {
        step,
      },
    );
  }
  for (const [name, wanted] of known) {
    const found = toHex(HASHES[name as HashName].digest(bytes));
    if (found !== wanted)
      throw new TufError(code, subject, `${what} has the ${name} hash ${found}; ${wanted} is listed.`, {
        step,
      });
  }
}

/**
 * SHA-256 of some bytes, in lower-case hex.
 *
 * @param bytes - any
 * @returns 64 digits
 */
export function sha256Hex(bytes: Uint8Array): string {
  return toHex(HASHES.sha256.digest(bytes));
}
