import type { Command } from "commander";
import { isAvb } from "../../avb/magic.js";
import { parseAvb } from "../../avb/vbmeta.js";
import { findImages } from "../../mcuboot/find-images.js";
import { parseImage } from "../../mcuboot/image.js";
import type { Source } from "../../sources/source.js";
import { describeAvb, drawAvb } from "../avb/page.js";
import { bootloaderOptions } from "../bootloader-options.js";
import { decryptionKeyOptions } from "../decryption-key.js";
import { type FlashContent, readFirmware, readFlashContent } from "../firmware-file.js";
import { geometryOptions } from "../geometry.js";
import { readContent } from "../image-input.js";
import { drawMap, imageRegions } from "../inspect/draw-map.js";
import { describeImage, drawImage } from "../inspect/image-page.js";
import type { InspectOptions } from "../inspect/options.js";
import { inspectSlots, slotBytes, slotsAt } from "../inspect/slots.js";
import { judgeWith, verdictJson } from "../inspect/verdict.js";
import { inspectFlash, isWholeFlash } from "../inspect/whole-flash.js";
import { printable, tone } from "../output.js";
import { passphraseHelp } from "../secrets.js";
import { several } from "../several.js";
import { SOURCE_HELP, sourceOptions } from "../source-options.js";
import { describeSource, isContainer, openUpdate } from "../update-source.js";
import { type Context, commonOptions, inContext, wholeNumber } from "../verb-context.js";

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
