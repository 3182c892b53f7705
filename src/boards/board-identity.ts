import type { Device } from "../devices/device.js";
import { identityOf } from "../devices/device-tracker.js";
import type { BoardIdentity } from "../trust/ratchet.js";

/** Serial numbers that nobody chose: too short, or one character over and over. */
const NO_SERIAL = /^(.)\1*$|^.{0,3}$|^0123456789/;

/**
 * How a board is known that is plugged in as this device. Only what is the board itself counts: the serial number of a
 * probe or an adapter stays with that when another board is put behind it.
 *
 * @param device - where the board is plugged in; undefined for lines and networks
 * @param among - everything that is plugged in, to see whether a serial number is unique
 * @returns an `id` that stays the same wherever the board is plugged in, or the `reason` why there is none
 */
export function boardIdentityOf(device: Device | undefined, among: readonly Device[] = []): BoardIdentity {
  if (device === undefined)
    return { reason: "a board on a plain serial line or a network reports no identity of its own." };
  const { serialNumber, serialIsShared } = identityOf(device, among);
  if (device.isProbe)
    return { reason: "the serial number belongs to the probe or adapter, not to the board." };
  // Devices of unknown make may be adapters: only what shows itself as the board has a serial number of the board.
  if (device.state === "unknown")
    return {
      reason:
        "it is not known whether the device is the board itself; a profile with its USB ids would tell.",
    };
  if (serialNumber === undefined || NO_SERIAL.test(serialNumber))
    return { reason: "the board has no serial number of its own." };
  if (serialIsShared || device.serialIsShared)
    return { reason: `two devices here have the serial number ${serialNumber}.` };
  return { id: `usb-${serialNumber}`, from: "usb-serial-number" };
}
