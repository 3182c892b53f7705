import { loadUsb } from "./native-modules.js";
import { type LibraryDevice, OpenUsb } from "./open-usb.js";
import { TransportError } from "./transport.js";
import { cleanText } from "./usb-descriptors.js";
import { type UsbFound, usbInWords } from "./usb-handle.js";

/**
 * The door to npm `usb` 3.x, which has the WebUSB shape only, one transfer per endpoint at a time, errors without codes,
 * and a timeout on every transfer. Loaded when a device is really asked for: machines without USB never meet it.
 */

/** Which device is meant; what is left out does not matter. */
export interface UsbSelector {
  readonly vendorId?: number | undefined;
  readonly productId?: number | undefined;
  readonly serialNumber?: string | undefined;
  /** Bus and ports it is plugged into, e.g. `1-1.4`. */
  readonly usbPort?: string | undefined;
}
/**
 * The devices that fit, in the order of their ports. A machine without USB has none. Opens none. Throws
 * {@link TransportError} `no-driver`.
 */
export async function findUsb(selector: UsbSelector = {}): Promise<UsbFound[]> {
  const { usb } = await loadUsb();
  // Without /sys/bus/usb, as in most containers, it throws instead of answering "none".
  const devices = (await usb.getDevices().catch(() => [])) as unknown as LibraryDevice[];
  return devices
    .filter(({ vendorId, productId }) => fits({ vendorId, productId }, { ...selector, ...NOT_YET }))
    .map(describe)
    .filter((found) => fits(found, selector))
    .sort((a, b) => a.usbPort.localeCompare(b.usbPort, "en", { numeric: true }));
}

/**
 * The one device that fits. Throws {@link TransportError} `not-found`, or `ambiguous` when several fit: a guess could
 * write to the wrong board.
 */
export async function chooseUsb(selector: UsbSelector, name: string): Promise<UsbFound> {
  const fitting = await findUsb(selector);
  const [only, ...others] = fitting;
  if (only && others.length === 0) return only;
  if (only) {
    const hint = `Add the serial number, or ?port= with the place: ${inWords(fitting)}.`;
    throw new TransportError("ambiguous-port", name, `"${name}" matches ${fitting.length} USB devices.`, {
      hint,
    });
  }
  const all = await findUsb();
  throw new TransportError("not-found", name, `No USB device matches "${name}".`, {
    hint: all.length === 0 ? "This machine has no USB devices." : `USB devices here: ${inWords(all)}.`,
  });
}

const inWords = (devices: readonly UsbFound[]) => devices.map(usbInWords).join(", ");

/** Asked for only after the numbers fit: for a missing text the library would open the device. */
const NOT_YET = { serialNumber: undefined, usbPort: undefined } as const;
const KEYS = ["vendorId", "productId", "serialNumber", "usbPort"] as const;

function fits(found: UsbSelector, selector: UsbSelector): boolean {
  return KEYS.every((key) => selector[key] === undefined || selector[key] === found[key]);
}

function describe(device: LibraryDevice): UsbFound {
  const { deviceVersionMajor: major, deviceVersionMinor: minor, deviceVersionSubminor: subminor } = device;
  const found: UsbFound = {
    vendorId: device.vendorId,
    productId: device.productId,
    release: (major << 8) | (minor << 4) | subminor,
    manufacturer: textOf(() => device.manufacturerName),
    product: textOf(() => device.productName),
    serialNumber: textOf(() => device.serialNumber),
    usbPort: portOf(device),
    open: () => OpenUsb.open(device, found),
  };
  return found;
}

/** For a text the system does not know, the library asks the device, which may be closed to us or gone. */
function textOf(ask: () => string | null | undefined): string | undefined {
  try {
    return cleanText(ask());
  } catch {
    // A device without that text, or without a word for us: it has none here.
    return undefined;
  }
}

function portOf({ bus, ports }: Pick<LibraryDevice, "bus" | "ports">): string {
  const number = /^\d+$/.test(bus) ? String(Number(bus)) : bus;
  return `${number}-${ports.join(".")}`;
}
