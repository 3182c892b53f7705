import type { Key } from "../crypto/keys.js";
import type { Device } from "../devices/device.js";
import { nameOf } from "../devices/select.js";
import { alternateFor } from "../dfu-transfer/choose-memory.js";
import { DfuDevice } from "../dfu-transfer/device.js";
import { download } from "../dfu-transfer/download.js";
import { chooseDfu, leaveForDfu } from "../dfu-transfer/find.js";
import type { BoardProfile } from "../profiles/profile.js";
import { run } from "../session/run.js";
import type { UsbInterfaceInfo } from "../transport/usb-devices.js";
import type { PreflightCheckName } from "../update/preflight-check.js";
import { slotUnknown, WHICH_BOARD } from "./missing-facts.js";
import type { DirectWriter } from "./target.js";

const DFU = { classCode: 0xfe, subclass: 1 } as const;
/** ST's way of naming a memory by its address and pages. */
const ADDRESSED = /^@/;

/**
 * Why the recovery method is not there; undefined when it is.
 *
 * @param device - the board as it is plugged in
 * @param profile - of the board
 * @returns a sentence
 */
export function whyNoDfu(device: Device | undefined, profile: BoardProfile | undefined): string | undefined {
  if (device === undefined) return "It is not known which USB device the board is.";
  if (!offersDfu(device)) return "It has no USB DFU device.";
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
 * The recovery method, for a device that shows a DFU interface. One whose memories have addresses is written only where the board's
 * primary slot is known to lie; others put the image where their firmware wants it.
 *
 * @param device - the board as it is plugged in
 * @param profile - of the board
 * @param allowed - who must have signed, and which checks may fail
 * @returns undefined when {@link whyNoDfu} has a reason
 */
export function usbDfuWriter(
  device: Device | undefined,
  profile: BoardProfile | undefined,
  allowed: {
    /** Of which one must have signed the image; without, whoever signed it is fine. */
    keys?: readonly Key[] | undefined;
    /** Checks of the preflight that may fail. */
    skip?: readonly PreflightCheckName[] | "all" | undefined;
  } = {},
): DirectWriter | undefined {
  if (device?.usbPort === undefined || whyNoDfu(device, profile) !== undefined) return undefined;
  const { usbPort } = device;
  // The download checks the file once more; what the preflight lets pass must not fail here.
  const anyFile = allowed.skip !== undefined && allowed.skip.length > 0;
  const { keys } = allowed;
  const slot = hasAddresses(device) ? profile?.slots?.[0] : undefined;
  const where = slot
    ? `to the primary slot at 0x${slot.address.toString(16)}, read it back, and start the bootloader`
    : "to the place that its DFU uses for images";
  const name = `${nameOf(device)} on USB port ${usbPort}`;
  return {
    summary: `Send the image by USB DFU to ${name}, ${where}.`,
    destroys: slot
      ? "The contents of the primary slot. The bootloader and everything else stay."
      : "The contents of the slot that its DFU writes.",
    // DFU of an application puts an update into its slot; an address is the primary slot's.
    decrypts: slot === undefined,
    async write(file, { signal, onProgress }) {
      const found = await chooseDfu({ usbPort }, name);
      const first = await DfuDevice.open(found, { signal });
      const dfu = first.offer.mode === "dfu" ? first : await leaveForDfu(first, { signal });
      try {
        const alternate = alternateFor(dfu.offer.memories, slot);
        const { bytes } = await run(
          download(dfu, file, { signal, alternate, slot, keys, anyFile }),
          (event) => {
            if (event.step === "sent") onProgress?.(event.sent, event.total);
          },
        );
        return `${bytes} bytes were sent by USB DFU to ${name}.`;
      } finally {
        await dfu.close();
        await first.close();
      }
    },
  };
}
