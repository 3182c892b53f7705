import type { Device } from "../../devices/device.js";
import { nameOf } from "../../devices/select.js";
import type { Key } from "../../image/keys.js";
import type { BoardProfile } from "../../profiles/profile.js";
import type { UsbInterfaceInfo } from "../../transport/usb-devices.js";
import { alternateFor } from "../dfu/choose-memory.js";
import { DfuDevice } from "../dfu/device.js";
import { download } from "../dfu/download.js";
import { chooseDfu, leaveForDfu } from "../dfu/find.js";
import { run } from "../run.js";
import { slotUnknown, WHICH_BOARD } from "./missing.js";
import type { DirectWriter } from "./site.js";

const DFU = { classCode: 0xfe, subclass: 1 } as const;
/** ST's way of naming a memory by its address and pages. */
const ADDRESSED = /^@/;

/** Why the rung is not there; undefined when it is. */
export function whyNoDfu(device: Device | undefined, profile: BoardProfile | undefined): string | undefined {
  if (device === undefined) return "It is not known which USB device the board is.";
  if (!offersDfu(device)) return "It shows no USB DFU device.";
  if (!hasAddresses(device) || profile?.slots !== undefined) return undefined;
  return profile === undefined ? WHICH_BOARD : slotUnknown(profile);
}

/** macOS and Windows do not tell interfaces; a known bootloader is one all the same. */
function offersDfu({ usbPort, state, interfaces }: Device): boolean {
  const isDfu = ({ classCode, subclass }: UsbInterfaceInfo) =>
    classCode === DFU.classCode && subclass === DFU.subclass;
  const isKnown = state === "st-rom-dfu" || state === "usb-dfu";
  return usbPort !== undefined && (isKnown || interfaces.some(isDfu));
}

function hasAddresses({ state, interfaces }: Device): boolean {
  const isAddressed = ({ name }: UsbInterfaceInfo) => name !== undefined && ADDRESSED.test(name);
  return state === "st-rom-dfu" || interfaces.some(isAddressed);
}

/**
 * The rung, for a device that shows a DFU interface. One whose memories have addresses is written only where the board's
 * primary slot is known to lie; others put the image where their firmware wants it.
 */
export function usbDfuWriter(
  device: Device | undefined,
  profile: BoardProfile | undefined,
  keys: readonly Key[],
): DirectWriter | undefined {
  if (device?.usbPort === undefined || whyNoDfu(device, profile) !== undefined) return undefined;
  const { usbPort } = device;
  const slot = hasAddresses(device) ? profile?.slots?.[0] : undefined;
  const where = slot
    ? `to the primary slot at 0x${slot.address.toString(16)}, read it back, and start the bootloader`
    : "to where its DFU puts images";
  const name = `${nameOf(device)} on USB port ${usbPort}`;
  return {
    does: `Send the image by USB DFU to ${name}, ${where}.`,
    destroys: slot
      ? "What is in the primary slot. The bootloader and all else stay."
      : "What is in the slot that its DFU writes.",
    async write(file, { signal, onProgress }) {
      const found = await chooseDfu({ usbPort }, name);
      const first = await DfuDevice.open(found, { signal });
      const dfu = first.offer.mode === "dfu" ? first : await leaveForDfu(first, { signal });
      try {
        const alternate = alternateFor(dfu.offer.memories, slot);
        const { bytes } = await run(download(dfu, file, { signal, alternate, slot, keys }), (event) => {
          if (event.step === "sent") onProgress?.(event.sent, event.total);
        });
        return `${bytes} bytes were sent by USB DFU to ${name}.`;
      } finally {
        await dfu.close();
        await first.close();
      }
    },
  };
}
