import type { Command } from "commander";
import { isAvb } from "../../avb/magic.js";
import { parseAvb } from "../../avb/vbmeta.js";
import type { Key } from "../../crypto/keys.js";
import type { Segment } from "../../formats/intel-hex.js";
import { type DumpFindings, findImages } from "../../mcuboot/find-images.js";
import { type Image, parseImage } from "../../mcuboot/image.js";
import { type BootPolicy, type CheckedSlot, type NextBoot, nextBoot } from "../../mcuboot/next-boot.js";
import {
  erasedValueOf,
  erasedValueOfDump,
  parseSlot,
  type Slot,
  type SlotOptions,
} from "../../mcuboot/slot.js";
import { maxAlignOfMagic } from "../../mcuboot/trailer.js";
import { type UpgradeMode, upgradeMode } from "../../mcuboot/upgrade-modes.js";
import { type Verdict, type VerifyOptions, verifyImage } from "../../mcuboot/verify.js";
import type { Source } from "../../sources/source.js";
import { describeAvb, drawAvb } from "../avb/page.js";
import { type BootloaderOptions, bootloaderFacts, bootloaderOptions } from "../bootloader-options.js";
import { type DecryptionKeyOptions, decryptionKeyOptions, readDecryptionKey } from "../decryption-key.js";
import { type FlashContent, readFirmware, readFlashContent, readImageFile } from "../firmware-file.js";
import {
  type GeometryOptions,
  geometryOptions,
  maxAlign,
  slotGeometry,
  upgradeModeNamed,
} from "../geometry.js";
import { readContent } from "../image-input.js";
import { drawMap, dumpRegions, imageRegions } from "../inspect/draw-map.js";
import { describeFindings, drawFlash } from "../inspect/flash-page.js";
import { describeImage, drawImage } from "../inspect/image-page.js";
import { describeSlot, drawNextBoot, drawRequests, drawSlot } from "../inspect/slot-page.js";
import { keyFiles } from "../key-files.js";
import { printable, tone } from "../output.js";
import { passphraseHelp, readKey } from "../secrets.js";
import { several } from "../several.js";
import { SOURCE_HELP, type SourceOptions, sourceOptions } from "../source-options.js";
import { describeSource, isContainer, openUpdate } from "../update-source.js";
import { UsageError } from "../usage-error.js";
import { type CommonOptions, type Context, commonOptions, inContext, wholeNumber } from "../verb-context.js";

interface InspectOptions
  extends CommonOptions,
    BootloaderOptions,
    DecryptionKeyOptions,
    GeometryOptions,
    SourceOptions {
  slot?: boolean;
  secondary?: string;
  slots?: string[];
  erased?: number;
  key?: string[];
  passphraseFile?: string;
  /** Absent when neither form was given. */
  preventDowngrade?: boolean;
  bootstrap?: boolean;
  validatePrimary?: boolean;
  decompresses?: boolean;
}

const withSourceOptions = (command: Command) =>
  bootloaderOptions(decryptionKeyOptions(sourceOptions(command)));

export function define(command: Command): void {
  withSourceOptions(
    geometryOptions(
      commonOptions(
        command.argument(
          "<file>",
          `${SOURCE_HELP}; or a slot as read back, a whole flash, or Android boot metadata`,
        ),
      ),
    ),
  )
    .option("--slot", "the file is a whole slot (detected if it ends with a trailer)")
    .option("--secondary <file>", "the other slot, to predict what the bootloader does next")
    .option(
      "--slots <offset:size>",
      "the file is a flash dump: place of a slot, the primary first (twice)",
      several,
    )
    .option(
      "--erased <byte>",
      "what erased flash reads as: 0 or 0xff",
      wholeNumber("--erased", { max: 0xff }),
    )
    .option(
      "--key <file>",
      "a key the bootloader trusts (repeatable), to predict whether it accepts the image",
      several,
    )
    .option("--prevent-downgrade", "the bootloader erases updates of a lower version")
    .option("--no-prevent-downgrade", "it accepts them")
    .option("--bootstrap", "it replaces a primary that cannot start with the secondary (MCUBOOT_BOOTSTRAP)")
    .option("--no-bootstrap", "it does not, like most builds")
    .option("--decompresses", "it decompresses images, as only some builds in overwrite-only mode do")
    .option("--no-decompresses", "it does not, like most builds")
    .option("--validate-primary", "it checks the primary at each boot, as most builds do")
    .option("--passphrase-file <file>", passphraseHelp)
    .option("--no-validate-primary", "it starts the primary unchecked (MCUBOOT_VALIDATE_PRIMARY_SLOT off)")
    .action((file: string, options: InspectOptions) =>
      inContext(options, (context) => inspect(file, options, context)),
    );
}

