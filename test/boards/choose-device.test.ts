import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addressMeant } from "../../src/boards/address-meant.js";
import { onlyDevice } from "../../src/boards/choose-device.js";
import type { Config } from "../../src/boards/config.js";
import { LinuxTree } from "../support/linux-tree.js";

const config = (boards: Record<string, string> = {}): Config => ({
  ...{ boards, details: {}, profiles: [], keys: [], known: [], plugins: [], tuf: {} },
});
const BOARD = { idVendor: "2fe3", idProduct: "0100", serial: "A1", product: "Zephyr board" };

let tree: LinuxTree;
beforeEach(() => {
  tree = new LinuxTree();
  // As on every PC: a UART of the mainboard, of a type that the kernel has found.
  tree.folderLink("sys/class/tty/ttyS0/device", "sys/devices/pnp0/00:04");
  tree.file("sys/class/tty/ttyS0/type", "4\n");
  tree.file("dev/ttyS0");
});
afterEach(() => tree.remove());

const choose = (boards: Record<string, string> = {}) => {
  const { roots } = tree;
  return onlyDevice(config(boards), undefined, { roots });
};

describe("the only board", () => {
  it("is the one that is plugged in, not the mainboard's serial port", async () => {
    tree.plugBoard("ttyACM0", "1-1", BOARD);
    expect(await choose()).toMatchObject({ serialNumber: "A1", usbPort: "1-1" });
  });

  it("is none when only the mainboard has a serial port; that is listed", async () => {
    await expect(choose()).rejects.toMatchObject({
      code: "no-board-here",
      message: "No board is plugged in.",
      hint: expect.stringMatching(/Built-in ports, used only when named:\n {4}.*ttyS0/),
    });
  });

  it("is not said among several, which are listed with the config file's boards", async () => {
    tree.plugBoard("ttyACM0", "1-1", BOARD);
    tree.plugBoard("ttyACM1", "1-2", { ...BOARD, serial: "B2" });
    await expect(choose({ lamp: "port:B2" })).rejects.toMatchObject({
      code: "several-boards-here",
      hint: expect.stringMatching(/A1 .*ttyACM0[\s\S]*B2 .*ttyACM1[\s\S]*config file:\n {4}lamp {2}port:B2/),
    });
  });

  it("is not said by two boards of a config file without a default", async () => {
    await expect(choose({ lamp: "tcp:rack:4001", door: "tcp:rack:4002" })).rejects.toMatchObject({
      code: "several-boards-here",
      message: "The config file describes 2 boards and no default.",
      hint: expect.stringMatching(/lamp {2}tcp:rack:4001\n {4}door {2}tcp:rack:4002/),
    });
  });
});

describe("what is meant by a path", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "meant-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("of a device file, by any name, is a serial port", () => {
    // A pseudo-terminal that socat links to, as people name them.
    symlinkSync("/dev/null", join(folder, "modem"));
    expect(addressMeant(`${folder}/modem?baud=9600`)).toEqual({
      address: `serial:${folder}/modem?baud=9600`,
      isCertain: true,
    });
  });

  it("of a file, a folder or a socket is said", () => {
    writeFileSync(join(folder, "flash.bin"), "");
    const listen = `import("node:net").then(({ createServer }) => createServer().listen(process.argv[1], () => process.exit()))`;
    expect(spawnSync(process.execPath, ["-e", listen, join(folder, "qemu.sock")]).status).toBe(0);
    expect(addressMeant(join(folder, "flash.bin"))).toMatchObject({
      refusal: expect.stringContaining("is a file"),
    });
    expect(addressMeant(folder)).toMatchObject({ refusal: expect.stringContaining("is a folder") });
    expect(addressMeant(join(folder, "qemu.sock"))).toMatchObject({ hint: expect.stringContaining("socat") });
    expect(addressMeant(join(folder, "absent"))).toBeUndefined();
  });
});
