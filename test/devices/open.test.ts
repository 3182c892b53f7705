import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { locate } from "../../src/devices/open.js";
import { LinuxTree } from "../support/linux-tree.js";

let tree: LinuxTree;

const JLINK = { idVendor: "1366", idProduct: "1051", product: "J-Link", manufacturer: "SEGGER" };

beforeEach(() => {
  tree = new LinuxTree();
  tree.plugBoard("ttyACM0", "1-1", { ...JLINK, serial: "000683000001" }, "00");
  tree.plugBoard("ttyACM1", "1-1", { ...JLINK, serial: "000683000001" }, "02");
  tree.plugBoard("ttyACM2", "1-2.4", {
    idVendor: "2fe3",
    idProduct: "0100",
    product: "Sensor hub",
    manufacturer: "ZEPHYR",
    serial: "SN-J-Link-7",
  });
  tree.linkById("usb-ZEPHYR_Sensor_hub_SN-J-Link-7-if00", "ttyACM2");
});
afterEach(() => tree.remove());

const chosen = async (selector: string, usbInterface?: number) =>
  (
    await locate(
      { kind: "port", selector, baudRate: 115200, ...(usbInterface === undefined ? {} : { usbInterface }) },
      { roots: tree.roots },
    )
  ).path;
const dev = (tty: string) => join(tree.home, "dev", tty);

describe("a port is chosen by", () => {
  test.each([
    ["serial number", "SN-J-Link-7", undefined, "ttyACM2"],
    ["serial number in other letters", "sn-j-link-7", undefined, "ttyACM2"],
    ["serial number and interface", "000683000001", 2, "ttyACM1"],
    ["vendor and product", "2FE3:0100", undefined, "ttyACM2"],
    ["vendor, product and interface", "1366:1051", 0, "ttyACM0"],
    ["the name of its link", "usb-ZEPHYR_Sensor_hub_SN-J-Link-7-if00", undefined, "ttyACM2"],
    ["place in the USB tree", "1-2.4", undefined, "ttyACM2"],
    ["part of its name", "sensor", undefined, "ttyACM2"],
    ["maker and name", "zephyr sensor hub", undefined, "ttyACM2"],
  ])("%s", async (_, selector, usbInterface, tty) => {
    expect(await chosen(selector, usbInterface)).toBe(dev(tty));
  });

  test("its link, as a path", async () => {
    const path = join(tree.home, "dev/serial/by-id/usb-ZEPHYR_Sensor_hub_SN-J-Link-7-if00");
    expect(await chosen(path)).toBe(dev("ttyACM2"));
  });
});

test("a device with several ports is refused, and they are listed", async () => {
  const error = await chosen("1366:1051").catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "ambiguous", message: expect.stringContaining("2 serial ports") });
  expect((error as { hint: string }).hint).toMatch(/#0 .*ttyACM0.*#2 .*ttyACM1/s);
});

test("two boards of one kind are told apart by more than the interface", async () => {
  tree.plugBoard("ttyACM3", "1-3", {
    idVendor: "2fe3",
    idProduct: "0100",
    product: "Sensor hub",
    serial: "SN-8",
  });
  const error = await chosen("2fe3:0100").catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "ambiguous" });
  expect((error as { hint: string }).hint).toMatch(/serial number .* SN-J-Link-7.* SN-8/s);
});

test("a selector that fits none says what there is", async () => {
  const error = await chosen("nonesuch").catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "no-board", message: expect.stringContaining('"nonesuch"') });
  expect((error as { hint: string }).hint).toMatch(/Sensor hub .*ttyACM2/);
});
