import type { Segment } from "../../formats/intel-hex.js";
import { findImages } from "../../mcuboot/find-images.js";
import type { Image } from "../../mcuboot/image.js";
import { type BootPolicy, type CheckedSlot, type NextBoot, nextBoot } from "../../mcuboot/next-boot.js";
import { erasedValueOf, parseSlot, type Slot, type SlotOptions } from "../../mcuboot/slot.js";
import { maxAlignOfMagic } from "../../mcuboot/trailer.js";
import { type UpgradeMode, upgradeMode } from "../../mcuboot/upgrade-modes.js";
import { type VerifyOptions, verifyImage } from "../../mcuboot/verify.js";
import { readImageFile } from "../firmware-file.js";
import { maxAlign, slotGeometry, upgradeModeNamed } from "../geometry.js";
import { tone } from "../output.js";
import { UsageError } from "../usage-error.js";
import { type Context, wholeNumber } from "../verb-context.js";
import { describeImage, drawImage } from "./image-page.js";
import type { InspectOptions } from "./options.js";
import { describeSlot, drawNextBoot, drawRequests, drawSlot } from "./slot-page.js";
import { trustedKeys, verdictJson, verdictOptions } from "./verdict.js";
import { isFilledUp } from "./whole-flash.js";

/** Slots by their addresses. What a file does not hold of them is erased flash: HEX files leave that out. */
export function slotsAt(texts: readonly string[], segments: readonly Segment[]): Uint8Array[] {
  if (texts.length > 2)
    throw new UsageError("--slots is given once for the primary and once for the secondary.");
  return texts.map((text) => {
    const { from, length } = slotPlace(text);
    const slot = new Uint8Array(length).fill(0xff);
    const held = segments.filter(
      ({ address, bytes }) => address < from + length && address + bytes.length > from,
    );
    if (held.length === 0) throw new UsageError(`--slots ${text}: the file holds no bytes there.`);
    for (const { address, bytes } of held) {
      const part = bytes.subarray(Math.max(0, from - address), from + length - address);
      slot.set(part, Math.max(0, address - from));
    }
    return slot;
  });
}

/** The slots that a file holds; undefined when it is an image alone. */
export function slotBytes(bytes: Uint8Array, options: InspectOptions): Uint8Array[] | undefined {
  const { slots, secondary } = options;
  if (slots !== undefined) {
    if (slots.length > 2)
      throw new UsageError("--slots is given once for the primary and once for the secondary.");
    return slots.map((text) => slotOf(bytes, text));
  }
  const isSlot = options.slot || secondary !== undefined || isFilledUp(bytes);
  if (!isSlot) return undefined;
  return [bytes, ...(secondary === undefined ? [] : [readImageFile(secondary).bytes])];
}

/** No slot is larger, and a few digits must not fill the memory. */
const LARGEST_SLOT = 64 * 1024 * 1024;

function slotPlace(text: string): { from: number; length: number } {
  const number = wholeNumber("--slots");
  const [offset, size, more] = text.split(":");
  if (offset === undefined || size === undefined || more !== undefined)
    throw new UsageError(`--slots "${text}": write it as OFFSET:SIZE, like 0x10000:0x20000.`);
  const [from, length] = [number(offset), number(size)];
  if (length >= 1 && length <= LARGEST_SLOT) return { from, length };
  throw new UsageError(`--slots ${text}: a slot has 1 to ${LARGEST_SLOT} bytes.`);
}

function slotOf(bytes: Uint8Array, text: string): Uint8Array {
  const { from, length } = slotPlace(text);
  if (from + length <= bytes.length) return bytes.subarray(from, from + length);
  throw new UsageError(`--slots ${text} lies beyond the ${bytes.length} bytes of the file.`);
}

export async function inspectSlots(
  file: string,
  parts: readonly Uint8Array[],
  options: InspectOptions,
  context: Context,
): Promise<void> {
  const { out } = context;
  const keys = await trustedKeys(options, context);
  const how = withSectors(parts, options, out);
  const slots = await Promise.all(
    parts.map(async (bytes, index) => checkedSlot(bytes, how, await verdictOptions(options, keys, index))),
  );
  const [primary, secondary] = slots;
  const asked = upgradeModeNamed(options.mode);
  const mode = asked ?? "swap-move";
  const predicted =
    primary && secondary ? nextBoot(mode, primary, secondary, bootPolicy(how, parts[0]!.length)) : undefined;
  const untold = asked ? [] : ["the upgrade mode (--mode)"];
  const next = predicted && { ...predicted, dependsOn: [...untold, ...predicted.dependsOn] };
  if (next && !asked) out.note("No mode was named with --mode: swap-move is assumed.");
  const largest = Math.max(...parts.map(({ length }) => length));
  const pages = slots.map((one, index) => drawPage(one, index, slots.length, largest));
  if (next) pages.push(drawNextBoot(mode, next));
  out.result(describe(file, parts, slots, mode, next), pages.join("\n\n"));
}

