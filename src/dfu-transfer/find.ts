import { DfuError } from "../dfu/error.js";
import { DFU_INTERFACE } from "../dfu/functional.js";
import { detach } from "../dfu/requests.js";
import { TransportError } from "../transport/transport.js";
import { findUsb, type UsbSelector } from "../transport/usb.js";
import { listUsbDevices } from "../transport/usb-devices.js";
import { type UsbFound, usbInWords } from "../transport/usb-handle.js";
import { DfuDevice, type DfuOffer, readOffer } from "./device.js";

/** A device with DFU, or why it would not say what it offers. */
export interface DfuListing {
  readonly found: UsbFound;
  readonly offer: DfuOffer | undefined;
  readonly problem: TransportError | undefined;
}

const LOOK_EVERY_MS = 250;
const DEFAULT_AWAY_MS = 30_000;

/**
 * The devices with a DFU interface, each opened for a moment to be asked what it offers. Nothing is claimed.
 *
 * @param selector - ids, serial number or USB port that must fit; fields left out fit all
 * @returns what each offers, or why it could not be asked
 * @throws TransportError when USB cannot be listed
 */
export async function listDfu(selector: UsbSelector = {}): Promise<DfuListing[]> {
  const candidates = (await findUsb(selector)).filter(await mayHaveDfu());
  const listings: DfuListing[] = [];
  for (const found of candidates) listings.push(await look(found));
  return listings.filter(({ offer, problem }) => offer !== undefined || problem !== undefined);
}

/**
 * The one device with DFU that fits.
 *
 * @param selector - as of {@link listDfu}
 * @param name - what the user called it, for messages
 * @returns the device, not opened
 * @throws {@link TransportError} `not-found`, `ambiguous` with what there is, or the reason why the only one cannot
 *   be opened
 */
export async function chooseDfu(selector: UsbSelector, name: string): Promise<UsbFound> {
  const listings = await listDfu(selector);
  const [only, ...others] = listings;
  const words = listings.map(({ found }) => usbInWords(found)).join(", ");
  if (!only) {
    const isAny = Object.values(selector).every((wanted) => wanted === undefined);
    const message = isAny
      ? "No device with USB DFU is plugged in."
      : `No device with USB DFU matches "${name}".`;
    throw new TransportError("not-found", name, message, {
      hint: "Hold the boot button or pin while plugging it in; `dfu list` shows the devices.",
    });
  }
  if (others.length > 0) {
    const hint = `Name one with -d usb:VID:PID:SERIAL, or with ?port=: ${words}.`;
    throw new TransportError("ambiguous-port", name, `"${name}" matches ${listings.length} DFU devices.`, {
      hint,
    });
  }
  if (only.problem) throw only.problem;
  return only.found;
}

/**
 * Asks a running firmware to leave for DFU mode and waits for it on the same USB port.
 *
 * @param device - opened, in its running firmware
 * @param options - `withinMs` to come back, milliseconds; `signal` aborts with its own reason
 * @returns the same board in DFU mode, opened
 * @throws {@link DfuError} `dfu-stuck` when it does not come, or comes with another serial number
 */
export async function leaveForDfu(
  device: DfuDevice,
  options: { signal?: AbortSignal | undefined; withinMs?: number } = {},
): Promise<DfuDevice> {
  const { found, offer } = device;
  await device.tell(detach(offer.functional.detachTimeoutMs)).catch(ignoreLoss);
  // A device that leaves by itself would be disturbed by a reset.
  if (!offer.functional.willDetach) await device.reset();
  await device.close();
  const end = performance.now() + (options.withinMs ?? DEFAULT_AWAY_MS);
  while (performance.now() < end) {
    options.signal?.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    const [back] = await listDfu({ usbPort: found.usbPort });
    if (back?.offer?.mode !== "dfu") continue;
    mustBeTheSame(found, back.found);
    return DfuDevice.open(back.found, { signal: options.signal });
  }
  throw new DfuError("dfu-stuck", `${usbInWords(found)} did not come back in DFU mode.`, {
    hint: "Enter DFU mode manually: hold the boot button or pin while plugging it in.",
  });
}

/** Vendor, product and name change between firmware and bootloader; a serial number, where both have one, does not. */
function mustBeTheSame(before: UsbFound, after: UsbFound): void {
  if (before.serialNumber === undefined || after.serialNumber === undefined) return;
  if (before.serialNumber === after.serialNumber) return;
  throw new DfuError(
    "dfu-stuck",
    `On ${before.usbPort} there was ${usbInWords(before)}, and now there is ${usbInWords(after)}: this is a different device.`,
    { hint: "Name the device, in DFU mode, that you mean." },
  );
}

/** Where the system tells a device's interfaces without opening it, others are not opened. */
async function mayHaveDfu(): Promise<(found: UsbFound) => boolean> {
  const known = new Map((await listUsbDevices()).map((device) => [device.usbPort, device.interfaces]));
  return ({ usbPort }) => {
    const interfaces = known.get(usbPort);
    if (interfaces === undefined || interfaces.length === 0) return true;
    const { class: classCode, subclass } = DFU_INTERFACE;
    return interfaces.some((one) => one.classCode === classCode && one.subclass === subclass);
  };
}

async function look(found: UsbFound): Promise<DfuListing> {
  try {
    const handle = await found.open();
    try {
      return { found, offer: await readOffer(handle), problem: undefined };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    // A device that left while it was looked at is not there.
    return { found, offer: undefined, problem: error.code === "lost" ? undefined : error };
  }
}

/** Some devices are gone before they have answered. */
function ignoreLoss(error: unknown): void {
  if (!(error instanceof TransportError) || error.code !== "lost") throw error;
}
