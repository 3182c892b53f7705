import { BootproofError } from "../errors.js";

/** An image's version as the header holds it: u8, u8, u16, u32. */
export interface Version {
  readonly major: number;
  readonly minor: number;
  readonly revision: number;
  readonly build: number;
}

export type VersionErrorCode =
  /** Not of the form maj[.min[.rev[+build]]]. */
  | "bad-version"
  /** A part does not fit its field of the header. */
  | "version-out-of-range";

/** A text that names no version a header can hold. */
export class VersionError extends BootproofError {
  declare readonly code: VersionErrorCode;
}

const FIELDS = [
  { name: "major", max: 0xff },
  { name: "minor", max: 0xff },
  { name: "revision", max: 0xffff },
  { name: "build", max: 0xffff_ffff },
] as const;

const NUMBER = "(0|[1-9]\\d*)";
const GRAMMAR = new RegExp(`^${NUMBER}(?:\\.${NUMBER}(?:\\.${NUMBER}(?:\\+${NUMBER})?)?)?$`);

/**
 * Reads `maj[.min[.rev[+build]]]`, imgtool's grammar: no leading zeros, no "v", a build only after a revision. Parts
 * that are left out are 0.
 *
 * @param text - as people write versions
 * @returns four whole numbers: 8, 8, 16 and 32 bits
 * @throws {@link VersionError}
 */
export function parseVersion(text: string): Version {
  const parts = GRAMMAR.exec(text);
  if (!parts)
    throw new VersionError("bad-version", `"${text}" is not a version.`, {
      hint: 'Write it as "1.2.3" or "1.2.3+4".',
    });
  const version = { major: 0, minor: 0, revision: 0, build: 0 };
  FIELDS.forEach(({ name, max }, index) => {
    const value = Number(parts[index + 1] ?? 0);
    if (value > max)
      throw new VersionError("version-out-of-range", `Version "${text}": ${name} is at most ${max}.`);
    version[name] = value;
  });
  return version;
}

/**
 * `1.2.3+4`; the build is left out when 0, so that what is printed is what people wrote.
 *
 * @param version - of a header
 * @returns text that {@link parseVersion} reads
 */
export function formatVersion({ major, minor, revision, build }: Version): string {
  return `${major}.${minor}.${revision}${build === 0 ? "" : `+${build}`}`;
}

/**
 * Negative, 0 or positive, for sorting. The build number counts only with `build: true`, as in a bootloader with
 * MCUBOOT_VERSION_CMP_USE_BUILD_NUMBER; by default MCUboot ignores it.
 *
 * @param a - one
 * @param b - the other
 * @param options - `build` compares the build number too
 * @returns negative when `a` is lower
 */
export function compareVersions(a: Version, b: Version, options: { build?: boolean } = {}): number {
  const compared = options.build ? FIELDS : FIELDS.slice(0, 3);
  for (const { name } of compared) if (a[name] !== b[name]) return a[name] - b[name];
  return 0;
}

/**
 * The security counter that imgtool's `auto` derives: (major << 24) + (minor << 16) + revision; the build is
 * ignored.
 *
 * @param version - of the image
 * @returns a number of 32 bits
 */
export function securityCounterOf({ major, minor, revision }: Version): number {
  return major * 0x100_0000 + minor * 0x1_0000 + revision;
}
