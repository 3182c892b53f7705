import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LinuxRoots } from "../../src/transport/linux.js";
import { describePort, fromSystemList, listSerialPorts } from "../../src/transport/list.js";
import { LinuxTree } from "../support/linux-tree.js";

let tree: LinuxTree;
let home: string;
let roots: LinuxRoots;

beforeEach(() => {
  tree = new LinuxTree();
  ({ home, roots } = tree);
});
afterEach(() => tree.remove());

const file = (path: string, content?: string) => tree.file(path, content);
const folderLink = (path: string, target: string) => tree.folderLink(path, target);
const plugBoard = (...words: Parameters<LinuxTree["plugBoard"]>) => tree.plugBoard(...words);

const STRINGS = {
  idVendor: "2fe3",
  idProduct: "0100",
  product: "USB-DEV",
  manufacturer: "ZEPHYR",
  serial: "SN12345",
};

test("a board is listed by the name it gives itself, and by its place", async () => {
  plugBoard("ttyACM0", "1-1.4", STRINGS, "02");
  mkdirSync(join(home, "dev/serial/by-id"), { recursive: true });
  symlinkSync("../../ttyACM0", join(home, "dev/serial/by-id/usb-ZEPHYR_USB-DEV_SN12345-if02"));
  const ports = await listSerialPorts({ roots });
  expect(ports).toEqual([
    {
      path: join(home, "dev/ttyACM0"),
      byId: join(home, "dev/serial/by-id/usb-ZEPHYR_USB-DEV_SN12345-if02"),
      product: "USB-DEV",
      manufacturer: "ZEPHYR",
      serialNumber: "SN12345",
      vendorId: "2fe3",
      productId: "0100",
      usbInterface: 2,
      usbPort: "1-1.4",
    },
  ]);
  expect(describePort(ports[0]!)).toBe("USB-DEV by ZEPHYR, serial number SN12345, interface 2");
});

test("a USB-serial converter, whose tty lies one folder deeper, is found as well", async () => {
  const device = "sys/devices/usb2/2-1";
  folderLink("sys/class/tty/ttyUSB0/device", `${device}/2-1:1.0/ttyUSB0`);
  file(`${device}/2-1:1.0/bInterfaceNumber`, "00\n");
  file(`${device}/idVendor`, "0403\n");
  file(`${device}/idProduct`, "6001\n");
  file("dev/ttyUSB0");
  const [port] = await listSerialPorts({ roots });
  expect(port).toMatchObject({ vendorId: "0403", productId: "6001", usbInterface: 0, usbPort: "2-1" });
  expect(describePort(port!)).toBe("USB 0403:6001");
});

test("UARTs of the machine itself are listed when they exist", async () => {
  folderLink("sys/class/tty/ttyS0/device", "sys/devices/pnp0/00:05");
  file("sys/class/tty/ttyS0/type", "4\n");
  folderLink("sys/class/tty/ttyS1/device", "sys/devices/platform/serial8250");
  file("sys/class/tty/ttyS1/type", "0\n");
  mkdirSync(join(home, "sys/class/tty/tty1"), { recursive: true });
  file("dev/ttyS0");
  file("dev/ttyS1");
  const ports = await listSerialPorts({ roots });
  expect(ports).toEqual([{ path: join(home, "dev/ttyS0") }]);
  expect(describePort(ports[0]!)).toBe("serial port");
});

test("a port another program holds names the program", async () => {
  plugBoard("ttyACM0", "1-1", STRINGS);
  file("proc/4242/comm", "picocom\n");
  mkdirSync(join(home, "proc/4242/fd"), { recursive: true });
  symlinkSync(join(home, "dev/ttyACM0"), join(home, "proc/4242/fd/3"));
  file("proc/77/comm", "innocent\n");
  mkdirSync(join(home, "proc/77/fd"), { recursive: true });
  symlinkSync("/dev/null", join(home, "proc/77/fd/0"));
  const [port] = await listSerialPorts({ roots });
  expect(port?.problem).toMatchObject({ code: "busy" });
  expect(port?.problem?.message).toContain("held by picocom (process 4242)");
  expect(port?.problem?.hint).toContain("Close picocom");
});

