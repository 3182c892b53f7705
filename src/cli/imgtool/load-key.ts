import type { Key } from "../../crypto/keys.js";
import { publishedKeyName } from "../../crypto/published-keys.js";
import { readKey } from "../secrets.js";
import { UsageError } from "../usage-error.js";
import type { Arguments } from "./arguments.js";
import { ImgtoolFailure } from "./failure.js";
import type { ImgtoolIo } from "./io.js";

/** The key in the file that an option names, its passphrase asked for if needed; undefined when it is not given. */
export async function loadKey(given: Arguments, option: string, io: ImgtoolIo): Promise<Key | undefined> {
  const file = given.text(option);
  if (file === undefined) return undefined;
  const passphraseFile = given.text("passphrase-file");
  const key = await readKey(file, passphraseFile === undefined ? {} : { passphraseFile }).catch(
    (error: unknown) => {
      // Nobody there to ask: imgtool says "Aborted" and ends with 1.
      throw error instanceof UsageError ? new ImgtoolFailure(error.message, error.hint) : error;
    },
  );
  const published = publishedKeyName(key.keyHash);
  if (published)
    io.err(
      `WARNING: ${file} is MCUboot's published development key ${published}. Everybody has it: trust it nowhere.`,
    );
  return key;
}

/** As {@link loadKey}, for an option that the command asks for. */
export async function loadNamedKey(given: Arguments, io: ImgtoolIo): Promise<Key> {
  return (await loadKey(given, "key", io))!;
}
