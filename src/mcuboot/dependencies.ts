import type { Dependency } from "./image.js";
import { compareVersions, type Version } from "./version.js";

/** One image of an update: the pair of slots it is for, and what it needs of the others. */
export interface DependentImage {
  readonly imageNumber: number;
  readonly version: Version;
  readonly dependencies: readonly Dependency[];
}

/** What became of one dependency. `missing`: nothing is there, or it is too old; `unknown`: nobody reports it. */
export interface DependencyState extends Dependency {
  readonly is: "met" | "missing" | "unknown";
  /** What is there, when that is known. */
  readonly found?: Version;
}

/**
 * Compares the dependencies of an image with what will be there when it starts, as MCUboot does (loader.c,
 * boot_verify_slot_dependency): versions without their build number, each at least the one that is stated.
 *
 * `versionOf` tells the version of an image number: `null` when the board has none, undefined when it is not reported.
 */
export function checkDependencyVersions(
  dependencies: readonly Dependency[],
  versionOf: (imageNumber: number) => Version | null | undefined,
): DependencyState[] {
  return dependencies.map((needed) => {
    const found = versionOf(needed.image);
    if (found === undefined) return { ...needed, is: "unknown" };
    if (found === null) return { ...needed, is: "missing" };
    return { ...needed, found, is: compareVersions(found, needed.version) >= 0 ? "met" : "missing" };
  });
}
