import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { isHeld, renameOver } from "../src/rename-over.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "bootproof-test-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const error = (code: string) => Object.assign(new Error(code), { code });

describe("renameOver", () => {
  it("replaces what has the name", () => {
    writeFileSync(join(folder, "old"), "old");
    writeFileSync(join(folder, "new"), "new");
    renameOver(join(folder, "new"), join(folder, "old"));
    expect(readFileSync(join(folder, "old"), "utf8")).toBe("new");
  });

  it("throws at once what is no matter of waiting", () => {
    expect(() => renameOver(join(folder, "none"), join(folder, "name"), "win32")).toThrow(/ENOENT/);
  });

  // Linux refuses a rename in /proc with the code that Windows has for a file that is open.
  it.skipIf(process.platform !== "linux")("waits for a program that lets go", () => {
    mkdirSync(join(folder, "free"));
    writeFileSync(join(folder, "free/status"), "new");
    writeFileSync(join(folder, "free/comm"), "old");
    symlinkSync("/proc/self", join(folder, "place"));
    symlinkSync(join(folder, "free"), join(folder, "next"));
    const [from, to] = [join(folder, "place/status"), join(folder, "place/comm")];
    expect(() => renameSync(from, to)).toThrow(/EPERM/);
    // It lets go in the third pause.
    let pauses = 0;
    const pause = vi.spyOn(Atomics, "wait").mockImplementation(() => {
      if (++pauses === 3) renameSync(join(folder, "next"), join(folder, "place"));
      return "timed-out";
    });
    onTestFinished(() => pause.mockRestore());
    renameOver(from, to, "win32");
    expect(pauses).toBe(3);
    expect(readFileSync(join(folder, "free/comm"), "utf8")).toBe("new");
  });

  it.skipIf(process.platform !== "linux")("gives up on one that does not", () => {
    expect(() => renameOver("/proc/self/status", "/proc/self/comm", "win32")).toThrow(/EPERM/);
  });
});

describe("isHeld", () => {
  it("knows the codes of Windows there, where elsewhere they say that the folder is another's", () => {
    for (const code of ["EPERM", "EACCES"])
      expect([isHeld(error(code), "win32"), isHeld(error(code), "linux")]).toEqual([true, false]);
    expect([isHeld(error("EBUSY"), "win32"), isHeld(error("EBUSY"), "linux")]).toEqual([true, true]);
    expect(isHeld(error("ENOENT"), "win32")).toBe(false);
  });
});
