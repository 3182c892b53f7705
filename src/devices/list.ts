import { setTimeout as delay } from "node:timers/promises";
import { KNOWN_BOARDS } from "../profiles/boards.js";
import type { BoardProfile } from "../profiles/profile.js";
import type { LinuxRoots } from "../transport/linux.js";
import { listSerialPorts } from "../transport/list.js";
import { listUsbDevices, usbSignature } from "../transport/usb-devices.js";
import { type Device, type DeviceIdentity, joinDevices } from "./device.js";
import { assignProfiles, type NamedDevice } from "./select.js";

export interface ListDevicesOptions {
  signal?: AbortSignal | undefined;
  /** Further profiles; one with the id of a built-in one takes its place. */
  profiles?: readonly BoardProfile[] | undefined;
  /** Devices that the user has named. */
  named?: readonly NamedDevice[] | undefined;
  /** For tests: where the kernel's trees are. */
  roots?: LinuxRoots | undefined;
}

/** The built-in profiles and the user's, whose word counts more. */
export function allProfiles(own: readonly BoardProfile[] = []): BoardProfile[] {
  return [...own, ...KNOWN_BOARDS.filter(({ id }) => own.every((profile) => profile.id !== id))];
}

/** Everything that is plugged in, each thing once, by looking only: nothing is opened, so no board is disturbed. */
export async function listDevices(options: ListDevicesOptions = {}): Promise<Device[]> {
  const { signal, roots, named = [] } = options;
  const ports = await listSerialPorts({ signal, roots });
  const usb = await listUsbDevices({ signal, roots });
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
 * What changes, from now on, until the signal aborts; then it ends. What is there at the beginning is told as plugged.
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
