import { expect, it } from "vitest";
import { xzSource } from "../../src/cli/signing/xz.js";

it("tells where xz comes from in the words of the machine", () => {
  expect(xzSource("linux")).toMatch(/Debian: xz-utils/);
  expect(xzSource("win32")).toMatch(/tukaani\.org\/xz/);
  expect(xzSource("darwin")).toMatch(/brew/);
  for (const platform of ["win32", "darwin"] as const) expect(xzSource(platform)).not.toMatch(/Debian/);
});
