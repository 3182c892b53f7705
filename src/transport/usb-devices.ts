import { LINUX_ROOTS, type LinuxRoots, type PortProblem } from "./linux.js";
import { linuxUsbSignature, listLinuxUsb } from "./linux-usb.js";
import type { UsbFound } from "./usb.js";

/** One interface of a USB device, as its descriptor says. */
export interface UsbInterfaceInfo {
  readonly number: number;
  /** bInterfaceClass: 0x02 communication, 0x0a its data, 0xfe application specific (DFU), 0xff vendor. */
  readonly classCode: number;
  readonly subclass: number;
  readonly protocol: number;
  /** What the device calls it. Cleaned, but chosen by the device. */
  readonly name?: string;
  /** The kernel driver that holds it. Linux only. */
  readonly driver?: string;
}

/** Why a USB device cannot be used as it is. */
export type UsbProblem = Omit<PortProblem, "code"> & {
  /** `driver`: the kernel has no driver for its serial interface. */
  readonly code: PortProblem["code"] | "driver";
};

/** One USB device, hubs left out. Texts come from the device and are cleaned of control characters. */
export interface UsbDeviceInfo {
  /** Bus and ports it is plugged into, e.g. `1-1.4`: the same after a reset. */
  readonly usbPort: string;
  /** Four lower-case hex digits each. */
  readonly vendorId: string;
  readonly productId: string;
  readonly product?: string;
  readonly manufacturer?: string;
  readonly serialNumber?: string;
  /** Empty when the system does not tell without opening the device. */
  readonly interfaces: readonly UsbInterfaceInfo[];
  /** Why the device itself cannot be opened, for DFU or a probe; its serial ports have their own reasons. */
  readonly problem?: UsbProblem;
}

export interface ListUsbOptions {
  signal?: AbortSignal | undefined;
  /** For tests: where the kernel's trees are. Given, they are read on any system. */
  roots?: LinuxRoots | undefined;
}

/**
 * The USB devices of this machine, by looking only. Elsewhere than on Linux their interfaces are not told: that would mean
 * to open them.
 */
export async function listUsbDevices(options: ListUsbOptions = {}): Promise<UsbDeviceInfo[]> {
  options.signal?.throwIfAborted();
  if (options.roots || process.platform === "linux") return listLinuxUsb(options.roots ?? LINUX_ROOTS);
  const { findUsb, usbId } = await import("./usb.js");
  return (await findUsb()).map((found) => fromLibrary(found, usbId(found)));
}

/** A device of the USB library (macOS, Windows) in our words. */
export function fromLibrary(found: Omit<UsbFound, "open">, id: string): UsbDeviceInfo {
  const [vendorId = "", productId = ""] = id.split(":");
  const { product, manufacturer, serialNumber, usbPort } = found;
  return {
    ...{ usbPort, vendorId, productId, interfaces: [] },
    ...(product === undefined ? {} : { product }),
    ...(manufacturer === undefined ? {} : { manufacturer }),
    ...(serialNumber === undefined ? {} : { serialNumber }),
  };
}

/** A text that changes with what is plugged in, when the system has a cheap one. */
export function usbSignature(roots?: LinuxRoots): string | undefined {
  return roots || process.platform === "linux" ? linuxUsbSignature(roots ?? LINUX_ROOTS) : undefined;
}