test("a port whose device file is gone says so", async () => {
  plugBoard("ttyACM3", "1-2", STRINGS);
  rmSync(join(home, "dev/ttyACM3"));
  const [port] = await listSerialPorts({ roots });
  expect(port?.problem?.code).toBe("not-found");
});

test("texts chosen by a hostile device cannot steer a terminal and are bounded", async () => {
  plugBoard("ttyACM0", "1-1", { ...STRINGS, product: `\u001b[2Jboard\u0007${"x".repeat(5000)}` });
  const [port] = await listSerialPorts({ roots });
  expect(port?.product).toMatch(/^\[2Jboard x+$/);
  expect(port!.product!.length).toBeLessThanOrEqual(256);
});

test("ports are sorted as people count", async () => {
  for (const n of [10, 2, 1]) plugBoard(`ttyACM${n}`, `1-${n}`, STRINGS);
  const ports = await listSerialPorts({ roots });
  expect(ports.map((port) => port.path.replace(/.*ttyACM/, ""))).toEqual(["1", "2", "10"]);
});

test("a machine without a tty class has no ports", async () => {
  expect(await listSerialPorts({ roots })).toEqual([]);
});

test("this machine's own list can be read", async () => {
  for (const port of await listSerialPorts()) expect(port.path).not.toBe("");
});

describe("the lists of macOS and Windows are put into the same words", () => {
  // What serialport's binding gives: its sources name the fields; the values are from public reports of its users.
  test("macOS, from a mock of its answer: the place is told, and the file is the one for who speaks first", () => {
    const port = {
      path: "/dev/tty.usbmodem1421",
      manufacturer: "Arduino (www.arduino.cc)",
      serialNumber: "752303138333518011C1",
      locationId: "14200000",
      vendorId: "2341",
      productId: "0043",
    };
    expect(fromSystemList(port)).toEqual({
      path: "/dev/cu.usbmodem1421",
      usbPort: "14-2",
      manufacturer: "Arduino (www.arduino.cc)",
      serialNumber: "752303138333518011C1",
      vendorId: "2341",
      productId: "0043",
    });
  });

  test.each([
    ["14200000", "14-2"],
    ["0x14200000", "14-2"],
    ["02130000", "2-1.3"],
    ["0a1b0000", "0a-1.11"],
    ["14000000", undefined],
    ["Port_#0001.Hub_#0003", undefined],
    ["", undefined],
  ])("the place %s is %s", (locationId, usbPort) => {
    expect(fromSystemList({ path: "x", locationId }).usbPort).toBe(usbPort);
  });

  test("Windows, an ST-LINK: which of the device's interfaces it is stands in its id", () => {
    const port = {
      path: "COM5",
      friendlyName: "STMicroelectronics STLink Virtual COM Port (COM5)",
      pnpId: "USB\\VID_0483&PID_374B&MI_02\\7&2E599BD4&0&0002",
      serialNumber: "0670FF353433",
      vendorId: "0483",
      productId: "374B",
    };
    expect(fromSystemList(port)).toEqual({
      path: "COM5",
      usbInterface: 2,
      product: "STMicroelectronics STLink Virtual COM Port",
      serialNumber: "0670FF353433",
      vendorId: "0483",
      productId: "374b",
    });
  });

  test("Windows, an FTDI adapter (node-serialport issue 1220)", () => {
    const port = {
      path: "COM23",
      manufacturer: "FTDI",
      pnpId: "FTDIBUS\\VID_0403+PID_6001+A51MAMMEA\\0000",
      vendorId: "0403",
      productId: "6001",
    };
    const { pnpId: _, ...plain } = port;
    expect(fromSystemList(port)).toEqual(plain);
  });
});

test("an aborted listing throws the reason", async () => {
  const reason = new Error("stop");
  await expect(listSerialPorts({ roots, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});
