import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { recallLink, rememberLink } from "../../src/cli/link-memory.js";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "cache-"));
  vi.stubEnv("XDG_CACHE_HOME", home);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

const file = () => join(home, "bootproof/links.json");

test("what a link taught is there the next time, under its board's key only", () => {
  const memory = { framing: "raw", window: 3, maxMessage: 160, linePauseMs: 20 } as const;
  rememberLink("SN1", memory);
  expect(recallLink("SN1")).toEqual(memory);
  expect(recallLink("SN2")).toEqual({});
});

test("a file that is damaged, or holds what cannot be, is as if it were not there", () => {
  rememberLink("SN1", { framing: "raw" });
  for (const text of [
    "",
    "{",
    "[]",
    "null",
    '{"SN1": 7}',
    '{"SN1": {"framing": "morse", "window": -1, "maxMessage": 1e9}}',
  ]) {
    writeFileSync(file(), text);
    expect(recallLink("SN1")).toEqual({});
  }
  writeFileSync(file(), '{"__proto__": {"framing": "raw"}, "SN1": {"framing": "raw", "window": 2.5}}');
  expect(recallLink("SN1")).toEqual({ framing: "raw" });
  expect(recallLink("toString")).toEqual({});
});

test("two hundred boards are remembered, the last ones", () => {
  for (let n = 0; n < 250; n++) rememberLink(`SN${n}`, { window: 2 });
  expect(Object.keys(JSON.parse(readFileSync(file(), "utf8")))).toHaveLength(200);
  expect(recallLink("SN249")).toEqual({ window: 2 });
  expect(recallLink("SN0")).toEqual({});
});

test("a cache that cannot be written is no reason to fail", () => {
  vi.stubEnv("XDG_CACHE_HOME", "/proc/nowhere");
  rememberLink("SN1", { window: 2 });
  expect(recallLink("SN1")).toEqual({});
});
