import { printable } from "./output.js";
import type { Context } from "./verb-context.js";

/** Which key files hold: those of `--key`, and the config file's only when there is none. Says so. */
export function keyFiles(named: readonly string[] | undefined, { config, out }: Context): readonly string[] {
  if (named !== undefined && named.length > 0) {
    if (config.keys.length > 0)
      out.note(`Keys: ${printable(named.join(", "))} (--key; the config file's are left out)`);
    return named;
  }
  if (config.keys.length > 0)
    out.note(`Keys: ${printable(config.keys.join(", "))} (${printable(config.keysFrom ?? "config file")})`);
  return config.keys;
}
