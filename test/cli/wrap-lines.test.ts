import { describe, expect, it } from "vitest";
import { wrapLines } from "../../src/cli/wrap-lines.js";

const CHECK =
  "  pass  version          Version 2.0.0 is newer than the running 1.0.0, and what runs can be reverted.";
const HASH = "d5e8db01f06241e3e5b0a02c353a2668572783793d9ce3275019c3dad63bcb45";

describe("a long line", () => {
  it.each([60, 72, 90])(
    "of %i columns breaks between words, below where its last column begins",
    (columns) => {
      const lines = wrapLines(CHECK, columns).split("\n");
      expect(lines.length).toBeGreaterThan(1);
      for (const line of lines) expect(line.length).toBeLessThan(columns);
      for (const line of lines.slice(1)) expect(line).toMatch(/^ {25}\S/);
      expect(lines.map((line) => line.trim()).join(" ")).toBe(CHECK.trim());
    },
  );

  it("that fits stays as it is", () => {
    expect(wrapLines(CHECK, 200)).toBe(CHECK);
  });

  it("keeps a hash whole, and colours do not count", () => {
    const coloured = `\u001b[32mconfirmed\u001b[39m: Version 2.0.0 runs with the hash ${HASH} that was sent.`;
    const lines = wrapLines(coloured, 60).split("\n");
    expect(lines.some((line) => line.includes(HASH))).toBe(true);
    expect(lines[0]).toContain("\u001b[32mconfirmed\u001b[39m");
  });

  it("of a hint is indented below it", () => {
    const hint = `  try: ${"many words ".repeat(12).trim()}`;
    for (const line of wrapLines(hint, 60).split("\n").slice(1)) expect(line).toMatch(/^ {2}\S/);
  });

  it("on a terminal that is hardly one still ends", () => {
    expect(wrapLines(CHECK, 10).replaceAll(/\s+/g, " ").trim()).toBe(CHECK.replaceAll(/\s+/g, " ").trim());
  });
});
