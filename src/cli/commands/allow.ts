import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { allowConfig, configFingerprint, isForeign } from "../../boards/allowed-configs.js";
import { parseConfig, projectConfigFile, sensitiveParts } from "../../boards/config.js";
import { FileError } from "../files.js";
import { createOutput, printable } from "../output.js";
import { UsageError } from "../usage-error.js";
import { type CommonOptions, commonOptions } from "../verb-context.js";

interface AllowOptions extends CommonOptions {
  revoke?: boolean;
}

export function define(command: Command): void {
  commonOptions(command)
    .option("--revoke", "withdraw the permission")
    .addHelpText(
      "after",
      `
A config file of the current folder may give boards names at once. What runs programs (plug-ins, power and reset commands),
says whom to trust (keys, TUF repositories) or decides for you (the default device, profiles, known images) is left out of it
until you allow this very content; each change of the file, of its plug-ins, key files, known images or policy has to be allowed again. Files of another user are never allowed. Your own config file needs no permission.

Example: bootproof allow`,
    )
    .action((options: AllowOptions) => allow(options));
}

function allow(options: AllowOptions): void {
  const out = createOutput({ json: options.json ?? false, quiet: options.quiet ?? false });
  const path = projectConfigFile();
  const text = textOf(path);
  const config = parseConfig(path, text);
  if (isForeign(path))
    throw new UsageError(
      `${path} belongs to another user, who could change it at any time.`,
      "Copy what you need into a file of your own.",
    );
  const { revoke = false } = options;
  try {
    allowConfig(configFingerprint(path, text, config), { revoke });
  } catch (cause) {
    throw new FileError(
      "file-unreadable",
      path,
      `The permission cannot be stored: ${(cause as Error).message}.`,
      { cause },
    );
  }
  const what = sensitiveParts(config);
  const parts = what.length === 0 ? "it contains nothing that needs permission" : what.join(", ");
  out.result(
    { file: path, allowed: !revoke, what },
    `${revoke ? "No longer allowed" : "Allowed"}: ${printable(path)} (${printable(parts)})`,
  );
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new FileError(
      "file-missing",
      path,
      `There is no config file to allow: ${(cause as Error).message}.`,
      { cause },
    );
  }
}
