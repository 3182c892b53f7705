import type { Device } from "../../devices/device.js";
import { nameOf } from "../../devices/select.js";
import type { Key } from "../../image/keys.js";
import type { BoardProfile } from "../../profiles/profile.js";
import { DfuDevice } from "../dfu/device.js";
import { download } from "../dfu/download.js";
import { chooseDfu, leaveForDfu } from "../dfu/find.js";
import { run } from "../run.js";
import type { DirectWriter } from "./site.js";

const DFU = { classCode: 0xfe, subclass: 1 } as const;
/** ST's way of naming a memory by its address and pages. */
const ADDRESSED = /^@/;

/**
 * The rung, for a device that shows a DFU interface. One whose memories have addresses is written only where the board's
 * primary slot is known to lie; others put the image where their firmware wants it.
 */
export function usbDfuWriter(
  device: Device | undefined,
  profile: BoardProfile | undefined,
  keys: readonly Key[],
): DirectWriter | undefined {
  const offers = device?.interfaces.filter(
    ({ classCode, subclass }) => classCode === DFU.classCode && subclass === DFU.subclass,
  );
  if (device?.usbPort === undefined || !offers || offers.length === 0) return undefined;
  const { usbPort } = device;
  const hasAddresses =
    device.state === "st-rom-dfu" || offers.some(({ name }) => name !== undefined && ADDRESSED.test(name));
  const slot = profile?.slots?.[0];
  if (hasAddresses && slot === undefined) return undefined;
  const where = hasAddresses
    ? `to the primary slot at 0x${slot!.address.toString(16)}`
    : "to where its DFU puts images";
  const name = `${nameOf(device)} on USB port ${usbPort}`;
  return {
    does: `Send the image by USB DFU to ${name}, ${where}.`,
    destroys: hasAddresses
      ? "The pages of the primary slot that the image takes."
      : "What is in the slot that its DFU writes.",
    async write(file, { signal, onProgress }) {
      const found = await chooseDfu({ usbPort }, name);
      const first = await DfuDevice.open(found, { signal });
      const dfu = first.offer.mode === "dfu" ? first : await leaveForDfu(first, { signal });
      try {
        const address = hasAddresses ? slot!.address : undefined;
        const { bytes } = await run(download(dfu, file, { signal, address, keys }), (event) => {
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
