import { describe, expect, it, test } from "vitest";
import { joinDevices } from "../../src/devices/device.js";
import { findAgain, identityOf } from "../../src/devices/device-tracker.js";
import { fitting, SelectionError, selectDevice } from "../../src/devices/select.js";
import { KNOWN_BOARDS } from "../../src/profiles/boards.js";
import { formatAddress } from "../../src/transport/address.js";
import { fromSystemList } from "../../src/transport/list.js";
import { parseAddress } from "../../src/transport/parse-address.js";
import type { UsbDeviceInfo } from "../../src/transport/usb-devices.js";

/** What the lists of serialport and of usb give on Windows, which these tests therefore need not be run on. */
type Row = Parameters<typeof fromSystemList>[0];
const join = (rows: readonly Row[], usb: readonly UsbDeviceInfo[] = []) =>
  joinDevices(rows.map(fromSystemList), usb, KNOWN_BOARDS);

const ch340 = (com: number, place?: string): Row => ({
  path: `COM${com}`,
  friendlyName: `USB-SERIAL CH340 (COM${com})`,
  vendorId: "1A86",
  productId: "7523",
  ...(place !== undefined && { serialNumber: place, pnpId: `USB\\VID_1A86&PID_7523\\${place}` }),
});

const usbDevice = (usbPort: string, vendorId = "1a86", productId = "7523"): UsbDeviceInfo => ({
  usbPort,
  vendorId,
  productId,
  interfaces: [],
});

describe("a port that is not there", () => {
  const here = join([ch340(61), { ...ch340(7), friendlyName: "Probe of COM6 (COM7)" }]);

  test.each(["COM6", "com6", "\\\\.\\COM6"])("no other board answers for %s", (wanted) => {
    expect(fitting(here, wanted)).toEqual([]);
    expect(() => selectDevice(wanted, here)).toThrow(SelectionError);
  });

  test.each(["COM61", "com61", "\\\\.\\com61", "CH340"])("%s is the one board", (wanted) => {
    expect(fitting(here, wanted).map(({ ports }) => ports[0]?.path)).toEqual(["COM61"]);
  });
});

test.each(["com5", "COM5", "\\\\.\\COM5", "serial:com5"])("%s is one address", (text) => {
  expect(formatAddress(parseAddress(text))).toBe("serial:COM5");
});

describe("an adapter without serial number", () => {
  it("is one device in both lists; the id that Windows makes of its place is no serial number", () => {
    const [device, ...more] = join([ch340(5, "5&2A1B3C&0&2")], [usbDevice("1-2")]);
    expect(more).toEqual([]);
    expect(device).toMatchObject({ usbPort: "1-2", ports: [{ path: "COM5" }] });
    expect(device).not.toHaveProperty("serialNumber");
  });

  it("is known by its place where USB is not listed, and found again there", () => {
    const [device] = join([ch340(5, "5&2A1B3C&0&2")]);
    expect(device).toMatchObject({ usbPort: "5&2a1b3c&0&2" });
    const again = join([ch340(6, "5&2A1B3C&0&2"), ch340(5, "5&2A1B3C&0&3")]);
    expect(findAgain(identityOf(device!), again)?.ports[0]?.path).toBe("COM6");
    expect(findAgain(identityOf(device!), join([ch340(5, "5&2A1B3C&0&3")]))).toBeUndefined();
    expect(selectDevice("5&2a1b3c&0&2", again).device.ports[0]?.path).toBe("COM6");
    expect(parseAddress("port:5&2a1b3c&0&2")).toMatchObject({ kind: "port", selector: "5&2a1b3c&0&2" });
  });

  it("is known by its port where that is all it shows", () => {
    const [device] = join([ch340(61)]);
    expect(findAgain(identityOf(device!), join([ch340(6), ch340(61)]))?.ports[0]?.path).toBe("COM61");
    expect(findAgain(identityOf(device!), join([ch340(6)]))).toBeUndefined();
  });

  it("and its twin are two devices in all", () => {
    const devices = join(
      [ch340(5, "5&2A1B3C&0&2"), ch340(6, "5&2A1B3C&0&3")],
      [usbDevice("1-2"), usbDevice("1-3"), usbDevice("1-4", "0483", "374b")],
    );
    expect(devices.map(({ usbPort }) => usbPort)).toEqual(["1-4", "5&2a1b3c&0&2", "5&2a1b3c&0&3"]);
  });

  it("hides no third one that has no port", () => {
    const devices = join([ch340(5, "5&2A1B3C&0&2")], [usbDevice("1-2"), usbDevice("1-3")]);
    expect(devices).toHaveLength(3);
  });

  it("with two ports is one device: its parts share the place", () => {
    const part = (com: number, number: string): Row => ({
      path: `COM${com}`,
      pnpId: `USB\\VID_2FE3&PID_0004&MI_${number}\\7&2E599BD4&0&00${number}`,
      serialNumber: `7&2E599BD4&0&00${number}`,
      vendorId: "2FE3",
      productId: "0004",
    });
    const devices = join([part(5, "00"), part(6, "02")], [usbDevice("1-2", "2fe3", "0004")]);
    expect(devices.map(({ ports }) => ports.map(({ path }) => path))).toEqual([["COM5", "COM6"]]);
    expect(join([part(5, "00"), part(6, "02")])).toMatchObject([
      { usbPort: "7&2e599bd4&0", ports: [{ usbInterface: 0 }, { usbInterface: 2 }] },
    ]);
  });
});

describe("a board with a serial number", () => {
  const board: Row = { path: "COM9", serialNumber: "A1", vendorId: "2FE3", productId: "0004" };

  it("is the device in the USB list whose number may not be read, and no other that shows one", () => {
    const mute = usbDevice("1-2", "2fe3", "0004");
    expect(join([board], [mute])).toHaveLength(1);
    expect(join([board], [{ ...mute, serialNumber: "B2" }])).toHaveLength(2);
    const [first, second] = join([board], [mute, { ...mute, usbPort: "1-3", serialNumber: "A1" }]);
    expect(first?.ports).toEqual([]);
    expect(second).toMatchObject({ usbPort: "1-3", ports: [{ path: "COM9" }] });
  });
});
