import { TransportError } from "../transport/transport.js";
import type { Device, DeviceIdentity } from "./device.js";
import { nameOf, smpPort } from "./select.js";

/**
 * What identifies a device among those that are plugged in, as far as it shows it.
 *
 * @param device - as listed
 * @param among - everything that is plugged in, to see whether its serial number is unique
 * @returns fields that it does not show are absent
 */
export function identityOf(device: Device, among: readonly Device[] = []): DeviceIdentity {
  const { serialNumber, usbPort, vendorId, productId, path } = device;
  const twin = (other: Device) => other.usbPort !== usbPort && other.serialNumber === serialNumber;
  const serialIsShared = serialNumber !== undefined && among.some(twin) ? true : undefined;
  return Object.fromEntries(
    Object.entries({ serialNumber, serialIsShared, usbPort, vendorId, productId, path }).filter(
      ([, value]) => value !== undefined,
    ),
  );
}

/**
 * The same board after a reset: the one with its serial number, else the one in its USB port. A board of the same kind
 * with another serial number in that port is another board: somebody has changed the cable over.
 *
 * @param identity - by {@link identityOf}, from before
 * @param devices - what is plugged in now
 * @returns undefined while it is away
 */
export function findAgain(identity: DeviceIdentity, devices: readonly Device[]): Device | undefined {
  const { serialNumber, usbPort, vendorId, productId, path } = identity;
  if (vendorId === undefined) return devices.find((device) => device.path === path);
  // Cheap adapters all carry the same serial number: while one is away the other must not be taken for it.
  const tells = serialNumber !== undefined && !identity.serialIsShared;
  const bySerial = tells ? devices.filter((device) => device.serialNumber === serialNumber) : [];
  if (bySerial.length === 1) return bySerial[0];
  const inPlace = devices.find((device) =>
    usbPort === undefined ? path !== undefined && device.path === path : device.usbPort === usbPort,
  );
  if (inPlace === undefined) return undefined;
  const sameKind = inPlace.vendorId === vendorId && inPlace.productId === productId;
  return sameKind && inPlace.serialNumber !== serialNumber ? undefined : inPlace;
}

/**
 * Where a board's serial port is now. The kernel hands out tty names anew at every enumeration, so the name of before
 * may belong to another board by now: only the identity counts.
 */
export class DeviceTracker {
  readonly #identity: DeviceIdentity;
  readonly #name: string;
  readonly #usbInterface: number | undefined;
  readonly #list: (signal: AbortSignal | undefined) => Promise<Device[]>;

  /** `list` looks anew at what is plugged in. */
  constructor(
    device: Device,
    options: {
      usbInterface?: number | undefined;
      /** Everything plugged in now, to know whether its serial number is its alone. */
      among?: readonly Device[] | undefined;
      list: (signal: AbortSignal | undefined) => Promise<Device[]>;
    },
  ) {
    this.#identity = identityOf(device, options.among);
    this.#name = nameOf(device);
    this.#usbInterface = options.usbInterface;
    this.#list = options.list;
  }

  get identity(): DeviceIdentity {
    return this.#identity;
  }

  /** The device as it shows itself now. Throws {@link TransportError} `not-found` while it is away. */
  async device(signal?: AbortSignal): Promise<Device> {
    const found = findAgain(this.#identity, await this.#list(signal));
    if (found) return found;
    throw new TransportError("not-found", this.#name, `${this.#name} is not plugged in.`, {
      hint: "Is its cable loose, or does it take a long time to restart?",
    });
  }

  /** The path of its SMP port now. Throws {@link TransportError} `not-found` while there is none. */
  async port(signal?: AbortSignal): Promise<string> {
    const device = await this.device(signal);
    const kept = device.ports.find((port) => port.usbInterface === this.#usbInterface);
    if (kept && this.#usbInterface !== undefined) return kept.path;
    if (device.ports.length > 0) return smpPort(device).path;
    // USB is enumerated before its tty exists; whoever waits for the board will ask again.
    throw new TransportError(
      "not-found",
      this.#name,
      `${this.#name} is plugged in, but has no serial port yet.`,
      {
        hint: "Its driver may take a moment, or it is in a USB DFU bootloader.",
      },
    );
  }
}
