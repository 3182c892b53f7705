import { sha256Hex } from "./hashes.js";
import type { Delegation, Delegations, SuccinctRoles, TargetsSigned } from "./metadata-types.js";
import type { RoleTrust } from "./signatures.js";

/**
 * The roles that a targets role makes responsible for a path, in their order. Section 4.5 and TAP 15.
 *
 * @param path - of the target, with `/` between its parts
 */
export function delegationsFor(
  delegations: Delegations,
  path: string,
): readonly { readonly name: string; readonly terminating: boolean }[] {
  const { roles, succinct } = delegations;
  // Every path belongs to exactly one bin: there is nothing to go back to.
  if (succinct) return [{ name: binFor(succinct, path), terminating: true }];
  return (roles ?? []).filter((role) => isResponsible(role, path));
}

/** Keys and threshold of a delegated role as this parent defines them; undefined when it delegates to no such role. */
export function trustIn(parent: TargetsSigned, name: string): RoleTrust | undefined {
  const { delegations } = parent;
  if (!delegations) return undefined;
  const { keys, roles, succinct } = delegations;
  const role = succinct ? isBin(succinct, name) && succinct : roles?.find((entry) => entry.name === name);
  return role ? { keyids: role.keyids, threshold: role.threshold, keys } : undefined;
}

/** May this delegation speak for the path? */
export function isResponsible(role: Pick<Delegation, "paths" | "pathHashPrefixes">, path: string): boolean {
  const { paths, pathHashPrefixes } = role;
  if (paths) return paths.some((pattern) => matchesPattern(pattern, path));
  const hash = hashOfPath(path);
  return (pathHashPrefixes ?? []).some((prefix) => hash.startsWith(prefix.toLowerCase()));
}

/** `*` stands for any characters and `?` for one, both within one part of a path. Section 4.5, PATHPATTERN. */
export function matchesPattern(pattern: string, path: string): boolean {
  const wanted = pattern.split("/");
  const parts = path.split("/");
  return wanted.length === parts.length && wanted.every((part, index) => matchesPart(part, parts[index]!));
}

/** Without a regular expression, which a hostile pattern with many stars could make run for very long. */
function matchesPart(pattern: string, text: string): boolean {
  const [wanted, found] = [[...pattern], [...text]];
  let [at, from] = [0, 0];
  let star: { at: number; from: number } | undefined;
  while (from < found.length) {
    if (wanted[at] === "*") {
      star = { at, from };
      at++;
    } else if (at < wanted.length && (wanted[at] === "?" || wanted[at] === found[from])) {
      at++;
      from++;
    } else if (star) {
      // The last star takes one character more.
      star = { at: star.at, from: star.from + 1 };
      at = star.at + 1;
      from = star.from;
    } else {
      return false;
    }
  }
  return wanted.slice(at).every((character) => character === "*");
}

/** Name of the bin whose number is the first bits of the path's hash. TAP 15. */
export function binFor({ bitLength, namePrefix }: SuccinctRoles, path: string): string {
  const first = Number.parseInt(hashOfPath(path).slice(0, 8), 16);
  const bin = Math.floor(first / 2 ** (32 - bitLength));
  return `${namePrefix}-${bin.toString(16).padStart(binDigits(bitLength), "0")}`;
}

/** Is this the name of one of the bins? */
export function isBin({ bitLength, namePrefix }: SuccinctRoles, name: string): boolean {
  const digits = name.slice(namePrefix.length + 1);
  return (
    name.startsWith(`${namePrefix}-`) &&
    digits.length === binDigits(bitLength) &&
    /^[0-9a-f]+$/.test(digits) &&
    Number.parseInt(digits, 16) < 2 ** bitLength
  );
}

/** Hex digits of the greatest bin number: all names have one length. */
function binDigits(bitLength: number): number {
  return (2 ** bitLength - 1).toString(16).length;
}

function hashOfPath(path: string): string {
  return sha256Hex(new TextEncoder().encode(path));
}
