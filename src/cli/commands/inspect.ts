import type { Command } from "commander";
import { type Image, parseImage } from "../../image/image.js";
import type { Key } from "../../image/keys.js";
import { type CheckedSlot, type NextBoot, nextBoot } from "../../image/next-boot.js";
import { parseSlot, type Slot, type SlotOptions } from "../../image/slot.js";
import type { SwapMode } from "../../image/swap-type.js";
import { maxAlignOfMagic } from "../../image/trailer.js";
import { verifyImage } from "../../image/verify.js";
import {
  type CommonOptions,
  type Context,
  commonOptions,
  inContext,
  several,
  wholeNumber,
} from "../context.js";
import { UsageError } from "../exit.js";
import { readFirmware } from "../firmware-file.js";
import {
  bootMode,
  type GeometryOptions,
  geometryOptions,
  maxAlign,
  slotGeometry,
  swapMode,
} from "../geometry.js";
import { drawMap, imageRegions } from "../inspect/draw-map.js";
import { describeImage, drawImage } from "../inspect/image-page.js";
import { describeSlot, drawNextBoot, drawRequests, drawSlot } from "../inspect/slot-page.js";
import { printable, tone } from "../output.js";
import { readKey } from "../secrets.js";

interface InspectOptions extends CommonOptions, GeometryOptions {
  slot?: boolean;
  secondary?: string;
  slots?: string[];
  erased?: number;
  key?: string[];
}

export function define(command: Command): void {
  geometryOptions(
    commonOptions(
      command.argument("<file>", "an image, a slot as read back, or a whole flash (raw or .hex)"),
    ),
  )
    .option("--slot", "the file is a whole slot; told by itself when a trailer ends it")
    .option("--secondary <file>", "the other slot: then it can be said what the bootloader does next")
    .option(
      "--slots <offset:size>",
      "the file is a flash dump: where a slot is, the primary first (twice)",
      several,
    )
    .option(
      "--erased <byte>",
      "what erased flash reads as: 0 or 0xff",
      wholeNumber("--erased", { max: 0xff }),
    )
    .option(
      "--key <file>",
      "a key the bootloader trusts (repeatable), to say whether it takes the image",
      several,
    )
    .action((file: string, options: InspectOptions) =>
      inContext(options, (context) => inspect(file, options, context)),
    );
}

async function inspect(file: string, options: InspectOptions, context: Context): Promise<void> {
  const { bytes } = readFirmware(file);
  const slots = slotBytes(bytes, options);
  if (slots) return inspectSlots(file, slots, options, context);
  const image = parseImage(bytes);
  const behind = bytes.length - image.size;
  const note =
    behind > 0
      ? `${behind} bytes follow the image, which neither hash nor signature covers`
      : "nothing follows the image";
  const regions = imageRegions(image, bytes.length);
  context.out.result(
    { ...describeImage(file, bytes, image), map: regions },
    `${tone("dim", "file".padEnd(11))}${printable(file)}, ${bytes.length} bytes; ${note}\n${drawImage(image)}\n\n${drawMap(regions)}`,
  );
}

/** The slots that a file holds; undefined when it is an image alone. */
function slotBytes(bytes: Uint8Array, options: InspectOptions): Uint8Array[] | undefined {
  const { slots, secondary } = options;
  if (slots !== undefined) {
    if (slots.length > 2)
      throw new UsageError("--slots is given once for the primary and once for the secondary.");
    return slots.map((text) => slotOf(bytes, text));
  }
  const isSlot = options.slot || secondary !== undefined || isFilledUp(bytes);
  if (!isSlot) return undefined;
  return [bytes, ...(secondary === undefined ? [] : [readFirmware(secondary).bytes])];
}

/** A trailer's magic at the end, behind an image: a slot, or a file made with --pad, which is one too. */
function isFilledUp(bytes: Uint8Array): boolean {
  return maxAlignOfMagic(bytes) !== undefined;
}

