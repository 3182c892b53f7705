import type { Image } from "../mcuboot/image.js";
import { formatVersion } from "../mcuboot/version.js";
import { runningSlot, slotsOf } from "../session/board-facts.js";
import type { BoardFacts } from "../session/facts.js";
import { isImage } from "./mode-checks.js";
import { isLinkedElsewhere } from "./start-check.js";

/** Where the network core of an nRF5340 has its flash: an image with its reset vector there is not for the application core. */
const NETWORK_CORE = { from: 0x0100_0000, to: 0x0110_0000 } as const;
const VECTORS = 8;

/** The image that was sent. */
export interface SentImage {
  readonly hash: Uint8Array;
  /** Of a compressed image: the hash by which it is listed until it is unpacked. */
  readonly sentHash?: Uint8Array | undefined;
  readonly imageNumber: number;
  readonly image?: Pick<Image, "version" | "body" | "encrypted" | "header"> | undefined;
}

/**
 * Images that only pass through a slot: for another core, a co-processor, or the bootloader itself. They vanish from their
 * slot when they are taken, what runs before runs on, and MCUmgr does not list what runs there. Undefined for an image that
 * is listed where it should run, and for one that nothing shows to be of this kind.
 *
 * A refused image vanishes in the same way, so this says only that it was taken out of its slot.
 */
export function takenElsewhere(
  before: BoardFacts,
  after: BoardFacts,
  sent: SentImage,
): { message: string; hint: string; runs: boolean } | undefined {
  const { hash, sentHash = hash, imageNumber, image } = sent;
  if (after.server === "recovery" || before.server === "recovery") return undefined;
  const slots = after.images.flatMap((entry) => entry.slots);
  if (slots.some(({ content }) => isImage(content, hash) || isImage(content, sentHash))) return undefined;
  const isForElsewhere = isOtherCore(image) || (image && isLinkedElsewhere(image, before, imageNumber));
  if (!isForElsewhere && !isNeverListed(before, imageNumber)) return undefined;
  const version = image ? ` ${formatVersion(image.version)}` : "";
  const there = slotsOf(after, imageNumber).find(({ slot }) => slot === 0)?.content;
  if (
    !isForElsewhere &&
    image &&
    there?.hash === undefined &&
    there?.version === formatVersion(image.version)
  )
    return {
      runs: true,
      message: `The board lists version ${there.version} for image ${imageNumber}, the version that was sent; it reports no hash there.`,
      hint: "",
    };
  const running = runningSlot(after)?.content;
  return {
    runs: false,
    message: `Version${version} is in no slot any more, and the application${running ? ` ${running.version}` : ""} runs as before: the image was installed elsewhere (another core, a co-processor, the bootloader). What runs there is not reported.`,
    hint: "A refused image disappears in the same way: look at the bootloader's log, or ask the application for the version that runs there (bootproof flash --health-shell).",
  };
}

/** Its primary slot listed nothing although the board lists images. */
function isNeverListed(before: BoardFacts, imageNumber: number): boolean {
  if (imageNumber === 0 || before.images.length === 0) return false;
  return !slotsOf(before, imageNumber).some(({ slot, content }) => slot === 0 && content);
}

function isOtherCore(image: Pick<Image, "body"> | undefined): boolean {
  if (image === undefined || image.body.length < VECTORS) return false;
  const { buffer, byteOffset } = image.body;
  const entry = new DataView(buffer, byteOffset, VECTORS).getUint32(4, true);
  return entry >= NETWORK_CORE.from && entry < NETWORK_CORE.to;
}