function bootPolicy(options: InspectOptions, primarySize: number): BootPolicy {
  const { preventDowngrade, bootstrap, validatePrimary, decompresses, storedCounter } = options;
  return {
    geometry: slotGeometry(options, primarySize),
    preventsDowngrade: preventDowngrade,
    bootstraps: bootstrap,
    validatesPrimary: validatePrimary,
    decompresses,
    knowsStoredCounter: storedCounter !== undefined,
  };
}

/** Sizes that flash sectors have. */
const SECTOR_SIZES: readonly number[] = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072];

/** Swap using offset keeps updates in the second sector: where one begins tells the sector size. */
function withSectors(
  parts: readonly Uint8Array[],
  options: InspectOptions,
  out: Context["out"],
): InspectOptions {
  const mode = upgradeModeNamed(options.mode);
  if (options.sectorSize !== undefined || !mode || upgradeMode(mode).swap?.updateSector !== 1) return options;
  const begins = parts.flatMap((bytes) => findImages(bytes).images.map(({ offset }) => offset));
  const sectorSize = SECTOR_SIZES.find((size) => begins.includes(size));
  if (sectorSize === undefined) {
    out.note("Without --sector-size an update in the second sector of the secondary may be overlooked.");
    return options;
  }
  out.note(`An image begins at ${sectorSize}: that is assumed to be the sector size (--sector-size).`);
  return { ...options, sectorSize };
}

async function checkedSlot(
  bytes: Uint8Array,
  options: InspectOptions,
  policy: VerifyOptions,
): Promise<CheckedSlot> {
  const slot = parseSlot(bytes, slotOptions(bytes, options));
  if (!slot.image) return { slot };
  const geometry = slotGeometry(options, bytes.length);
  const mode = upgradeModeNamed(options.mode);
  const verdict = await verifyImage(bytes.subarray(slot.imageOffset), {
    ...policy,
    ...(mode && { mode }),
    ...(geometry && { geometry }),
  });
  return { slot, verdict };
}

function slotOptions(bytes: Uint8Array, options: InspectOptions): SlotOptions {
  const { sectorSize } = options;
  const erased = options.erased ?? erasedValueOf(bytes, imageIn(bytes));
  const align = maxAlign(options.maxAlign) ?? maxAlignOfMagic(bytes);
  const geometry = slotGeometry({ ...options, ...(align && { maxAlign: align }) }, bytes.length);
  const mode = upgradeModeNamed(options.mode);
  return {
    ...(align && { maxAlign: align }),
    erasedValue: erased,
    // Only this mode keeps updates in the second sector; elsewhere something there is a leftover.
    ...(sectorSize !== undefined && mode && upgradeMode(mode).swap?.updateSector === 1 && { sectorSize }),
    ...(mode && { mode }),
    ...(geometry && { geometry }),
  };
}

function imageIn(bytes: Uint8Array): Image | undefined {
  const [first] = findImages(bytes).images;
  return first?.offset === 0 ? first.image : undefined;
}

const ROLES = ["primary", "secondary"] as const;

function drawPage({ slot, verdict }: CheckedSlot, index: number, count: number, largest: number): string {
  const title = count === 1 ? [] : [tone("strong", ROLES[index]!)];
  const image = slot.image ? [drawImage(slot.image, verdict), ""] : [];
  const requests =
    count === 1
      ? [
          tone("dim", "if it were the primary"),
          drawRequests(slot, "active"),
          tone("dim", "if it were the secondary"),
          drawRequests(slot, "inactive"),
        ]
      : [drawRequests(slot, index === 0 ? "active" : "inactive")];
  return [...title, ...image, drawSlot(slot, largest), ...requests].join("\n");
}

function describe(
  file: string,
  parts: readonly Uint8Array[],
  slots: readonly CheckedSlot[],
  mode: UpgradeMode,
  next: NextBoot | undefined,
) {
  const [first] = slots;
  const image: Image | undefined = first?.slot.image;
  const of = (slot: Slot, bytes: Uint8Array) => (slot.image ? bytes.subarray(slot.imageOffset) : bytes);
  return {
    ...(image && first ? describeImage(file, of(first.slot, parts[0]!), image) : { file }),
    slots: slots.map(({ slot, verdict }, index) => ({
      role: slots.length === 1 ? undefined : ROLES[index],
      ...describeSlot(slot),
      ...(slot.image && index > 0 && { image: describeImage(file, of(slot, parts[index]!), slot.image) }),
      ...(verdict && { verdict: verdictJson(verdict) }),
    })),
    ...(next && { nextBoot: { mode, ...next } }),
  };
}
