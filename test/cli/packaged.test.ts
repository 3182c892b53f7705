import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt, packing, root } from "../support/cli-build.js";
import { bootproof, keyFile, signWords } from "../support/cli-run.js";
import { MANY_STEPS_MS } from "../support/limits.js";
import { wasmBoardOnPty } from "../support/wasm-board-on-pty.js";

/** The packaged program where there is nothing else: no Node, no home, no temporary folder, no other file. */
const empty = mkdtempSync(join(tmpdir(), "bootproof-packaged-"));
afterAll(() => rmSync(empty, { recursive: true, force: true }));

const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
const platform = `linux-${process.arch}`;
const folder = join(root, `dist/packages/bootproof-${version}-${platform}`);

/** A file system of our own to mount in; as another user that takes a name space. */
const OWN_MOUNTS = process.getuid?.() === 0 ? ["-m"] : ["-rm"];

function whyNot(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64")
    return "the package of this machine is not built here";
  const tried = spawnSync("unshare", [...OWN_MOUNTS, "/usr/sbin/chroot", "/", "true"], { encoding: "utf8" });
  return tried.status === 0 ? undefined : `no chroot here: ${tried.error?.message ?? tried.stderr}`;
}

const reason = whyNot();
if (reason !== undefined && process.env.CI) throw new Error(reason);

/** Runs the program with nothing in its environment and nothing in its world but itself, the C library, /dev and /proc. */
function inEmpty(...words: string[]) {
  const script =
    'mount --rbind /dev "$0/dev" && mount --rbind /proc "$0/proc" && exec env -i /usr/sbin/chroot "$0" "$@"';
  const all = [...OWN_MOUNTS, "sh", "-c", script, empty, "/bootproof/bootproof", ...words];
  const { status, stdout, stderr } = spawnSync("unshare", all, { encoding: "utf8", maxBuffer: 1 << 24 });
  return { status, stdout, stderr };
}

describe.skipIf(reason !== undefined)(
  `the packaged program${reason === undefined ? "" : ` (skipped: ${reason})`}`,
  () => {
    beforeAll(async () => {
      await ensureBuilt();
      const words = [join(root, ".config/package.mjs"), "--unpacked", platform];
      const made = await packing(() => spawnSync(process.execPath, words, { encoding: "utf8" }));
      expect(made.status, made.stderr).toBe(0);
      for (const name of ["dev", "proc"]) mkdirSync(join(empty, name));
      cpSync(folder, join(empty, "bootproof"), { recursive: true });
      const needed = spawnSync("ldd", [join(folder, "bootproof")], { encoding: "utf8" }).stdout;
      for (const [library] of needed.matchAll(/\/\S+\.so\S*/g)) {
        mkdirSync(dirname(join(empty, library)), { recursive: true });
        copyFileSync(library, join(empty, library));
      }
    }, MANY_STEPS_MS);

    it("says its version and its help", () => {
      expect(inEmpty("--version").stdout).toBe(`${version}\n`);
      expect(inEmpty("help", "flash").stdout).toContain("Usage: bootproof flash");
      expect(inEmpty("help", "exit-status").stdout).toContain("130");
    });

    it("does the demo", () => {
      const { status, stdout, stderr } = inEmpty("demo", "-q");
      expect(status, stderr).toBe(0);
      expect(stdout).toMatch(/(\d+) of \1 scenes ended as expected/);
    });

    it("proves an emulated board", () => {
      const { status, stdout, stderr } = inEmpty("prove", "--quick", "-d", "wasm:good");
      expect(stdout, stderr).toContain("A bad update is reverted");
      expect(status, stderr).toBe(0);
    });

    it("flashes a board on a serial port, by its native module", async () => {
      const image = join(empty, "update.bin");
      expect((await bootproof(signWords("good-b", image))).status).toBe(0);
      copyFileSync(keyFile("ed25519-1"), join(empty, "key.pem"));
      const pty = await wasmBoardOnPty();
      const { status, stdout, stderr } = inEmpty(
        "flash",
        "/update.bin",
        "-d",
        `serial:${pty}`,
        "--key",
        "/key.pem",
        "--json",
      );
      expect(status, stderr).toBe(0);
      expect(stderr).not.toContain("Warning");
      expect(JSON.parse(stdout)).toMatchObject({ outcome: "confirmed", version: "2.0.0" });
    });

    it("leaves files only where its user's are", () => {
      const { stdout } = spawnSync(
        "find",
        [empty, "-xdev", "-newer", join(empty, "bootproof/bootproof"), "-type", "f"],
        {
          encoding: "utf8",
        },
      );
      const written = stdout
        .split("\n")
        .filter((path) => path !== "" && !path.startsWith(join(empty, "bootproof/")));
      const outside = written.filter(
        (path) => !/\/(?:\.local|\.cache|\.config)\/|\.so|\.bin$|\.pem$/.test(path),
      );
      expect(outside).toEqual([]);
    });
  },
);
