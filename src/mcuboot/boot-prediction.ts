import { COMPRESSION_FLAGS } from "./compression.js";
import type { SlotGeometry } from "./largest-image.js";
import type { Slot } from "./slot.js";
import type { SwapType } from "./swap-type.js";
import type { Verdict } from "./verify.js";

/** A slot and, if its image was checked, what came of it. */
export interface CheckedSlot {
  readonly slot: Slot;
  readonly verdict?: Verdict;
}

/** How the bootloader was built and what it has stored, as far as that is known. */
export interface BootPolicy {
  /** Sizes of slots and sectors: whether the running image leaves a swap its room. */
  readonly geometry?: SlotGeometry | undefined;
  /** MCUBOOT_DOWNGRADE_PREVENTION: a lower version is erased before it is swapped in. */
  readonly preventsDowngrade?: boolean | undefined;
  /** MCUBOOT_BOOTSTRAP: a good image in the secondary replaces a primary that cannot start. */
  readonly bootstraps?: boolean | undefined;
  /** MCUBOOT_VALIDATE_PRIMARY_SLOT; false: the primary is started unchecked. Default true, as in Zephyr. */
  readonly validatesPrimary?: boolean | undefined;
  /** It unpacks compressed images, from the secondary in overwrite-only mode. */
  readonly decompresses?: boolean | undefined;
  /** The stored security counter was given to the verdicts of the slots. */
  readonly knowsStoredCounter?: boolean | undefined;
}

/** What happens to the two slots of an image when the board is reset. */
export interface NextBoot {
  /** What the trailers ask for; `resumed` when a swap was cut short and goes on. */
  readonly swapType: SwapType;
  readonly resumed: boolean;
  /** Why, from the trailers. */
  readonly reason: string;
  /**
   * `swap`: the slots are exchanged, or overwritten; `keep`: nothing changes; `drop`: the request is taken back and the
   * old image runs; `erase`: so is it, and the secondary is erased; `stuck`: no image starts.
   */
  readonly outcome: "swap" | "keep" | "drop" | "erase" | "stuck";
  /** Sentences for people, in the order of events. */
  readonly steps: readonly string[];
  /** Which slot's image runs afterwards: with a swap the primary's, whatever was in it before. */
  readonly starts: "primary" | "secondary" | "none";
  /** What would have to be known to be sure, as the rest of "This depends on". */
  readonly dependsOn: readonly string[];
}

/** A compressed image never runs as it is: in a slot that images run from, its header alone is refused. */
export function isCompressed({ slot: { image } }: CheckedSlot): boolean {
  return image !== undefined && (image.header.flags & COMPRESSION_FLAGS) !== 0;
}

/** What of the verdicts on the images is not told: who signed them, whether what is encrypted is what it states. */
export function openVerdicts(slots: readonly CheckedSlot[]): string[] {
  const images = slots.filter(({ slot }) => slot.image !== undefined);
  const isOpen = ({ verdict }: CheckedSlot) =>
    verdict === undefined || verdict.result === "signature-not-checked";
  const isClosed = ({ verdict }: CheckedSlot) =>
    verdict?.checks.some(({ name, result }) => name === "decryption" && result === "not-checked");
  return [
    ...(images.some(isOpen) ? ["whether a key that the bootloader trusts signed the images (--key)"] : []),
    ...(images.some(isClosed) ? ["whether the board's key opens the encrypted image (--decrypt-key)"] : []),
  ];
}
