import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { listDevices } from "../../src/devices/list.js";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof } from "../support/cli-run.js";
import { UsbTree, zephyrBoard } from "../support/usb-tree.js";

beforeAll(ensureBuilt);

const preload = fileURLToPath(new URL("../support/without-native-modules.cjs", import.meta.url));

/** As on a machine where the native parts of packages are another system's. */
const there = (words: readonly string[], platform?: string) =>
  bootproof(words, {
    env: { NODE_OPTIONS: `-r ${preload}`, ...(platform && { BOOTPROOF_TEST_PLATFORM: platform }) },
  });

describe("where no native module loads", () => {
  test("devices names what it cannot list, and lists the rest", async () => {
    const { status, stdout, stderr } = await there(["devices"], "win32");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("not listed: Serial ports cannot be opened here");
    expect(stdout).toContain("not listed: USB devices cannot be seen or opened here");
    expect(stdout).toContain("npm ci");
    const { stdout: json } = await there(["devices", "--json"], "win32");
    const { notListed } = JSON.parse(json) as { notListed: { package: string }[] };
    expect(notListed.map((one) => one.package)).toEqual(["serialport", "usb"]);
  });

  test("Linux lists by sysfs, which needs none", async () => {
    const { status, stdout } = await there(["devices"]);
    expect(status).toBe(0);
    expect(stdout).not.toContain("not listed");
  });

  test.each([
    [["info", "-d", "COM5"], "win32"],
    [["doctor", "-d", "COM5"], "win32"],
    [["dfu", "status"], undefined],
  ] as const)(
    "%j says what does not load and what to do, with a status of its own",
    async (words, platform) => {
      const { status, stdout, stderr } = await there(words, platform);
      expect(status).toBe(25);
      const said = `${stdout}${stderr}`;
      expect(said).toMatch(/ here: the native part of the package (serialport|usb) does not load \(/);
      expect(said).toContain("npm ci");
      expect(said).not.toContain("fault in bootproof");
    },
  );

  test("all that needs no port works", async () => {
    expect((await there(["info", "-d", "wasm:good"])).status).toBe(0);
  });

  test("a tree that can be read is listed, and nothing is said to be missing", async () => {
    const tree = new UsbTree();
    tree.plug("1-1", zephyrBoard("SN1"));
    const missing: unknown[] = [];
    const devices = await listDevices({ roots: tree.roots, onMissing: (why) => missing.push(why) });
    tree.remove();
    expect(devices.map(({ serialNumber }) => serialNumber)).toEqual(["SN1"]);
    expect(missing).toEqual([]);
  });
});
