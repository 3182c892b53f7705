import { basename, join } from "node:path";
import {
  accessProblem,
  busyProblem,
  entries,
  type LinuxRoots,
  link,
  portHolders,
  readText,
} from "./linux.js";
import type { UsbDeviceInfo, UsbInterfaceInfo, UsbProblem } from "./usb-device-info.js";

/**
 * USB on Linux, read from sysfs: it needs neither rights nor a running udevd, and disturbs no device. Nothing outside
 * this file and its neighbours named `linux` may ask the kernel of Linux.
 */

/** A device's folder is named after where it is plugged in: `1-1.4`. Root hubs (`usb1`) and interfaces (`1-1:1.0`) are not. */
const PLUGGED = /^\d+-\d+(?:\.\d+)*$/;
const HUB_CLASS = 0x09;

/** What is plugged in, hubs left out. A device that vanishes while it is read is left out as well. */
export function listLinuxUsb(roots: LinuxRoots): UsbDeviceInfo[] {
  return entries(usbFolder(roots))
    .filter((name) => PLUGGED.test(name))
    .flatMap((name) => readDevice(join(usbFolder(roots), name), roots) ?? []);
}

/**
 * A short text that changes whenever something is plugged in, unplugged, or enumerates anew: the kernel counts devices
 * up, so even a board that was away for less than one look shows.
 */
export function linuxUsbSignature(roots: LinuxRoots): string {
  const plugged = entries(usbFolder(roots))
    .filter((name) => PLUGGED.test(name))
    .map((name) => `${name}=${readText(join(usbFolder(roots), name, "devnum")) ?? "?"}`);
  const ports = entries(join(roots.sys, "class/tty")).filter((name) => !/^tty\d*$/.test(name));
  return [...plugged, ...ports].join(" ");
}

function usbFolder(roots: LinuxRoots): string {
  return join(roots.sys, "bus/usb/devices");
}

function readDevice(folder: string, roots: LinuxRoots): UsbDeviceInfo | undefined {
  const text = (name: string) => readText(join(folder, name));
  const vendorId = text("idVendor");
  const productId = text("idProduct");
  if (vendorId === undefined || productId === undefined) return undefined;
  if (hexByte(text("bDeviceClass")) === HUB_CLASS) return undefined;
  const interfaces = readInterfaces(folder);
  const node = deviceNode(folder, roots);
  const problem = (node && usbProblem(node, interfaces, roots)) ?? driverProblem(vendorId, interfaces);
  return {
    usbPort: basename(folder),
    vendorId: vendorId.toLowerCase(),
    productId: productId.toLowerCase(),
    ...named("product", text("product")),
    ...named("manufacturer", text("manufacturer")),
    ...named("serialNumber", text("serial")),
    interfaces,
    ...(problem && { problem }),
  };
}

/** The file through which a program speaks to the device itself: /dev/bus/usb/001/004. */
function deviceNode(folder: string, roots: LinuxRoots): string | undefined {
  const number = (name: string) => readText(join(folder, name))?.padStart(3, "0");
  const bus = number("busnum");
  const device = number("devnum");
  return bus === undefined || device === undefined ? undefined : join(roots.dev, "bus/usb", bus, device);
}

function usbProblem(
  node: string,
  interfaces: readonly UsbInterfaceInfo[],
  roots: LinuxRoots,
): UsbProblem | undefined {
  const denied = accessProblem(node, roots);
  if (denied?.code === "permission") {
    const hint = "Run bootproof setup-udev --install as root once, then plug the board in again.";
    return { ...denied, hint };
  }
  if (denied) return denied;
  // Programs that speak to the device past the kernel's drivers: debuggers, dfu-util.
  const isTaken = interfaces.some(({ driver }) => driver === "usbfs");
  return isTaken ? busyProblem(node, portHolders(node, roots)) : undefined;
}

/** What drives the serial interfaces that have no class of their own; from each driver's table of ids. */
const SERIAL_DRIVERS: Readonly<Record<string, string>> = {
  "0403": "ftdi_sio",
  "10c4": "cp210x",
  "1a86": "ch341",
  "067b": "pl2303",
};
const isAcm = ({ classCode, subclass }: UsbInterfaceInfo) => classCode === 0x02 && subclass === 0x02;
const VENDOR_CLASS = 0xff;

/** A serial interface that no driver has taken: the device is there, and has no port. */
function driverProblem(vendorId: string, interfaces: readonly UsbInterfaceInfo[]): UsbProblem | undefined {
  const idle = interfaces.filter(({ driver }) => driver === undefined);
  const forVendor = idle.some(({ classCode }) => classCode === VENDOR_CLASS)
    ? SERIAL_DRIVERS[vendorId]
    : undefined;
  const driver = idle.some(isAcm) ? "cdc_acm" : forVendor;
  if (driver === undefined) return undefined;
  return {
    code: "driver",
    message: `The kernel's driver ${driver} has not taken it, so it has no serial port.`,
    hint: `Load it: sudo modprobe ${driver}.${driver === "cdc_acm" ? " Or use -d usb:VID:PID, which needs no driver." : ""}`,
  };
}

/** A configuration has at most 32 interfaces that this project could care for; the folders come from a hostile device. */
const MOST_INTERFACES = 32;

function readInterfaces(folder: string): UsbInterfaceInfo[] {
  const prefix = `${basename(folder)}:`;
  return entries(folder)
    .filter((name) => name.startsWith(prefix))
    .slice(0, MOST_INTERFACES)
    .flatMap((name) => readInterface(join(folder, name)) ?? [])
    .sort((a, b) => a.number - b.number);
}

function readInterface(folder: string): UsbInterfaceInfo | undefined {
  const byte = (name: string) => hexByte(readText(join(folder, name)));
  const number = byte("bInterfaceNumber");
  const classCode = byte("bInterfaceClass");
  if (number === undefined || classCode === undefined) return undefined;
  const driver = link(join(folder, "driver"));
  return {
    number,
    classCode,
    subclass: byte("bInterfaceSubClass") ?? 0,
    protocol: byte("bInterfaceProtocol") ?? 0,
    ...named("name", readText(join(folder, "interface"))),
    ...named("driver", driver && basename(driver)),
  };
}

function hexByte(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9a-f]{2}$/i.test(text) ? Number.parseInt(text, 16) : undefined;
}

function named<K extends string>(name: K, value: string | undefined): { [P in K]?: string } {
  return (value === undefined ? {} : { [name]: value }) as { [P in K]?: string };
}
