import { afterEach, beforeEach, expect, test } from "vitest";
import { changes, type DeviceChange, listDevices, watchDevices } from "../../src/devices/list.js";
import { recoveryBoard, UsbTree, zephyrBoard } from "../support/usb-tree.js";

let tree: UsbTree;
beforeEach(() => {
  tree = new UsbTree();
});
afterEach(() => tree.remove());

const list = () => listDevices({ roots: tree.roots });
const told = (all: readonly DeviceChange[]) =>
  all.map(({ change, device }) => `${change} ${device.usbPort} ${device.state}`);

test("what is there is told, then what is plugged in, changes and goes", async () => {
  tree.plug("1-1", zephyrBoard("SN1"));
  const stop = new AbortController();
  const seen: DeviceChange[] = [];
  // Each step waits for what the step before brought about: no step depends on how quickly the watch looks.
  const steps = [
    () => tree.plug("1-2", zephyrBoard("SN2", ["ttyACM2", "ttyACM3"])),
    () => {
      tree.unplug("1-1");
      tree.plug("1-1", recoveryBoard("SN1"));
    },
    () => tree.unplug("1-2"),
    () => stop.abort(),
  ];
  for await (const change of watchDevices({ roots: tree.roots, signal: stop.signal, everyMs: 1 })) {
    seen.push(change);
    steps.shift()?.();
  }
  expect(told(seen)).toEqual([
    "plugged 1-1 unknown",
    "plugged 1-2 unknown",
    "changed 1-1 mcuboot-recovery",
    "unplugged 1-2 unknown",
  ]);
});

test("nothing changes between two looks at the same", async () => {
  tree.plug("1-1", zephyrBoard("SN1"));
  expect(changes(await list(), await list())).toEqual([]);
});

test("two boards changed over in one USB port are two boards", async () => {
  tree.plug("1-1", zephyrBoard("SN1"));
  const before = await list();
  tree.unplug("1-1");
  tree.plug("1-1", zephyrBoard("SN2"));
  expect(told(changes(before, await list()))).toEqual(["unplugged 1-1 unknown", "plugged 1-1 unknown"]);
});

test("a storm of plugging ends in what is there", async () => {
  const before = await list();
  for (let round = 0; round < 50; round++) {
    tree.plug("1-1", zephyrBoard(`SN${round}`));
    tree.unplug("1-1");
  }
  tree.plug("1-1", zephyrBoard("last"));
  const after = await list();
  expect(changes(before, after).map(({ device }) => device.serialNumber)).toEqual(["last"]);
});
