import type { Key } from "../crypto/keys.js";
import { publishedKeyName } from "../crypto/published-keys.js";
import type { Output } from "./output.js";

/** Warns of one of MCUboot's development keys: their private parts are in everybody's hands. */
export function warnIfPublished(key: Key, out: Output): void {
  const { publishedKey } = publishedKeyFact(key);
  if (publishedKey !== undefined)
    out.warn(
      `this is MCUboot's published development key ${publishedKey}. Everybody has its private part: sign nothing with it that ships, and trust it nowhere.`,
    );
}

/** The same for `--json`; nothing for a key of one's own. */
export function publishedKeyFact(key: Key): { publishedKey?: string } {
  const publishedKey = publishedKeyName(key.keyHash);
  return publishedKey === undefined ? {} : { publishedKey };
}
