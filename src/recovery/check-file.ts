import { cryptBody, type DecryptionKey, unwrapContentKey } from "../mcuboot/encryption.js";
import type { Image } from "../mcuboot/image.js";
import { verifyImage } from "../mcuboot/verify.js";
import type { BoardFacts } from "../session/facts.js";
import { checkFile } from "../update/file-checks.js";
import { askRatchet, ratchetChecks } from "../update/memory.js";
import { payloadFor } from "../update/payload.js";
import { checkAgainstBoard } from "../update/preflight.js";
import { maySkip, type PreflightCheck } from "../update/preflight-check.js";
import type { Ending, RecoverOptions } from "./recover-events.js";
import type { RecoveryTarget } from "./target.js";

/**
 * The file alone, judged as `flash` judges it. `bytes`: what methods that write flash past MCUboot put into the slot;
 * `plain`: the same not encrypted, undefined when nothing here decrypts it.
 */
export async function checkTheFile(
  file: Uint8Array,
  target: RecoveryTarget,
  {
    keys,
    trailer,
    erasedValue = target.profile?.erasedValue,
    decryptionKey,
    policy,
    ratchet,
    imageNumber = 0,
  }: RecoverOptions,
): Promise<{
  checks: PreflightCheck[];
  image: Image | undefined;
  bytes: Uint8Array;
  plain: Uint8Array | undefined;
}> {
  const verdict = await verifyImage(file, {
    ...(keys.length ? { keys } : {}),
    ...(decryptionKey && { decryptionKey }),
    toBoot: true,
  });
  const checks = checkFile(verdict);
  const { image } = verdict;
  if (image === undefined) return { checks, image, bytes: file, plain: file };
  const { bytes, check } = payloadFor(file, image, undefined, {
    trailer,
    erasedValue,
    slotSize: target.profile?.slots?.[0]?.size,
  });
  const { signedBy } = verdict;
  const remembers = await askRatchet(image, imageNumber, ratchet);
  const judged = policy?.({ ...(signedBy && { signedBy }), ...(remembers && { ratchet: remembers }) }) ?? [];
  const plain = await decrypted(bytes, image, decryptionKey, checks);
  const all = [...checks, { name: "trailer" as const, ...check }, ...ratchetChecks(remembers), ...judged];
  return { checks: all, image, bytes, plain };
}

const isOpen = ({ name, result }: { name: string; result: string }) =>
  name === "decryption" && result === "pass";

/** The bytes as MCUboot itself leaves them in the primary slot: the flag stays, the body is in clear. */
async function decrypted(
  bytes: Uint8Array,
  image: Image,
  key: DecryptionKey | undefined,
  checks: readonly PreflightCheck[],
): Promise<Uint8Array | undefined> {
  if (!image.encrypted) return bytes;
  // Flagged as encrypted, with a body in clear: imgtool's --clear.
  const inClear = (await verifyImage(bytes, {})).checks.some(isOpen);
  if (inClear) return bytes;
  if (key === undefined || !checks.some(isOpen)) return undefined;
  const plain = bytes.slice();
  plain.set(await cryptBody(await unwrapContentKey(image, key), image.body), image.header.headerSize);
  return plain;
}

/** What an application tells, applied to an image that serial recovery will write. */
export function checkThroughRecovery(
  image: Image,
  facts: BoardFacts,
  { imageNumber = 0 }: RecoverOptions,
): PreflightCheck[] {
  const asRecovery: BoardFacts = { ...facts, server: "recovery" };
  return checkAgainstBoard({ image, facts: asRecovery, imageNumber, throughRecovery: true });
}

export function firstRefusal(
  checks: readonly PreflightCheck[],
  { skip }: RecoverOptions,
): PreflightCheck | undefined {
  return checks.find(({ name, result }) => result === "fail" && !maySkip(name, skip));
}

export function refusalOf(refused: PreflightCheck | undefined): Ending {
  const { message = "The file contains no image.", hint = "Nothing was done to the board." } = refused ?? {};
  return { outcome: "refused-by-preflight", message, hint, ...(refused && { refusedBy: refused.name }) };
}
