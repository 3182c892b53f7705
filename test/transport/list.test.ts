import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
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

test("the list of macOS and Windows is put into the same words", () => {
  const port = {
    path: "COM3",
    manufacturer: "SEGGER",
    serialNumber: "68",
    vendorId: "1366",
    productId: "A0B1",
  };
  expect(fromSystemList({ ...port, friendlyName: "JLink CDC UART Port (COM3)" })).toEqual({
    path: "COM3",
    product: "JLink CDC UART Port (COM3)",
    manufacturer: "SEGGER",
    serialNumber: "68",
    vendorId: "1366",
    productId: "a0b1",
  });
});

test("an aborted listing throws the reason", async () => {
  const reason = new Error("stop");
  await expect(listSerialPorts({ roots, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});
