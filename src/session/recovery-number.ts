import { BootproofError } from "../errors.js";
import type { ResponseOf } from "../smp/command.js";
import { imageSlotInfo } from "../smp/groups/image.js";
import { DeviceError } from "../smp/message.js";
import type { Session } from "./session.js";

/** Serial recovery cannot be told safely which slot is meant. */
export class RecoveryNumberError extends BootproofError {
  declare readonly code: "no-such-image";
  readonly imageNumber: number;

  constructor(imageNumber: number, message: string, hint: string) {
    super("no-such-image", message, { hint });
    this.imageNumber = imageNumber;
  }
}

/**
 * What `image` must be in an upload to serial recovery so that it lands in the primary slot of `imageNumber`; undefined
 * means to leave it out, which is image 0 everywhere.
 *
 * MCUboot looks the number up without a bounds check (zephyr/include/sysflash/sysflash.h): on a real build the numbers 2,
 * 4, 6 and 8 erased the bootloader itself. So a number is sent only when slot info has it. Builds with direct upload
 * count slots and not images (1 is the primary of image 0 there) and give each primary a number of its own.
 *
 * @param session - in serial recovery
 * @param imageNumber - as MCUboot counts images
 * @param signal - aborts with its own reason
 * @returns what to send
 * @throws RecoveryNumberError before anything is sent that could do harm
 */
export async function recoveryNumber(
  session: Session,
  imageNumber: number,
  signal?: AbortSignal,
): Promise<number | undefined> {
  if (imageNumber === 0) return undefined;
  const { images } = await askSlots(session, imageNumber, signal);
  const known = images.find(({ image }) => image === imageNumber);
  if (known === undefined) {
    throw new RecoveryNumberError(
      imageNumber,
      `The bootloader has no image number ${imageNumber}: it has ${images.length}, numbered from 0.`,
      "Omit --image. Nothing was sent: a number too high can make serial recovery erase the bootloader.",
    );
  }
  // Builds without direct upload give only the secondary a number, and take it for the primary all the same.
  return known.slots.find(({ slot }) => slot === 0)?.upload_image_id ?? imageNumber;
}

type Slots = ResponseOf<typeof imageSlotInfo>;

async function askSlots(session: Session, imageNumber: number, signal?: AbortSignal): Promise<Slots> {
  try {
    return await session.client.send(imageSlotInfo, {}, { signal });
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    throw new RecoveryNumberError(
      imageNumber,
      `Serial recovery does not report which images it has, so image number ${imageNumber} may not exist.`,
      "Nothing was sent: a number too high can make serial recovery erase the bootloader. Build MCUboot with CONFIG_BOOT_SERIAL_IMG_GRP_SLOT_INFO, or omit --image.",
    );
  }
}
