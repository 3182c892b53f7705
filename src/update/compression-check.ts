import { COMPRESSION_FLAGS } from "../mcuboot/compression.js";
import { IMAGE_F } from "../mcuboot/header.js";
import type { Image } from "../mcuboot/image.js";
import type { BoardFacts } from "../session/facts.js";
import { modesOf } from "./mode-checks.js";

/** What the trust group calls it. */
const THUMB = "arm-thumb";
const LZMA2 = "lzma2";

const AS_IT_IS = "Send the image as it is, without --compress; or sign the firmware without compression.";

/**
 * Whether the bootloader unpacks what is sent. It does so where nothing has to be kept of the old image: in
 * overwrite-only mode, from the secondary slot, with one image. Undefined for an image that is not compressed.
 */
export function judgeCompression({
  image,
  sent = image,
  facts,
  imageNumber,
}: {
  readonly image: Image;
  readonly sent?: Image | undefined;
  readonly facts: BoardFacts;
  readonly imageNumber: number;
}): { result: "pass" | "fail" | "unknown"; message: string; hint?: string } | undefined {
  const { flags } = sent.header;
  if ((flags & COMPRESSION_FLAGS) === 0) return undefined;
  const fail = (message: string) => ({ result: "fail" as const, message, hint: AS_IT_IS });
  if (facts.server === "recovery")
    return fail("Serial recovery writes the slot that images run from, and a compressed image cannot run.");
  if (imageNumber > 0 || facts.images.length > 1)
    return fail("The board has several images; bootloaders decompress images only on boards with one image.");
  const modes = modesOf(facts);
  if (modes.length > 0 && !modes.some(({ name }) => name === "overwrite-only"))
    return fail(
      `Mode ${facts.bootloader?.modeName}: bootloaders decompress images only in overwrite-only mode.`,
    );
  const reported = facts.bootloader?.compression;
  if (reported === undefined)
    return {
      result: "unknown",
      message:
        "The image is compressed; the board does not report whether its bootloader decompresses such images.",
    };
  const needed = [LZMA2, ...((flags & IMAGE_F.COMPRESSED_ARM_THUMB_FLT) === 0 ? [] : [THUMB])];
  const missing = needed.filter((kind) => !reported.includes(kind));
  if (missing.length > 0)
    return fail(
      `The image is compressed with ${missing.join(" and ")}; the bootloader decompresses ${reported.join(", ")}.`,
    );
  return { result: "pass", message: `The bootloader decompresses ${needed.join(" with ")}.` };
}
