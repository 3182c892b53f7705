import { setTimeout as delay } from "node:timers/promises";
import { KNOWN_BOARDS } from "../profiles/boards.js";
import type { BoardProfile } from "../profiles/profile.js";
import type { LinuxRoots } from "../transport/linux.js";
import { listSerialPorts } from "../transport/list.js";
import { TransportError } from "../transport/transport.js";
import { listUsbDevices, usbSignature } from "../transport/usb-devices.js";
import { type Device, type DeviceIdentity, joinDevices } from "./device.js";
import { assignProfiles, type NamedDevice } from "./select.js";

export interface ListDevicesOptions {
  signal?: AbortSignal | undefined;
  /** Further profiles; one with the id of a built-in one takes its place. */
  profiles?: readonly BoardProfile[] | undefined;
  /** Devices that the user has named. */
  named?: readonly NamedDevice[] | undefined;
  /**
   * Called for each part of the machine that cannot be looked at, as when a package with a native part does not load here;
   * the rest is listed all the same.
   */
  onMissing?: ((why: TransportError) => void) | undefined;
  /** For tests: where the kernel's trees are. */
  roots?: LinuxRoots | undefined;
}

/**
 * The built-in profiles and the user's, whose word counts more.
 *
 * @param own - the user's, from the config file
 * @returns the user's first; a profile of the same `id` replaces a built-in one
 */
export function allProfiles(own: readonly BoardProfile[] = []): BoardProfile[] {
  return [...own, ...KNOWN_BOARDS.filter(({ id }) => own.every((profile) => profile.id !== id))];
}

/**
 * Everything that is plugged in, each thing once, by looking only: nothing is opened, so no board is disturbed.
 *
 * @param options - names and profiles of boards that are known
 * @returns in the order of ports, then of USB places
 * @throws TransportError when the system refuses its lists; what merely does not load here goes to `onMissing`
 */
export async function listDevices(options: ListDevicesOptions = {}): Promise<Device[]> {
  const { signal, roots, named = [], onMissing } = options;
  const ifThere = <T>(list: Promise<T[]>): Promise<T[]> =>
    list.catch((error: unknown) => {
      if (!(error instanceof TransportError) || error.code !== "no-driver") throw error;
      onMissing?.(error);
      return [];
    });
  const ports = await ifThere(listSerialPorts({ signal, roots }));
  const usb = await ifThere(listUsbDevices({ signal, roots }));
  return assignProfiles(joinDevices(ports, usb, allProfiles(options.profiles)), named);
}

export type DeviceChange =
  | { change: "plugged"; device: Device }
  | { change: "unplugged"; device: Device }
  /** The same thing, otherwise: another mode, other ports, another problem. */
  | { change: "changed"; device: Device; before: Device };

/** Between two looks. Polling needs no udevd, which containers lack; a look at sysfs costs a millisecond. */
const LOOK_EVERY_MS = 250;

/**
 * What changes, from now on, until the signal aborts; then it ends. What is there at the beginning is told as
 * plugged.
 *
 * @param options - `signal` ends it; `everyMs` between two looks, milliseconds
 * @returns nothing; each change as it is seen
 * @throws TransportError when the system refuses its lists
 */
export async function* watchDevices(
  options: ListDevicesOptions & { everyMs?: number | undefined } = {},
): AsyncGenerator<DeviceChange, void, void> {
  const { signal, roots, everyMs = LOOK_EVERY_MS } = options;
  let before: Device[] = [];
  let signature: string | undefined;
  while (!signal?.aborted) {
    const now = usbSignature(roots);
    if (now === undefined || now !== signature) {
      signature = now;
      const devices = await listDevices(options);
      yield* changes(before, devices);
      before = devices;
    }
    // Abort is the ordinary end of watching.
    await delay(everyMs, undefined, { signal }).catch(() => undefined);
  }
}

/** What is different between two looks: first what went, then what changed, then what came. */
export function changes(before: readonly Device[], after: readonly Device[]): DeviceChange[] {
  const counterpart = (device: Device, all: readonly Device[]) =>
    all.find((other) => placeKey(other) === placeKey(device));
  const gone = before.filter((device) => !counterpart(device, after));
  const came = after.filter((device) => !counterpart(device, before));
  const stayed = after.flatMap((device): DeviceChange[] => {
    const old = counterpart(device, before);
    return old === undefined || look(old) === look(device)
      ? []
      : [{ change: "changed", device, before: old }];
  });
  return [
    ...gone.map((device): DeviceChange => ({ change: "unplugged", device })),
    ...stayed,
    ...came.map((device): DeviceChange => ({ change: "plugged", device })),
  ];
}

/** Two boards of one kind, changed over in one USB port between two looks, are two boards. */
function placeKey({ usbPort, path, serialNumber, vendorId, productId }: DeviceIdentity): string {
  return `${usbPort ?? path ?? `${vendorId}:${productId}`} ${serialNumber ?? ""}`;
}

function look({ profile, ...device }: Device): string {
  return JSON.stringify({ ...device, profile: profile?.id });
}
