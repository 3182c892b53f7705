import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { listDevices } from "../../src/devices/list.js";
import { fitting, looksLikeDevice, SelectionError, selectDevice, smpPort } from "../../src/devices/select.js";
import { cdc, recoveryBoard, UsbTree, zephyrBoard } from "../support/usb-tree.js";

let tree: UsbTree;
beforeEach(() => {
  tree = new UsbTree();
  tree.plug("1-1.4", zephyrBoard("SN1", ["ttyACM0", "ttyACM1"]));
  tree.plug("1-2", zephyrBoard("SN2", ["ttyACM2", "ttyACM3"]));
  tree.plug("3-1", {
    vendorId: "1915",
    productId: "521f",
    product: "Open DFU Bootloader",
    interfaces: cdc(0, "ttyACM4"),
  });
});
afterEach(() => tree.remove());

const devices = () => listDevices({ roots: tree.roots });

describe("a device is selected by", () => {
  const cases: [what: string, text: () => string, usbPort: string][] = [
    ["serial number", () => "SN2", "1-2"],
    ["serial number in other case", () => "sn1", "1-1.4"],
    ["USB port", () => "1-1.4", "1-1.4"],
    ["USB ids", () => "1915:521F", "3-1"],
    ["board", () => "nrf52840dongle", "3-1"],
    ["the board's name", () => "nRF52840 Dongle", "3-1"],
    ["product name", () => "open dfu bootloader", "3-1"],
    ["the path of one of its ports", () => tree.dev("ttyACM3"), "1-2"],
  ];
  for (const [what, text, usbPort] of cases) {
    test(what, async () => {
      expect(selectDevice(text(), await devices()).device.usbPort).toBe(usbPort);
    });
  }
});

test("a part of a name is enough only where it is asked for: a misspelt name must not become another board", async () => {
  const all = await devices();
  expect(fitting(all, "bootloader").map(({ usbPort }) => usbPort)).toEqual(["3-1"]);
  expect(fitting(all, "bootloader", { whole: true })).toEqual([]);
  expect(fitting(all, "dfu").length).toBe(1);
  expect(fitting(all, "df")).toEqual([]);
});

function refused(select: () => unknown): SelectionError {
  try {
    select();
  } catch (error) {
    expect(error).toBeInstanceOf(SelectionError);
    return error as SelectionError;
  }
  throw new Error("nothing was refused");
}

test("two of a kind are refused, and listed by what tells them apart", async () => {
  const all = await devices();
  const error = refused(() => selectDevice("2fe3:0004", all));
  expect(error.code).toBe("ambiguous");
  expect(error.hint).toMatch(/1-1\.4 .*SN1/);
  expect(error.hint).toMatch(/1-2 .*SN2/);
  expect(error.hint).not.toContain("521f");
});

test("what is not there is refused with a list of what is", async () => {
  const all = await devices();
  const error = refused(() => selectDevice("SN9", all));
  expect(error.code).toBe("no-board");
  expect(error.hint).toContain("SN1");
});

test("a serial number is never taken for a name", async () => {
  tree.plug("4-1", { ...recoveryBoard("SN5", "ttyACM9"), product: "SN1" });
  expect(selectDevice("SN1", await devices()).device.usbPort).toBe("1-1.4");
});

test("the port with SMP is taken; another is asked for by its interface", async () => {
  const { device, usbInterface } = selectDevice("SN1#2", await devices());
  expect(smpPort(device).path).toBe(tree.dev("ttyACM0"));
  expect(smpPort(device, usbInterface).path).toBe(tree.dev("ttyACM1"));
  expect(refused(() => smpPort(device, 7)).hint).toContain("#2");
});

test("ports that nothing tells apart are refused and listed", async () => {
  tree.plug("5-1", {
    vendorId: "1366",
    productId: "1051",
    serial: "S",
    interfaces: [...cdc(0, "ttyACM5"), ...cdc(2, "ttyACM6")],
  });
  const { device } = selectDevice("S", await devices());
  const error = refused(() => smpPort(device));
  expect(error.code).toBe("ambiguous");
  expect(error.hint).toMatch(/--probe.*\n.*#0 .*ttyACM5.*\n.*#2 .*ttyACM6/);
});

test("a device in USB DFU has no port, and the hint says what to do with it", async () => {
  tree.plug("5-1", { vendorId: "0483", productId: "df11", interfaces: [{ number: 0, triple: "fe 01 02" }] });
  const { device } = selectDevice("5-1", await devices());
  expect(refused(() => smpPort(device)).hint).toContain("bootproof recover");
});

test.each(["1-1.4", "2fe3:0004", "1-1.4#2"])("%s can only be a device", (text) => {
  expect(looksLikeDevice(text)).toBe(true);
});
test.each(["bench-3", "tcp:1:2", "/dev/ttyACM0", "SN1"])("%s may be something else", (text) => {
  expect(looksLikeDevice(text)).toBe(false);
});
