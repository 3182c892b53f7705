import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { ensureBuilt, root } from "../support/cli-build.js";
import { keyFile, runOnce, tempFolder } from "../support/cli-run.js";
import { describeWindows } from "../support/windows/describe-windows.js";
import { inWindows, windowsPath } from "../support/windows/wine.js";

beforeAll(ensureBuilt);

const SIGNING = "--pad-header -H 0x80 -S 0x20000 --align 4 -M 32 -v 2.0.0 -s 2 -k key.pem".split(" ");

/** In this order, in a folder of a system's own: names without a folder give both systems the same words to print. */
const COMMANDS: readonly (readonly string[])[] = [
  ["--version"],
  ["help", "exit-status"],
  ["keys", "public", "key.pem", "public.pem"],
  ["keys", "public", "key.pem", "key.c", "--form", "c"],
  ["sign", ...SIGNING, "body.bin", "update.bin"],
  ["sign", ...SIGNING, "--confirm", "--hex-addr", "0x10000", "body.bin", "update.hex"],
  ["imgtool", "sign", ...SIGNING, "body.bin", "imgtool.bin"],
  ["imgtool", "verify", "-k", "key.pem", "imgtool.bin"],
  ["imgtool", "dumpinfo", "update.bin"],
  ["verify", "update.bin", "--key", "public.pem", "--strict", "--json"],
  ["verify", "damaged.bin", "--key", "public.pem"],
  ["inspect", "update.hex", "--json"],
  ["inspect", "nothing.bin"],
  ["info", "-d", "wasm:good", "--json"],
];

/** What stands in both folders at the beginning. */
function inputs(folder: string): void {
  mkdirSync(folder);
  copyFileSync(keyFile("ed25519-1"), join(folder, "key.pem"));
  const body = readFileSync(join(root, "firmware-fixtures/prebuilt/app-good-b.wasm"));
  writeFileSync(join(folder, "body.bin"), body);
  writeFileSync(join(folder, "damaged.bin"), body.subarray(0, 1000));
}

const filesOf = (folder: string) =>
  Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(join(folder, name)).toString("hex")]),
  );

describeWindows("the command line", (windows) => {
  const onWindows = (words: readonly string[], cwd: string, env: Record<string, string> = {}) =>
    inWindows(windows, windows.node, [windowsPath(join(windows.tree, "dist/cli/main.js")), ...words], {
      cwd,
      env,
    });

  it("says, writes and ends on Windows as it does on Linux", async () => {
    const folder = tempFolder();
    const [here, there] = [join(folder, "linux"), join(folder, "windows")];
    inputs(here);
    inputs(there);
    for (const words of COMMANDS) {
      const [linux, wine] = await Promise.all([
        runOnce(words, { cwd: here, env: { BOOTPROOF_NO_LOG: "1", NO_COLOR: "1" } }),
        onWindows(words, there),
      ]);
      // A hint names the folder.
      const stderr = wine.stderr.replaceAll(windowsPath(there), here);
      expect({ ...wine, stderr }, words.join(" ")).toEqual(linux);
    }
    const written = filesOf(there);
    expect(Object.keys(written)).toEqual(
      expect.arrayContaining(["imgtool.bin", "key.c", "public.pem", "update.bin", "update.hex"]),
    );
    expect(written).toEqual(filesOf(here));
  });

  it("has what only Windows has", async () => {
    const folder = join(tempFolder(), "windows");
    inputs(folder);
    const nul = await onWindows(["sign", ...SIGNING, "body.bin", "NUL"], folder, {
      // A drive that is not there, for what it remembers.
      BOOTPROOF_NO_LOG: "",
      XDG_STATE_HOME: "Q:\\none",
    });
    expect(nul.stderr).not.toMatch(/fault in bootproof|call stack/);
    expect(nul.status, nul.stderr).toBe(0);
    expect(readdirSync(folder).sort()).toEqual(["body.bin", "damaged.bin", "key.pem"]);

    const key = await onWindows(["keys", "generate", "new.pem"], folder);
    expect(key.stderr).toContain("who may read the folder");
    expect(key.status).toBe(0);

    writeFileSync(join(folder, "sign.cmd"), "@exit 20\r\n");
    const signer = ["--public-key", "new.pem", "--signer-command", "sign.cmd"];
    const batch = await onWindows(["sign", ...SIGNING.slice(0, -2), ...signer, "body.bin", "a.bin"], folder);
    expect(batch.stderr).toContain("sign.cmd is a batch file");
    expect(batch.stderr).not.toContain("fault in bootproof");
    expect(batch.status).toBe(24);

    const qemu = await onWindows(["info", "-d", "qemu:good"], folder);
    expect(qemu.stderr).toMatch(/^bootproof: QEMU boards do not run on Windows.*\n {2}try: .*wasm:good/);
    expect(qemu.status).toBe(25);
  });
});
