import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { roomBanner } from "../../src/cli/many-boards/room-banner.js";
import { guarded, printable, toJsonText } from "../../src/cli/output.js";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof } from "../support/cli-run.js";

beforeAll(ensureBuilt);
const folder = mkdtempSync(join(tmpdir(), "bootproof-terminal-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const CSI = "\u009b";
const ESC = "\u001b";
/** Sets a terminal's title, by C0 and by C1; moves the cursor; turns the writing. */
const HOSTILE = [
  `${ESC}]0;owned\u0007`,
  `${CSI}2J`,
  "\u009d0;owned\u009c",
  "\u202eright",
  "\u2028",
  "\u007f",
];
const OBEYED = /(?!\n|\t)[\p{Cc}\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

describe("what terminals obey", () => {
  test.each(HOSTILE)("%j is escaped in text, in JSON and by the last guard", (text) => {
    expect(printable(text)).not.toMatch(OBEYED);
    expect(guarded(`ok\n\t${text}`)).not.toMatch(OBEYED);
    const json = toJsonText({ [text]: text });
    expect(json).not.toMatch(OBEYED);
    expect(JSON.parse(json)).toEqual({ [text]: text });
  });

  test("our own colours and line ends pass", () => {
    const ours = `${ESC}[32mgood${ESC}[39m\n\t${ESC}[1mstrong${ESC}[22m`;
    expect(guarded(ours)).toBe(ours);
    for (const word of ["PASS", "FAIL", "DONE"] as const) {
      const banner = roomBanner(word, 80);
      expect(guarded(banner)).toBe(banner);
    }
    const painted = `${ESC}[42m${ESC}[30mPASS${ESC}[39m${ESC}[49m`;
    expect(guarded(painted)).toBe(painted);
    expect(guarded(`${ESC}[8mhidden${ESC}[38;5;1m`)).not.toContain(ESC);
  });
});

describe("a board's address and name of a strange config file", () => {
  const withConfig = (config: object, ...words: string[]) => {
    writeFileSync(join(folder, ".bootproof.json"), JSON.stringify(config));
    return bootproof(words, { cwd: folder });
  };

  test("reach the terminal as escapes, with and without --json", async () => {
    for (const words of [["devices"], ["devices", "--json"], ["info", "-d", "nothing-here"]]) {
      const { stdout, stderr } = await withConfig({ boards: { bench: `serial:/dev/${CSI}2J` } }, ...words);
      expect(`${stdout}${stderr}`).not.toMatch(OBEYED);
    }
  });

  test("a name with control characters is refused", async () => {
    const { status, stderr } = await withConfig({ boards: { [`a${ESC}]0;x`]: "wasm:good" } }, "devices");
    expect(status).toBe(2);
    expect(stderr).toContain("control character");
    expect(stderr).not.toMatch(OBEYED);
  });
});