async function inspect(file: string, options: InspectOptions, context: Context): Promise<void> {
  if (isContainer(file)) return inspectSource(await openUpdate(file, options, context), options, context);
  const content = readFlashContent(file, readContent(file, options.expectSha256));
  for (const note of content.notes) context.out.note(`Note: ${printable(note)}`);
  if (content.kind !== "raw") return inspectAddresses(file, content, options, context);
  const { bytes } = content.segments[0]!;
  if (isAvb(bytes)) {
    const boot = parseAvb(bytes);
    return context.out.result(describeAvb(file, bytes, boot), drawAvb(file, bytes, boot));
  }
  const findings = findImages(bytes);
  if (isWholeFlash(bytes, findings, options))
    return inspectFlash(file, [{ address: 0, bytes }], options, context);
  return inspectOne(file, { bytes }, options, context);
}

/** Bytes that know their addresses: Intel HEX, ELF. */
async function inspectAddresses(
  file: string,
  { segments }: FlashContent,
  options: InspectOptions,
  context: Context,
): Promise<void> {
  if (options.slots !== undefined)
    return inspectSlots(file, slotsAt(options.slots, segments), options, context);
  const found = segments.map(({ bytes }) => findImages(bytes));
  const count = found.reduce((sum, { images }) => sum + images.length, 0);
  const only = found.findIndex(({ images }) => images.length > 0);
  const one = segments[only];
  const alone = one && count === 1 && !isWholeFlash(one.bytes, found[only]!, options);
  if (!alone && count > 0) return inspectFlash(file, segments, options, context);
  for (const other of segments)
    if (one && other !== one)
      context.out.note(
        `Besides the image: ${other.bytes.length} bytes at 0x${other.address.toString(16)}, which are not part of it.`,
      );
  // Without any image the parser says what is there instead.
  return inspectOne(file, one ?? readFirmware(file), options, context);
}

/** One image, or one slot. `address`: where its first byte belongs. */
async function inspectOne(
  file: string,
  { bytes, address }: { readonly bytes: Uint8Array; readonly address?: number },
  options: InspectOptions,
  context: Context,
): Promise<void> {
  const slots = slotBytes(bytes, options);
  if (slots) return inspectSlots(file, slots, options, context);
  const image = parseImage(bytes);
  const judge = await judgeWith(options, context);
  const verdict = await judge?.(bytes);
  const behind = bytes.length - image.size;
  const note =
    behind > 0
      ? `${behind} bytes follow the image; neither hash nor signature covers them`
      : "nothing follows the image";
  const regions = imageRegions(image, bytes.length);
  const at = address === undefined ? "" : ` at 0x${address.toString(16)}`;
  context.out.result(
    {
      ...describeImage(file, bytes, image),
      ...(address !== undefined && { address }),
      map: regions,
      ...(verdict && { verdict: verdictJson(verdict) }),
    },
    [
      `${tone("dim", "file".padEnd(11))}${printable(file)}, ${bytes.length} bytes${at}; ${note}`,
      drawImage(image, verdict),
      "",
      drawMap(regions),
    ].join("\n"),
  );
}

