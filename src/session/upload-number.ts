import type { ResponseOf } from "../smp/command.js";
import { imageList, imageSlotInfo } from "../smp/groups/image.js";
import { DeviceError } from "../smp/message.js";
import { RecoveryNumberError } from "./recovery-number.js";
import type { Session } from "./session.js";

/**
 * What `image` must be in an upload to an application so that it lands in the secondary slot of `imageNumber`; undefined
 * means to leave it out, which is image 0 everywhere.
 *
 * Zephyr with one pair of slots takes any number and writes to image 0; builds with direct upload count slots, so that
 * number 1 is the primary slot of image 0. Slot info tells the number of each slot (`upload_image_id`).
 *
 * @throws RecoveryNumberError `no-such-image`, before anything is sent, when the board reports that it has no such image
 */
export async function uploadNumber(
  session: Session,
  imageNumber: number | undefined,
  signal?: AbortSignal,
): Promise<number | undefined> {
  if (imageNumber === undefined || imageNumber === 0) return imageNumber;
  const slots = await session.client.send(imageSlotInfo, {}, { signal }).catch(unlessRefused);
  if (slots !== undefined) return numberIn(slots, imageNumber);
  const list = await session.client.send(imageList, {}, { signal }).catch(unlessRefused);
  // The number of an image is left out on boards that have one.
  const isSingle =
    list !== undefined && list.images.length > 0 && list.images.every(({ image }) => image === undefined);
  if (isSingle) throw noSuchImage(imageNumber, 1);
  return imageNumber;
}

function numberIn({ images }: ResponseOf<typeof imageSlotInfo>, imageNumber: number): number {
  const known = images.find(({ image }) => image === imageNumber);
  if (known === undefined) throw noSuchImage(imageNumber, images.length, slotWithId(images, imageNumber));
  return known.slots.find(({ slot }) => slot === 1)?.upload_image_id ?? imageNumber;
}

function slotWithId(
  images: ResponseOf<typeof imageSlotInfo>["images"],
  id: number,
): { image: number; slot: number } | undefined {
  for (const { image, slots } of images)
    for (const { slot, upload_image_id } of slots) if (upload_image_id === id) return { image, slot };
  return undefined;
}

function noSuchImage(
  imageNumber: number,
  count: number,
  slot?: { image: number; slot: number },
): RecoveryNumberError {
  const taken = slot
    ? ` It takes ${imageNumber} for slot ${slot.slot} of image ${slot.image} (direct upload).`
    : "";
  return new RecoveryNumberError(
    imageNumber,
    `The board has no image number ${imageNumber}: it has ${count}, numbered from 0.${taken}`,
    "Omit --image. Nothing was sent: the image would have been written to another slot.",
  );
}

/** A server without this command does not tell. */
function unlessRefused(error: unknown): undefined {
  if (!(error instanceof DeviceError)) throw error;
}
