import { existsSync, linkSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { isNothing, writeOutput } from "../../src/cli/files.js";

vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  return { ...real, linkSync: vi.fn(real.linkSync) };
});

function folderOf(): string {
  const folder = mkdtempSync(join(tmpdir(), "bootproof-files-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** As FAT (EPERM), network shares (EOPNOTSUPP) and FUSE (ENOSYS) answer. */
function withoutLinks(code: string): void {
  vi.mocked(linkSync).mockImplementation(() => {
    throw Object.assign(new Error(`${code}: no links here`), { code });
  });
  onTestFinished(() => void vi.mocked(linkSync).mockReset());
}

test.each(["EPERM", "EOPNOTSUPP", "ENOSYS"])(
  "a new file is written where the file system answers %s to a hard link; one that is there stays",
  (code) => {
    const folder = folderOf();
    const path = join(folder, "got.bin");
    withoutLinks(code);
    writeOutput(path, "theirs", { overwrite: false });
    expect(linkSync).toHaveBeenCalled();
    expect(readFileSync(path, "utf8")).toBe("theirs");
    writeFileSync(path, "mine");
    expect(() => writeOutput(path, "theirs", { overwrite: false })).toThrow(/exists and was not changed/);
    expect(readFileSync(path, "utf8")).toBe("mine");
    expect(readdirSync(folder)).toEqual(["got.bin"]);
  },
);

test("another failure of the link is told, and nothing is left behind", () => {
  const folder = folderOf();
  withoutLinks("ENOSPC");
  const path = join(folder, "got.bin");
  expect(() => writeOutput(path, "theirs", { overwrite: false })).toThrow(/Cannot write .*ENOSPC/);
  expect(existsSync(path)).toBe(false);
  expect(readdirSync(folder)).toEqual([]);
});

test.each(["NUL", "nul", "C:\\logs\\nul", "out/NUL", "\\\\.\\NUL"])(
  "on Windows %s is nothing, elsewhere a file",
  (path) => {
    expect(isNothing(path, "win32")).toBe(true);
    expect(isNothing(path, "linux")).toBe(false);
  },
);

test.each(["null", "nul.bin", "annul", "nul\\a"])("on Windows %s is a file", (path) => {
  expect(isNothing(path, "win32")).toBe(false);
});
