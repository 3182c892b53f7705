import { DfuError } from "../dfu/error.js";
import { holdsSlot, type Slot } from "../dfu/memory.js";
import type { DfuMemory } from "./device.js";

/** Zephyr's DFU names the slot that takes downloads so (subsys/usb/device/class/dfu/usb_dfu.c); image_0 runs. */
const TAKES_DOWNLOADS = "image_1";

/**
 * The alternate setting behind which an image for `slot` belongs; without a slot, the one that takes downloads. Undefined
 * when that is none or several: whoever chooses then says so.
 */
export function alternateFor(memories: readonly DfuMemory[], slot: Slot | undefined): number | undefined {
  const meant = memories.filter(({ memory, name }) =>
    slot
      ? memory !== undefined && holdsSlot(memory, slot)
      : memories.length === 1 || name === TAKES_DOWNLOADS,
  );
  return meant.length === 1 ? meant[0]!.alternate : undefined;
}

/** Throws {@link DfuError} `dfu-cannot` naming the memories when none or several could be meant. */
export function chooseMemory(memories: readonly DfuMemory[], alternate: number | undefined): DfuMemory {
  const meant = memories.filter((one) => alternate === undefined || one.alternate === alternate);
  if (meant.length === 1) return meant[0]!;
  const known = memories.map((one) => `${one.alternate} (${one.name ?? "no name"})`).join(", ");
  throw new DfuError(
    "dfu-cannot",
    alternate === undefined ? "The device has several memories." : `The device has no memory ${alternate}.`,
    { hint: `Choose one with --alt: ${known}.` },
  );
}
