import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

interface Locked {
  version?: string;
  optionalDependencies?: Record<string, string>;
}

const read = (name: string) => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), "utf8"));

/**
 * Native parts come as one optional package per platform. npm leaves out of the lock file those that it could not find
 * where it was run, and then `npm ci` fails everywhere.
 */
describe("package-lock.json", () => {
  const packages = read("package-lock.json").packages as Record<string, Locked>;

  it("locks the packages of every platform", () => {
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !(`node_modules/${name}` in packages || `${path}/node_modules/${name}` in packages),
      ),
    );
    expect(missing).toEqual([]);
    expect(Object.values(packages).some(({ optionalDependencies }) => optionalDependencies)).toBe(true);
  });

  it("is of this package.json", () => {
    const { version, dependencies, devDependencies } = read("package.json");
    expect(packages[""]).toMatchObject({ version, dependencies, devDependencies });
  });
});
