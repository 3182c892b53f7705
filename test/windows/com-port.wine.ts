import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { signedUpdate, tempFolder } from "../support/cli-run.js";
import { boardAtPort } from "../support/windows/board-at-port.js";
import { describeWindows } from "../support/windows/describe-windows.js";
import { inWindows, windowsPath } from "../support/windows/wine.js";

beforeAll(ensureBuilt);

describeWindows("a board at a COM port", (windows) => {
  const bootproof = (words: readonly string[], env: Record<string, string> = {}, before: string[] = []) =>
    inWindows(windows, windows.node, [...before, "dist/cli/main.js", ...words], { env });

  it("is flashed, and is one board however the port is spelled", async () => {
    await boardAtPort(windows, "com5");
    const state = tempFolder();
    const env = { XDG_CACHE_HOME: windowsPath(state), XDG_STATE_HOME: windowsPath(state) };
    const { image, publicKey } = await signedUpdate();
    const words = ["flash", windowsPath(image), "--key", windowsPath(publicKey), "--soak", "0", "--json"];
    const flashed = await bootproof([...words, "-d", "COM5"], env);
    expect(JSON.parse(flashed.stdout), flashed.stderr).toMatchObject({
      outcome: "confirmed",
      version: "2.0.0",
    });
    expect(flashed.status).toBe(0);
    for (const spelling of ["com5", "\\\\.\\COM5", "serial:com5"]) {
      const listed = await bootproof(["image", "list", "-d", spelling, "--json"], env);
      expect(listed.stdout, listed.stderr).toContain('"version": "2.0.0"');
    }
    const links = JSON.parse(readFileSync(join(state, "bootproof/links.json"), "utf8"));
    expect(Object.keys(links)).toEqual(["serial:COM5"]);
  });

  it("never answers for a port that is not there", async () => {
    await boardAtPort(windows, "com61");
    const folder = tempFolder();
    const list = join(folder, "list.cjs");
    // Wine lists no ports: the row that Windows gives, put in the native module's place.
    writeFileSync(
      list,
      `const { SerialPort } = require(${JSON.stringify(windowsPath(join(windows.tree, "../node_modules/serialport")))});
       SerialPort.list = async () => [{ path: "COM61", friendlyName: "USB-SERIAL CH340 (COM61)", vendorId: "1A86", productId: "7523" }];`,
    );
    const before = ["-r", windowsPath(list)];
    const there = await bootproof(["image", "list", "-d", "port:COM61", "--json"], {}, before);
    expect(there.status, there.stderr).toBe(0);
    const other = await bootproof(["image", "list", "-d", "port:COM6"], {}, before);
    expect(other.status, other.stderr).toBe(10);
    expect(other.stderr).toContain("COM6");
    expect(other.stdout).toBe("");
  });

  it("goes with a list that both native modules can be asked for", async () => {
    const listed = await bootproof(["devices", "--all", "--json"]);
    expect(listed.status, listed.stderr).toBe(0);
    expect(listed.stderr).toBe("");
  });
});
