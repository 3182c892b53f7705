import type { UsbAddress } from "../transport/address.js";
import type { Device } from "./device.js";
import { DeviceTracker } from "./device-tracker.js";

/** A board that is spoken to without the kernel's driver, followed wherever it comes back. */
export interface FollowedUsb {
  readonly device: Device;
  /** Its address now. Throws {@link TransportError} `not-found` while it is away. */
  address(signal: AbortSignal | undefined): Promise<UsbAddress>;
}

/**
 * Ties a `usb:` address to the one device of `among` that it means: in its bootloader a board has other ids, and often one
 * port instead of several. Undefined when none or several fit: whoever opens the address then says so. `list` looks anew
 * at what is plugged in.
 *
 * @param address - what the user named
 * @param among - what is plugged in now
 * @param list - looks anew at what is plugged in
 * @returns the device, and how to ask for its address of the moment
 */
export function followUsb(
  address: UsbAddress,
  among: readonly Device[],
  list: (signal: AbortSignal | undefined) => Promise<Device[]>,
): FollowedUsb | undefined {
  const [device, ...others] = among.filter((one) => isMeantBy(address, one));
  if (device === undefined || others.length > 0) return undefined;
  const tracker = new DeviceTracker(device, { among, list });
  return {
    device,
    address: async (how) => {
      const now = await tracker.device(how);
      if (isMeantBy(address, now)) return address;
      const { usbInterface: _interface, serialNumber: _serial, ...line } = address;
      const ids = { vendorId: Number(`0x${now.vendorId}`), productId: Number(`0x${now.productId}`) };
      return { ...line, ...ids, ...(now.usbPort === undefined ? {} : { usbPort: now.usbPort }) };
    },
  };
}

function isMeantBy({ vendorId, productId, serialNumber, usbPort }: UsbAddress, device: Device): boolean {
  return (
    device.vendorId !== undefined &&
    Number(`0x${device.vendorId}`) === vendorId &&
    Number(`0x${device.productId}`) === productId &&
    (serialNumber === undefined || device.serialNumber === serialNumber) &&
    (usbPort === undefined || device.usbPort === usbPort)
  );
}
