import { LINUX_ROOTS, type LinuxRoots } from "./linux.js";
import { linuxUsbSignature, listLinuxUsb } from "./linux-usb.js";
import type { UsbDeviceInfo } from "./usb-device-info.js";
import { type UsbFound, usbId } from "./usb-handle.js";

export type { UsbDeviceInfo, UsbInterfaceInfo, UsbProblem } from "./usb-device-info.js";

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
  const { findUsb } = await import("./usb.js");
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