/** A bundle, an artifact or a build: what each of its images is. */
async function inspectSource(source: Source, options: InspectOptions, context: Context): Promise<void> {
  const judge = await judgeWith(options, context);
  const pages = await Promise.all(
    source.payloads.map(async ({ name, bytes }) => {
      const image = parseImage(bytes);
      const verdict = await judge?.(bytes);
      return {
        value: { ...describeImage(name, bytes, image), ...(verdict && { verdict: verdictJson(verdict) }) },
        page: `${tone("strong", printable(name))}\n${drawImage(image, verdict)}`,
      };
    }),
  );
  context.out.result(
    { source: describeSource(source), images: pages.map(({ value }) => value) },
    pages.map(({ page }) => page).join("\n\n"),
  );
}

/** The verdict on an image by itself, by whatever was told of the bootloader; undefined when nothing was. */
async function judgeWith(
  options: InspectOptions,
  context: Context,
): Promise<((bytes: Uint8Array) => Promise<Verdict>) | undefined> {
  const keys = await trustedKeys(options, context);
  const { decryptKey, decryptKek, storedCounter, slotAddress, hash, allowList } = options;
  const isReported = [decryptKey, decryptKek, storedCounter, slotAddress, hash].some(
    (one) => one !== undefined,
  );
  if (keys.length === 0 && !isReported && allowList) return undefined;
  const how = await verdictOptions(options, keys);
  return (bytes) => verifyImage(bytes, how);
}

/** What is told of the bootloader. `slot`: 0 the primary, or the only one. */
async function verdictOptions(
  options: InspectOptions,
  keys: readonly Key[],
  slot = 0,
): Promise<VerifyOptions> {
  const decryptionKey = await readDecryptionKey(options);
  return {
    ...bootloaderFacts(options, slot),
    ...(keys.length > 0 && { keys }),
    ...(decryptionKey && { decryptionKey }),
  };
}

function verdictJson({ result, checks }: Verdict) {
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
  segments: readonly Segment[],
  { erased }: InspectOptions,
  { out }: Context,
): void {
  const parts = segments.map(({ address, bytes }) => {
    const findings = findImages(bytes);
    const map = dumpRegions(bytes, findings, erased ?? erasedValueOfDump(bytes));
    return { findings: shifted(findings, address), map: map.map((region) => moved(region, address)) };
  });
  const findings: DumpFindings = {
    images: parts.flatMap((part) => part.findings.images),
    slotEnds: parts.flatMap((part) => part.findings.slotEnds),
    slots: parts.flatMap((part) => part.findings.slots),
  };
  const maps = parts.map(({ map }) => map);
  const size = segments.reduce((sum, { bytes }) => sum + bytes.length, 0);
  out.result(
    { file, fileSize: size, ...describeFindings(findings), map: maps.flat() },
    drawFlash(file, size, findings, maps),
  );
}

/** Offsets become addresses. */
function shifted({ images, slotEnds, slots }: DumpFindings, address: number): DumpFindings {
  return {
    images: images.map((one) => moved(one, address)),
    slotEnds: slotEnds.map((one) => moved(one, address)),
    slots: slots.map((one) => moved(one, address)),
  };
}

function moved<T extends { readonly offset: number }>(thing: T, by: number): T {
  return { ...thing, offset: thing.offset + by };
}

/** Slots by their addresses. What a file does not hold of them is erased flash: HEX files leave that out. */
function slotsAt(texts: readonly string[], segments: readonly Segment[]): Uint8Array[] {
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
function slotBytes(bytes: Uint8Array, options: InspectOptions): Uint8Array[] | undefined {
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

/** A trailer's magic at the end, behind an image: a slot, or a file made with --pad, which is one too. */
function isFilledUp(bytes: Uint8Array): boolean {
  return maxAlignOfMagic(bytes) !== undefined;
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

async function inspectSlots(
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

async function trustedKeys(options: InspectOptions, context: Context): Promise<Key[]> {
  const files = keyFiles(options.key, context);
  return Promise.all(files.map(async (name) => (await readKey(name, options)).publicKey));
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