function slotOf(bytes: Uint8Array, text: string): Uint8Array {
  const number = wholeNumber("--slots");
  const [offset, size, more] = text.split(":");
  if (offset === undefined || size === undefined || more !== undefined)
    throw new UsageError(`--slots "${text}": write it as OFFSET:SIZE, like 0x10000:0x20000.`);
  const [from, length] = [number(offset), number(size)];
  if (from + length <= bytes.length) return bytes.subarray(from, from + length);
  throw new UsageError(`--slots ${text} lies beyond the ${bytes.length} bytes of the file.`);
}

async function inspectSlots(
  file: string,
  parts: readonly Uint8Array[],
  options: InspectOptions,
  { out, config }: Context,
): Promise<void> {
  const keyFiles = [...(options.key ?? []), ...config.keys];
  const keys = await Promise.all(keyFiles.map(async (name) => (await readKey(name, {})).publicKey));
  const slots = await Promise.all(parts.map((bytes) => checkedSlot(bytes, options, keys)));
  const [primary, secondary] = slots;
  const asked = swapMode(bootMode(options.mode));
  const mode = asked ?? "swap-move";
  const next = primary && secondary ? nextBoot(mode, primary, secondary) : undefined;
  if (next && !asked) out.note("No swap mode was named with --mode: swap-move is taken.");
  const pages = slots.map((one, index) => drawPage(one, index, slots.length));
  if (next) pages.push(drawNextBoot(mode, next));
  out.result(describe(file, parts, slots, mode, next), pages.join("\n\n"));
}

async function checkedSlot(
  bytes: Uint8Array,
  options: InspectOptions,
  keys: readonly Key[],
): Promise<CheckedSlot> {
  const slot = parseSlot(bytes, slotOptions(bytes, options));
  if (!slot.image) return { slot };
  const geometry = slotGeometry(options, bytes.length);
  const mode = bootMode(options.mode);
  const verdict = await verifyImage(bytes.subarray(slot.imageOffset), {
    ...(keys.length > 0 && { keys }),
    ...(geometry && { geometry, ...(mode && { mode }) }),
  });
  return { slot, verdict };
}

function slotOptions(bytes: Uint8Array, options: InspectOptions): SlotOptions {
  const { sectorSize, erased } = options;
  const align = maxAlign(options.maxAlign) ?? maxAlignOfMagic(bytes);
  const geometry = slotGeometry({ ...options, ...(align && { maxAlign: align }) }, bytes.length);
  const mode = bootMode(options.mode);
  return {
    ...(align && { maxAlign: align }),
    ...(erased !== undefined && { erasedValue: erased }),
    // Only this mode keeps updates in the second sector; elsewhere something there is a leftover.
    ...(sectorSize !== undefined && mode === "swap-offset" && { sectorSize }),
    ...(mode && { mode }),
    ...(geometry && { geometry }),
  };
}

const ROLES = ["primary", "secondary"] as const;

function drawPage({ slot, verdict }: CheckedSlot, index: number, count: number): string {
  const title = count === 1 ? [] : [tone("strong", ROLES[index]!)];
  const checked =
    verdict?.checks.filter(({ result }) => result === "fail").map(({ sentence }) => sentence) ?? [];
  const verdictLine =
    checked.length > 0
      ? [tone("bad", `a bootloader refuses this image: ${printable(checked.join(" "))}`)]
      : [];
  const image = slot.image ? [drawImage(slot.image), ""] : [];
  const requests =
    count === 1
      ? [
          tone("dim", "were it the primary"),
          drawRequests(slot, "active"),
          tone("dim", "were it the secondary"),
          drawRequests(slot, "inactive"),
        ]
      : [drawRequests(slot, index === 0 ? "active" : "inactive")];
  return [...title, ...image, drawSlot(slot), ...verdictLine, ...requests].join("\n");
}

function describe(
  file: string,
  parts: readonly Uint8Array[],
  slots: readonly CheckedSlot[],
  mode: SwapMode,
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
      ...(verdict && { verdict: { result: verdict.result, checks: verdict.checks } }),
    })),
    ...(next && { nextBoot: { mode, ...next } }),
  };
}
