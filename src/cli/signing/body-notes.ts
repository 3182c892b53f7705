import { endianOf } from "../../mcuboot/header.js";
import type { SigningPlan } from "../../mcuboot/signing-plan.js";
import { bodyWarnings } from "../../mcuboot/start.js";
import type { Firmware } from "../firmware-file.js";
import { printable } from "../output.js";

/** What a person should know before firmware is made an image, as sentences: what is odd about the file and its start. */
export function bodyNotes(
  { bytes, address, notes }: Firmware,
  { header, slot }: Pick<SigningPlan, "header" | "slot">,
): string[] {
  // Where none is added the input begins with the room for the header.
  const room = header.isAdded ? 0 : header.size;
  const body = endianOf(bytes) === undefined ? bytes.subarray(room) : bytes;
  const at = address === undefined || body === bytes ? address : address + room;
  const confirms =
    slot.trailer === "confirmed" && slot.overwriteOnly
      ? ["With --overwrite-only the trailer has no image_ok: the image is not confirmed, despite --confirm."]
      : [];
  return [...notes.map(printable), ...bodyWarnings(body, at), ...confirms];
}
