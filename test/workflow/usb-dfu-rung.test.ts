import { afterEach, beforeEach, expect, test } from "vitest";
import { listDevices } from "../../src/devices/list.js";
import { KNOWN_BOARDS } from "../../src/profiles/boards.js";
import { usbDfuWriter } from "../../src/workflow/ladder/usb-dfu.js";
import { type TreeDevice, UsbTree, zephyrBoard } from "../support/usb-tree.js";

let tree: UsbTree;
beforeEach(() => {
  tree = new UsbTree();
});
afterEach(() => tree.remove());

const ROM: TreeDevice = {
  vendorId: "0483",
  productId: "df11",
  product: "STM32  BOOTLOADER",
  serial: "S1",
  interfaces: [
    { number: 0, triple: "fe 01 02", name: "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg" },
  ],
};
const nucleo = KNOWN_BOARDS.find(({ id }) => id === "nucleo-f429zi");

async function rung(device: TreeDevice, profile = nucleo) {
  tree.plug("1-2", device);
  const [found] = await listDevices({ roots: tree.roots });
  return usbDfuWriter(found, profile, []);
}

test("ST's ROM is written where the board's primary slot lies, and says which device", async () => {
  const writer = await rung(ROM);
  expect(writer?.does).toContain("STM32  BOOTLOADER S1 on USB port 1-2, to the primary slot at 0x8020000");
});

test("ST's ROM of a board whose slots are not known has no such rung", async () => {
  const [found] = KNOWN_BOARDS.filter(({ id }) => id === "nucleo");
  expect(await rung(ROM, found)).toBeUndefined();
});

test("a DFU without addresses decides by itself, whatever the board is", async () => {
  const writer = await rung(
    { vendorId: "2fe3", productId: "ffff", interfaces: [{ number: 0, triple: "fe 01 02" }] },
    KNOWN_BOARDS.find(({ id }) => id === "nrf52840dk"),
  );
  expect(writer?.does).toContain("to where its DFU puts images");
});

test("a device without DFU, or none, has no such rung", async () => {
  expect(await rung(zephyrBoard("SN1"))).toBeUndefined();
  expect(usbDfuWriter(undefined, nucleo, [])).toBeUndefined();
});
