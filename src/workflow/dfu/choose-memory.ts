import { DfuError } from "../../dfu/error.js";
import type { DfuMemory } from "./device.js";

/** Throws {@link DfuError} `dfu-cannot` naming the memories when none or several could be meant. */
export function chooseMemory(memories: readonly DfuMemory[], alternate: number | undefined): DfuMemory {
  const meant = memories.filter((one) => alternate === undefined || one.alternate === alternate);
  if (meant.length === 1) return meant[0]!;
  const known = memories.map((one) => `${one.alternate} (${one.name ?? "no name"})`).join(", ");
  throw new DfuError(
    "dfu-cannot",
    alternate === undefined ? "The device has several memories." : `The device has no memory ${alternate}.`,
    { hint: `Say which with --alt: ${known}.` },
  );
}
