import { afterEach, beforeEach, expect, test } from "vitest";
import { drawDevices } from "../../src/cli/draw-devices.js";
import { listDevices } from "../../src/devices/list.js";
import { type NamedDevice, namesOf } from "../../src/devices/select.js";
import { KNOWN_BOARDS } from "../../src/profiles/boards.js";
import { cdc, recoveryBoard, type TreeDevice, UsbTree, zephyrBoard } from "../support/usb-tree.js";

let tree: UsbTree;
beforeEach(() => {
  tree = new UsbTree();
});
afterEach(() => tree.remove());

/** The screen; paths as they would be on a machine of its own. */
async function screen(named: readonly NamedDevice[] = []): Promise<string[]> {
  const devices = await listDevices({ roots: tree.roots, named });
  const shown = devices.map((device) => ({ device, names: namesOf(device, devices, named) }));
  return drawDevices(shown, new Map()).replaceAll(tree.home, "").split("\n");
}

const ROM: TreeDevice = {
  vendorId: "0483",
  productId: "df11",
  product: "STM32  BOOTLOADER",
  serial: "357632683231",
  interfaces: [{ number: 0, triple: "fe 01 02" }],
};
const jlink: TreeDevice = {
  vendorId: "1366",
  productId: "1051",
  product: "J-Link",
  serial: "000683001122",
  interfaces: [...cdc(0, "ttyACM3"), ...cdc(2, "ttyACM4")],
};

test("a bench: each board once, its state, its ports below it, on 80 columns", async () => {
  tree.plug("1-1", zephyrBoard("SN1"));
  tree.plug("1-2", recoveryBoard("SN2", "ttyACM2"));
  tree.plug("1-3", ROM);
  tree.plug("1-4.1", jlink);
  tree.plug("1-4.2", { ...zephyrBoard("SN3"), interfaces: cdc(0, undefined) });
  const lines = await screen([{ name: "bench-3", device: "SN1" }]);
  expect(lines.map((line) => line.replace(/ +/g, " "))).toEqual([
    "USB PORT DEVICE USB ID STATE",
    "1-1 bench-3: CDC ACM serial backend SN1 2fe3:0004 unknown",
    " /dev/ttyACM0 #0 SMP can be opened",
    " /dev/ttyACM1 #2 log can be opened",
    "1-2 MCUBOOT SN2 2fe3:0100 MCUboot recovery",
    " /dev/ttyACM2 #0 can be opened",
    "1-3 STM32 BOOTLOADER 357632683231 0483:df11 ST ROM DFU",
    " can be opened by USB DFU",
    "1-4.1 J-Link 000683001122 1366:1051 unknown",
    " in front of a board, perhaps: nRF52840 DK, nRF5340 DK, nRF9160 DK, ...",
    " /dev/ttyACM3 #0 can be opened",
    " /dev/ttyACM4 #2 can be opened",
    "1-4.2 CDC ACM serial backend SN3 2fe3:0004 unknown",
    " cannot be opened: The kernel's driver cdc_acm has not taken it, so it has no serial port.",
    " try: Load it: sudo modprobe cdc_acm. Or use -d usb:VID:PID, which needs no driver.",
  ]);
  // Columns are padded to the widest machine path of the test's own tree, so only the heads have a fixed width.
  const heads = lines.filter((line) => !line.startsWith(" "));
  expect(Math.max(...heads.map((line) => line.length))).toBeLessThanOrEqual(80);
});

test("a probe that the config file ties to a board shows the board, and what its ports carry", async () => {
  tree.plug("1-4.1", jlink);
  const profile = KNOWN_BOARDS.find(({ id }) => id === "nrf54l15dk")!;
  const lines = await screen([{ name: "sensor", device: "000683001122", profile }]);
  expect(lines.slice(1).map((line) => line.trim().replace(/ +/g, " "))).toEqual([
    "1-4.1 sensor: nRF54L15 DK 000683001122 1366:1051 unknown",
    "/dev/ttyACM3 #0 something else can be opened",
    "/dev/ttyACM4 #2 SMP and log can be opened",
  ]);
});

test("what a device calls itself cannot steer the terminal", async () => {
  tree.plug("1-1", { ...recoveryBoard("\u001b[2J"), product: "\u001b]0;x\u0007" });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  expect((await screen()).join("\n")).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
});
