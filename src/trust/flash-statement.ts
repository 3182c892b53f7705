import { formatStatement } from "./statement.js";

/**
 * Predicate of an update: which board, what ran before and after, how its counter moved, what decided. Described in the help
 * topic attest.
 */
export const FLASH_PREDICATE = "urn:x-bootproof:attestation:flash:v1";

/** An image of a flash attestation. */
export interface FlashedImage {
  /** Image hash, hex: by it the board names the image. */
  readonly hash?: string;
  readonly version?: string;
  readonly securityCounter?: number;
}

/** What the board reported of an image at one time. */
export interface FlashStanding {
  readonly version?: string;
  readonly hash?: string;
  readonly storedCounter?: number;
}

/** What a flash attestation says. Absent is not known. */
export interface FlashPredicate {
  readonly board: { readonly id?: string; readonly address?: string };
  /** Of an update of one image. */
  readonly image?: FlashedImage;
  /** Of an update of several: how each of them ended. */
  readonly images?: readonly (FlashedImage & {
    readonly image: number;
    readonly state: string;
    readonly before?: FlashStanding;
    readonly after?: FlashStanding;
  })[];
  readonly outcome: string;
  readonly message: string;
  /** Of an update of several boards that all keep it or none: what it came to for all of them. */
  readonly together?: { readonly outcome: string; readonly boards: readonly string[] };
  readonly before?: FlashStanding;
  readonly after?: FlashStanding;
  /** Checks of the preflight that did not pass, policy rules included. */
  readonly notPassed: readonly { readonly name: string; readonly result: string; readonly message: string }[];
  readonly tool: string;
  readonly job?: string;
  /** RFC 3339, UTC. */
  readonly finishedOn: string;
}

/**
 * The statement of an update; its subjects are the files, by SHA-256 (hex).
 *
 * @param files - names, and hex
 * @param predicate - what was flashed, where, and what came of it
 * @returns JSON, in-toto Statement v1
 */
export function flashStatement(
  files: readonly { readonly name: string; readonly sha256: string }[],
  predicate: FlashPredicate,
): Uint8Array {
  const subjects = files.map(({ name, sha256 }) => ({ name, digest: { sha256 } }));
  return formatStatement(subjects, FLASH_PREDICATE, { ...predicate });
}
