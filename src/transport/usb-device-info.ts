import type { PortProblem } from "./linux.js";

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
