import { homedir, release } from "node:os";
import { secretValues } from "../child-environment.js";
import { writeOutput } from "./files.js";
import { toJsonText } from "./output.js";
import { version } from "./version.js";

/**
 * Writes what `doctor` found, and on what machine, as one JSON file that can be sent to somebody.
 *
 * @throws FileError
 */
export function writeReport(file: string, found: Readonly<Record<string, unknown>>): void {
  const report = {
    writtenAt: new Date().toISOString(),
    bootproof: version(),
    node: process.versions.node,
    system: `${process.platform} ${process.arch} ${release()}`,
    ...found,
  };
  const text = JSON.stringify(
    JSON.parse(toJsonText(report)),
    (_key, value) => (typeof value === "string" ? withoutSecrets(value) : value),
    2,
  );
  writeOutput(file, `${text}\n`, { mode: 0o600 });
}

/** Without what the environment keeps secret, passwords in addresses, and the name of the home folder. */
export function withoutSecrets(text: string): string {
  const hidden = [...secretValues()].reduce((left, secret) => left.replaceAll(secret, "(secret)"), text);
  const home = homedir();
  return (home.length > 1 ? hidden.replaceAll(home, "~") : hidden)
    .replace(/\/\/[^/@\s]+@/g, "//(secret)@")
    .replace(/\b(token|password|passphrase|pin|secret)=[^&\s]+/gi, "$1=(secret)");
}
