import { afterEach, beforeEach, expect, test } from "vitest";
import { DeviceTracker } from "../../src/devices/device-tracker.js";
import { listDevices } from "../../src/devices/list.js";
import { selectDevice } from "../../src/devices/select.js";
import { recoveryBoard, UsbTree, zephyrBoard } from "../support/usb-tree.js";

let tree: UsbTree;
beforeEach(() => {
  tree = new UsbTree();
});
afterEach(() => tree.remove());

const list = () => listDevices({ roots: tree.roots });

async function follow(selector: string): Promise<DeviceTracker> {
  const among = await list();
  const { device, usbInterface } = selectDevice(selector, among);
  return new DeviceTracker(device, { usbInterface, among, list });
}

test("a board that comes back under another tty is found by its serial number", async () => {
  tree.plug("1-1", zephyrBoard("SN1", ["ttyACM0", "ttyACM1"]));
  const board = await follow("SN1");
  tree.unplug("1-1");
  await expect(board.port()).rejects.toMatchObject({ code: "not-found" });
  tree.plug("1-1", zephyrBoard("SN1", ["ttyACM4", "ttyACM5"]));
  expect(await board.port()).toBe(tree.dev("ttyACM4"));
});

test("another board that took the old tty meanwhile is not taken for it", async () => {
  tree.plug("1-1", zephyrBoard("SN1", ["ttyACM0", "ttyACM1"]));
  const board = await follow("SN1");
  tree.unplug("1-1");
  tree.plug("1-2", zephyrBoard("SN2", ["ttyACM0", "ttyACM1"]));
  await expect(board.port()).rejects.toMatchObject({ code: "not-found" });
});

test("another board of the kind in the same USB port is another board", async () => {
  tree.plug("1-1", zephyrBoard("SN1"));
  const board = await follow("SN1");
  tree.unplug("1-1");
  tree.plug("1-1", zephyrBoard("SN2"));
  await expect(board.port()).rejects.toMatchObject({ code: "not-found" });
});

test("a board whose bootloader has no serial number is found by its place", async () => {
  tree.plug("1-1.4", zephyrBoard("SN1"));
  const board = await follow("SN1");
  tree.unplug("1-1.4");
  tree.plug("1-1.4", recoveryBoard(undefined, "ttyACM7"));
  expect(await board.port()).toBe(tree.dev("ttyACM7"));
});

test("a board moved to another USB port keeps its identity", async () => {
  tree.plug("1-1", zephyrBoard("SN1"));
  const board = await follow("SN1");
  tree.unplug("1-1");
  tree.plug("3-2", zephyrBoard("SN1", ["ttyACM2", "ttyACM3"]));
  expect(await board.port()).toBe(tree.dev("ttyACM2"));
});

test("of two boards with one serial number, the one that stayed is not taken for the one that is away", async () => {
  tree.plug("1-1", zephyrBoard("0001", ["ttyACM0", "ttyACM1"]));
  tree.plug("1-2", zephyrBoard("0001", ["ttyACM2", "ttyACM3"]));
  const board = await follow("1-1");
  tree.unplug("1-1");
  await expect(board.port()).rejects.toMatchObject({ code: "not-found" });
  tree.plug("1-1", zephyrBoard("0001", ["ttyACM8", "ttyACM9"]));
  expect(await board.port()).toBe(tree.dev("ttyACM8"));
});

test("the interface that was asked for is kept over a reset", async () => {
  tree.plug("1-1", zephyrBoard("SN1", ["ttyACM0", "ttyACM1"]));
  const board = await follow("SN1#2");
  expect(await board.port()).toBe(tree.dev("ttyACM1"));
  tree.unplug("1-1");
  tree.plug("1-1", recoveryBoard("SN1", "ttyACM6"));
  expect(await board.port()).toBe(tree.dev("ttyACM6"));
});

test("USB before its tty is a board without a port so far", async () => {
  tree.plug("1-1", zephyrBoard("SN1"));
  const board = await follow("SN1");
  tree.unplug("1-1");
  tree.plug("1-1", { ...zephyrBoard("SN1"), interfaces: [] });
  await expect(board.port()).rejects.toThrow("no serial port yet");
});
