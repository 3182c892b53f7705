import type { Command } from "commander";
import { type DumpFindings, findImages } from "../../image/find-images.js";
import { type Image, parseImage } from "../../image/image.js";
import type { Key } from "../../image/keys.js";
import { type CheckedSlot, type NextBoot, nextBoot } from "../../image/next-boot.js";
import { parseSlot, type Slot, type SlotOptions } from "../../image/slot.js";
import type { SwapMode } from "../../image/swap-type.js";
import { maxAlignOfMagic } from "../../image/trailer.js";
import { type Verdict, verifyImage } from "../../image/verify.js";
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
import { drawMap, dumpRegions, imageRegions } from "../inspect/draw-map.js";
import { describeFindings, drawFlash } from "../inspect/flash-page.js";
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
  const findings = findImages(bytes);
  if (isWholeFlash(bytes, findings, options)) return inspectFlash(file, bytes, findings, options, context);
  const slots = slotBytes(bytes, options);
  if (slots) return inspectSlots(file, slots, options, context);
  const image = parseImage(bytes);
  const keys = await trustedKeys(options, context);
  const verdict = keys.length > 0 ? await verifyImage(bytes, { keys }) : undefined;
  const behind = bytes.length - image.size;
  const note =
    behind > 0
      ? `${behind} bytes follow the image, which neither hash nor signature covers`
      : "nothing follows the image";
  const regions = imageRegions(image, bytes.length);
  context.out.result(
    { ...describeImage(file, bytes, image), map: regions, ...(verdict && { verdict: told(verdict) }) },
    [
      `${tone("dim", "file".padEnd(11))}${printable(file)}, ${bytes.length} bytes; ${note}`,
      drawImage(image, verdict),
      "",
      drawMap(regions),
    ].join("\n"),
  );
}

function told({ result, checks }: Verdict) {
  return { result, checks };
}

/** Images that do not begin where the file does, or several: then the file is more than an image or a slot. */
function isWholeFlash(
  bytes: Uint8Array,
  { images, slotEnds }: DumpFindings,
  { slots, slot, secondary, sectorSize }: InspectOptions,
): boolean {
  const [first, ...more] = images;
  if (slots !== undefined || slot || secondary !== undefined || !first) return false;
  if (first.offset === 0) return more.length > 0 && (!isFilledUp(bytes) || slotEnds.length > 1);
  return more.length > 0 || first.offset !== sectorSize;
}

/** A dump whose slots nobody named: what there is, and how to name them. */
function inspectFlash(
  file: string,
  bytes: Uint8Array,
  findings: DumpFindings,
  { erased = 0xff }: InspectOptions,
  { out }: Context,
): void {
  const map = dumpRegions(bytes, findings, erased);
  out.result(
    { file, fileSize: bytes.length, ...describeFindings(findings), map },
    drawFlash(file, bytes, findings, map),
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
  context: Context,
): Promise<void> {
  const { out } = context;
  const keys = await trustedKeys(options, context);
  const slots = await Promise.all(parts.map((bytes) => checkedSlot(bytes, options, keys)));
  const [primary, secondary] = slots;
  const asked = swapMode(bootMode(options.mode));
  const mode = asked ?? "swap-move";
  const next = primary && secondary ? nextBoot(mode, primary, secondary) : undefined;
  if (next && !asked) out.note("No swap mode was named with --mode: swap-move is taken.");
  const largest = Math.max(...parts.map(({ length }) => length));
  const pages = slots.map((one, index) => drawPage(one, index, slots.length, largest));
  if (next) pages.push(drawNextBoot(mode, next));
  out.result(describe(file, parts, slots, mode, next), pages.join("\n\n"));
}

async function trustedKeys({ key = [] }: InspectOptions, { config }: Context): Promise<Key[]> {
  const files = [...key, ...config.keys];
  return Promise.all(files.map(async (name) => (await readKey(name, {})).publicKey));
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

function drawPage({ slot, verdict }: CheckedSlot, index: number, count: number, largest: number): string {
  const title = count === 1 ? [] : [tone("strong", ROLES[index]!)];
  const image = slot.image ? [drawImage(slot.image, verdict), ""] : [];
  const requests =
    count === 1
      ? [
          tone("dim", "were it the primary"),
          drawRequests(slot, "active"),
          tone("dim", "were it the secondary"),
          drawRequests(slot, "inactive"),
        ]
      : [drawRequests(slot, index === 0 ? "active" : "inactive")];
  return [...title, ...image, drawSlot(slot, largest), ...requests].join("\n");
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
      ...(verdict && { verdict: told(verdict) }),
    })),
    ...(next && { nextBoot: { mode, ...next } }),
  };
}
