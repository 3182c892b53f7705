import type { Key } from "../../crypto/keys.js";
import { type Verdict, type VerifyOptions, verifyImage } from "../../mcuboot/verify.js";
import { bootloaderFacts } from "../bootloader-options.js";
import { readDecryptionKey } from "../decryption-key.js";
import { keyFiles } from "../key-files.js";
import { readKey } from "../secrets.js";
import type { Context } from "../verb-context.js";
import type { InspectOptions } from "./options.js";

/** The verdict on an image by itself, by whatever was told of the bootloader; undefined when nothing was. */
export async function judgeWith(
  options: InspectOptions,
  context: Context,
): Promise<((bytes: Uint8Array) => Promise<Verdict>) | undefined> {
  const keys = await trustedKeys(options, context);
  const { decryptKey, decryptKek, storedCounter, slotAddress, hash, allowList } = options;
  const isReported = [decryptKey, decryptKek, storedCounter, slotAddress, hash].some(
    (one) => one !== undefined,
  );
  if (keys.length === 0 && !isReported && allowList) return undefined;
  const how = await verdictOptions(options, keys);
  return (bytes) => verifyImage(bytes, how);
}

/** What is told of the bootloader. `slot`: 0 the primary, or the only one. */
export async function verdictOptions(
  options: InspectOptions,
  keys: readonly Key[],
  slot = 0,
): Promise<VerifyOptions> {
  const decryptionKey = await readDecryptionKey(options);
  return {
    ...bootloaderFacts(options, slot),
    ...(keys.length > 0 && { keys }),
    ...(decryptionKey && { decryptionKey }),
  };
}

export function verdictJson({ result, checks }: Verdict) {
  return { result, checks };
}

export async function trustedKeys(options: InspectOptions, context: Context): Promise<Key[]> {
  const files = keyFiles(options.key, context);
  return Promise.all(files.map(async (name) => (await readKey(name, options)).publicKey));
}
