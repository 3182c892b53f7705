import { describe, inject } from "vitest";
import type { Windows } from "./wine.js";

/** A group of tests on Windows. Without one they are skipped, with the reason in the title; in CI that is a failure. */
export function describeWindows(title: string, tests: (windows: Windows) => void): void {
  const windows = inject("windows");
  if (windows !== undefined) describe(title, () => tests(windows));
  else
    describe.skip(`${title} (skipped: ${inject("noWindows")})`, () =>
      tests({ prefix: "", node: "", tree: "" }));
}
