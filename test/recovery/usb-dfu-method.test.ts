import { afterEach, beforeEach, expect, test } from "vitest";
import { listDevices } from "../../src/devices/list.js";
import { readMemory } from "../../src/dfu/memory.js";
import { alternateFor } from "../../src/dfu-transfer/choose-memory.js";
import type { DfuMemory } from "../../src/dfu-transfer/device.js";
import { KNOWN_BOARDS } from "../../src/profiles/boards.js";
import { usbDfuWriter, whyNoDfu } from "../../src/recovery/usb-dfu.js";
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

async function method(device: TreeDevice, profile = nucleo) {
  tree.plug("1-2", device);
  const [found] = await listDevices({ roots: tree.roots });
  return usbDfuWriter(found, profile);
}

test("ST's ROM is written where the board's primary slot lies, and says which device", async () => {
  const writer = await method(ROM);
  expect(writer?.summary).toContain("STM32  BOOTLOADER S1 on USB port 1-2, to the primary slot at 0x8020000");
});

test("ST's ROM of a board whose slots are not known has no such recovery method", async () => {
  const [found] = KNOWN_BOARDS.filter(({ id }) => id === "nucleo");
  expect(await method(ROM, found)).toBeUndefined();
});

test("a DFU without addresses decides by itself, whatever the board is", async () => {
  const writer = await method(
    { vendorId: "2fe3", productId: "ffff", interfaces: [{ number: 0, triple: "fe 01 02" }] },
    KNOWN_BOARDS.find(({ id }) => id === "nrf52840dk"),
  );
  expect(writer?.summary).toContain("to the place that its DFU uses for images");
});

test("a device without DFU, or none, has no such recovery method", async () => {
  expect(await method(zephyrBoard("SN1"))).toBeUndefined();
  expect(usbDfuWriter(undefined, nucleo)).toBeUndefined();
});

test("ST's ROM is known by its ids where the system tells no interfaces", async () => {
  const { interfaces: _untold, ...rom } = ROM;
  expect((await method(rom))?.summary).toContain("to the primary slot at 0x8020000");
});

test("why there is no such recovery method is told by what is missing", async () => {
  tree.plug("1-2", ROM);
  tree.plug("1-3", zephyrBoard("SN1"));
  const [rom, board] = await listDevices({ roots: tree.roots });
  expect(whyNoDfu(undefined, nucleo)).toMatch(/not known which USB device/);
  expect(whyNoDfu(board, nucleo)).toBe("It has no USB DFU device.");
  expect(whyNoDfu(rom, undefined)).toMatch(/--profile/);
  expect(
    whyNoDfu(
      rom,
      KNOWN_BOARDS.find(({ id }) => id === "nucleo"),
    ),
  ).toMatch(/primary slot of ST Nucleo/);
  expect(whyNoDfu(rom, nucleo)).toBeUndefined();
});

test("of several memories the one that holds the slot is taken; without addresses the one that takes downloads", () => {
  const memory = (alternate: number, name: string) => {
    const read = readMemory(name);
    return { alternate, name, ...(read && { memory: read }) } as DfuMemory;
  };
  const st = [
    memory(0, "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg"),
    memory(1, "@Option Bytes  /0x1FFFC000/01*016 e"),
    memory(2, "@OTP Memory /0x1FFF7800/01*512 e,01*016 e"),
  ];
  expect(alternateFor(st, nucleo!.slots![0])).toBe(0);
  expect(alternateFor(st, { address: 0x9000_0000, size: 4096 })).toBeUndefined();
  expect(alternateFor([memory(0, "image_0"), memory(1, "image_1")], undefined)).toBe(1);
  expect(alternateFor([memory(0, "slot")], undefined)).toBe(0);
  expect(alternateFor([memory(0, "a"), memory(1, "b")], undefined)).toBeUndefined();
});
