import { toHex } from "../bytes.js";
import { statedUnpacked } from "../mcuboot/compression.js";
import type { Image } from "../mcuboot/image.js";
import { formatVersion } from "../mcuboot/version.js";
import type { RatchetImage, RatchetPort, RatchetVerdict } from "../trust/ratchet.js";
import type { PreflightCheck } from "./preflight-check.js";

/** What the host remembers of one image on one board; does nothing where nobody remembers. */
export interface Memory {
  intend(): Promise<void>;
  confirmed(): Promise<void>;
  notConfirmed(): Promise<void>;
}

export function memoryOf(image: Image, imageNumber: number, ratchet: RatchetPort | undefined): Memory {
  const known = rememberedImage(image);
  const tell = (how: "intend" | "confirmed" | "notConfirmed") => async () =>
    known && (await ratchet?.[how](imageNumber, known));
  return { intend: tell("intend"), confirmed: tell("confirmed"), notConfirmed: tell("notConfirmed") };
}

/**
 * What the host's memory says of the image; undefined where nobody remembers.
 *
 * @param image - by {@link parseImage}
 * @param imageNumber - as MCUboot counts images
 * @param ratchet - this host's memory of the board
 * @returns the verdict, and why
 */
export async function askRatchet(
  image: Image,
  imageNumber: number,
  ratchet: RatchetPort | undefined,
): Promise<RatchetVerdict | undefined> {
  const offered = rememberedImage(image);
  return offered && ratchet?.judge(imageNumber, offered);
}

/** The preflight's check of it; none where nobody remembers. */
export function ratchetChecks(verdict: RatchetVerdict | undefined): PreflightCheck[] {
  if (verdict === undefined) return [];
  const { result, message, hint } = verdict;
  return [{ name: "ratchet", result, message: message, ...(hint === undefined ? {} : { hint }) }];
}

/**
 * An image as the ratchet remembers it; undefined when it carries no hash to know it by.
 *
 * @param image - by `parseImage`
 * @returns hash in hex, of a compressed image that of what it becomes; version as text, and the security counter where it has one
 */
export function rememberedImage(image: Image): RatchetImage | undefined {
  const { imageHash, version, securityCounter } = image;
  if (imageHash === undefined) return undefined;
  return {
    hash: toHex(statedUnpacked(image)?.hash ?? imageHash.value),
    version: formatVersion(version),
    ...(securityCounter === undefined ? {} : { counter: securityCounter }),
  };
}
