import { BootproofError } from "../errors.js";
import type { UsbInterface } from "./usb-descriptors.js";

/** A device that is plugged in; texts are its own, cleaned and bounded. It has not been opened. */
export interface UsbFound {
  readonly vendorId: number;
  readonly productId: number;
  /** bcdDevice: 0x0102 is 1.02. */
  readonly release: number;
  readonly manufacturer?: string | undefined;
  readonly product?: string | undefined;
  readonly serialNumber?: string | undefined;
  /** As the kernel names it on Linux: `1-1.4`. The same after a reset. */
  readonly usbPort: string;
  /** Throws {@link TransportError} `permission`, `busy`, `lost` or `failed`. */
  open(): Promise<UsbHandle>;
}

export interface UsbRequest {
  readonly type: "standard" | "class" | "vendor";
  readonly recipient: "device" | "interface";
  readonly request: number;
  readonly value: number;
  readonly index: number;
}

export type UsbTransferErrorCode = "stalled" | "timed-out";

/** The device is there and would not: it stalled the request, or said nothing for `timeoutMs`. */
export class UsbTransferError extends BootproofError {
  declare readonly code: UsbTransferErrorCode;
}

/** An open device. Every call throws {@link TransportError} `lost` once it is gone. */
export interface UsbHandle {
  readonly found: UsbFound;
  /** Every alternate setting of every interface, by the device's own word. */
  readonly interfaces: readonly UsbInterface[];
  /** What the device calls something; undefined when it will not say. */
  text(index: number): Promise<string | undefined>;
  /** Takes an interface, from the kernel's driver if need be; `close` gives it back. Throws `busy`. */
  claim(interfaceNumber: number): Promise<void>;
  selectAlternate(interfaceNumber: number, alternate: number): Promise<void>;
  /** Throws {@link UsbTransferError}. */
  controlIn(request: UsbRequest, length: number, timeoutMs?: number): Promise<Uint8Array>;
  /** Throws {@link UsbTransferError}. */
  controlOut(request: UsbRequest, bytes: Uint8Array, timeoutMs?: number): Promise<void>;
  /**
   * What the device sends within `timeoutMs`; undefined when it sends nothing. Ask for one packet at a time: of a larger
   * transfer that is cut by the timeout the library drops the part that came.
   */
  bulkIn(endpoint: number, length: number, timeoutMs: number): Promise<Uint8Array | undefined>;
  /** No bytes: an empty packet. */
  bulkOut(endpoint: number, bytes: Uint8Array, timeoutMs?: number): Promise<void>;
  /** A bus reset; the device enumerates anew, perhaps as another one. */
  reset(): Promise<void>;
  /** Closing twice is harmless. */
  close(): Promise<void>;
}

/**
 * `2fe3:0004 "Board" serial number E1 on 1-4`.
 *
 * @param found - as listed
 * @returns one line
 */
export function usbInWords(found: UsbFound): string {
  const product = found.product === undefined ? "" : ` "${found.product}"`;
  const serial = found.serialNumber === undefined ? "" : ` serial number ${found.serialNumber}`;
  return `${usbId(found)}${product}${serial} on ${found.usbPort}`;
}

/**
 * Vendor and product as everybody writes them: four hex digits each.
 *
 * @param device - vendor and product
 * @returns like `2fe3:0004`
 */
export function usbId({ vendorId, productId }: Pick<UsbFound, "vendorId" | "productId">): string {
  return [vendorId, productId].map((number) => number.toString(16).padStart(4, "0")).join(":");
}
