import type { Command } from "commander";
import { boardIdentityOf } from "../../boards/board-identity.js";
import { devicesHere } from "../../boards/choose-device.js";
import { readDfuFile } from "../../dfu/file.js";
import { hex, memoryInWords } from "../../dfu/memory.js";
import { stateInWords } from "../../dfu/status.js";
import { DfuDevice, type DfuOffer } from "../../dfu-transfer/device.js";
import { type DownloadEvent, download, leaveTo, mustBeImage } from "../../dfu-transfer/download.js";
import { chooseDfu, type DfuListing, leaveForDfu, listDfu } from "../../dfu-transfer/find.js";
import { upload } from "../../dfu-transfer/upload.js";
import { ImageError } from "../../mcuboot/header.js";
import { type Image, parseImage } from "../../mcuboot/image.js";
import { run } from "../../session/run.js";
import { parseAddress } from "../../transport/parse-address.js";
import type { UsbSelector } from "../../transport/usb.js";
import { type UsbFound, usbId, usbInWords } from "../../transport/usb-handle.js";
import type { BoardIdentity } from "../../trust/ratchet.js";
import { describeImage } from "../audit/flash-events.js";
import { recorder } from "../audit/recorder.js";
import { guardFor, skipAndPolicyOptions } from "../audit/step-options.js";
import {
  type CommonOptions,
  type Context,
  commonOptions,
  inContext,
  readKeys,
  wholeNumber,
} from "../context.js";
import { readInput, writeOutput } from "../files.js";
import { keyFiles } from "../key-files.js";
import { type Output, printable, table } from "../output.js";
import type { PolicyOptions } from "../policy/policy-options.js";
import { several } from "../several.js";
import { UsageError } from "../usage-error.js";

interface DfuOptions extends CommonOptions {
  device?: string;
  alt?: number;
  address?: number;
}

interface DownloadCommandOptions extends DfuOptions, PolicyOptions {
  key?: string[];
  skip?: string[];
  anyFile?: boolean;
  leave: boolean;
  verify: boolean;
}

interface UploadCommandOptions extends DfuOptions {
  length?: number;
  force?: boolean;
}

export function define(command: Command): void {
  commonOptions(
    command.command("list").description("show the devices with USB DFU and their memories"),
  ).action((options: CommonOptions) => inContext(options, list));

  namedDevice(commonOptions(command.command("status")))
    .description("show the state of a device, and its error")
    .action((options: DfuOptions) => inContext(options, (context) => showStatus(options, context)));

  skipAndPolicyOptions(deviceOptions(command.command("download <file>")))
    .description("write a file: a signed image, or for ST's ROM a raw or DfuSe file")
    .option("--key <file>", "a public key that may have signed the image (repeatable)", several)
    .option("--any-file", "send a file that is not an MCUboot image, to a device that erases by itself")
    .option("--no-leave", "stay in ST's ROM afterwards")
    .option("--no-verify", "do not read back what was written")
    .action((file: string, options: DownloadCommandOptions) =>
      inContext(mustBeNamedOrShown(options), (context) => downloadFile(file, options, context)),
    );

  deviceOptions(command.command("upload <file>"))
    .description("read a memory into a file")
    .option("--length <bytes>", "how many bytes (default: all)", wholeNumber("--length", { min: 1 }))
    .option("--force", "replace the file if it exists")
    .action((file: string, options: UploadCommandOptions) =>
      inContext(options, (context) =>
        withDevice(options, context, (device) => uploadFile(device, file, options, context)),
      ),
    );

  deviceOptions(command.command("leave"))
    .description("leave DFU mode and start the firmware")
    .action((options: DfuOptions) =>
      inContext(options, (context) =>
        withDevice(options, context, (device) => leave(device, options, context.out)),
      ),
    );
}

function namedDevice(command: Command): Command {
  return command.option(
    "-d, --device <address>",
    "the device: usb:VID:PID or usb:VID:PID:SERIAL, with ?port=1-1.4 if needed",
  );
}

function deviceOptions(command: Command): Command {
  return namedDevice(commonOptions(command))
    .option("--alt <number>", "which of its memories", wholeNumber("--alt", { max: 255 }))
    .option("--address <address>", "where in it, for ST's ROM", wholeNumber("--address"));
}

/** Nothing is erased on a device that was neither named by the user nor shown to them. */
function mustBeNamedOrShown<Options extends DfuOptions>(options: Options): Options {
  if (options.quiet && options.device === undefined)
    throw new UsageError("--quiet needs the device to be named.", "Add -d usb:VID:PID; `dfu list` shows it.");
  return options;
}

/**
 * `beforeLeaving`: what must hold before a firmware that runs is interrupted. `before`: what must hold before the device is
 * asked for anything.
 */
async function withDevice(
  options: DfuOptions,
  context: Context,
  work: (device: DfuDevice) => Promise<void>,
  {
    before = async () => {},
    beforeLeaving = async () => {},
  }: { before?: (identity: BoardIdentity) => Promise<void>; beforeLeaving?: () => Promise<void> } = {},
): Promise<void> {
  const found = await chooseDfu(selectorOf(options.device), options.device ?? "any DFU device");
  context.out.note(`Device: ${printable(usbInWords(found))}.`);
  const identity = await identityOf(found, context);
  const audit = recorder();
  const { id } = identity;
  if (audit) audit.board = { ...(id !== undefined && { id }), address: `usb:${usbId(found)}` };
  await before(identity);
  const device = await inDfuMode(found, context, beforeLeaving);
  try {
    await work(device);
  } finally {
    await device.close();
  }
}

/** The board is known by the device that it shows itself as; ST's ROM has a serial number of its own. */
async function identityOf({ usbPort }: UsbFound, { config, signal }: Context): Promise<BoardIdentity> {
  const among = await devicesHere(config, signal);
  return boardIdentityOf(
    among.find((device) => device.usbPort === usbPort),
    among,
  );
}

/** A firmware that runs is asked to leave; it comes back as another device on the same port. */
async function inDfuMode(
  found: UsbFound,
  { out, signal }: Context,
  beforeLeaving: () => Promise<void>,
): Promise<DfuDevice> {
  const device = await DfuDevice.open(found, { signal });
  if (device.offer.mode === "dfu") return device;
  try {
    await beforeLeaving();
    out.note("Its firmware runs. Asking it to enter DFU mode...");
    const back = await leaveForDfu(device, { signal });
    out.note(`In DFU mode it is ${printable(usbInWords(back.found))}.`);
    return back;
  } finally {
    await device.close();
  }
}

function selectorOf(text: string | undefined): UsbSelector {
  if (text === undefined) return {};
  const address = parseAddress(text);
  if (address.kind !== "usb")
    throw new UsageError(`"${text}" is not a USB device.`, "Write usb:VID:PID, as `dfu list` shows it.");
  return address;
}

async function list({ out }: Context): Promise<void> {
  const listings = await listDfu();
  const rows = listings.map(listingRow);
  const text =
    rows.length === 0
      ? "There is no device with USB DFU."
      : table(["device", "mode", "alt", "memory"], listings.flatMap(drawListing));
  out.result({ devices: rows }, text);
}

/** Asks and changes nothing: a fault stays until the next download clears it. */
async function showStatus(options: DfuOptions, { out, signal }: Context): Promise<void> {
  const found = await chooseDfu(selectorOf(options.device), options.device ?? "any DFU device");
  out.note(`Device: ${printable(usbInWords(found))}.`);
  const device = await DfuDevice.open(found, { signal });
  try {
    if (device.offer.mode === "runtime")
      return out.result({ mode: "runtime" }, "Its firmware runs, and can be asked to enter DFU mode.");
    const status = await device.status();
    const fault = status.code === 0 ? [] : [`${status.name}: ${status.message}`];
    out.result({ mode: "dfu", ...status }, [stateInWords(status.state), ...fault].join("\n"));
  } finally {
    await device.close();
  }
}

function listingRow({ found, offer, problem }: DfuListing): object {
  const { open: _, ...facts } = found;
  const address = `usb:${usbId(found)}${found.serialNumber === undefined ? "" : `:${found.serialNumber}`}`;
  return { address, ...facts, ...(offer && { offer }), ...(problem && { problem: problem.message }) };
}

function drawListing({ found, offer, problem }: DfuListing): string[][] {
  const name = printable(usbInWords(found));
  if (!offer) return [[name, "unknown", "", printable(problem?.message ?? "")]];
  return offer.memories.map(({ alternate, name: text, memory }, index) => [
    index === 0 ? name : "",
    index === 0 ? modeInWords(offer) : "",
    String(alternate),
    printable(memory ? memoryInWords(memory) : (text ?? "no name")),
  ]);
}

function modeInWords({ mode, functional }: DfuOffer): string {
  if (mode === "runtime") return "firmware runs";
  return functional.isDfuSe ? "ST DfuSe" : "DFU";
}

async function downloadFile(file: string, options: DownloadCommandOptions, context: Context): Promise<void> {
  const { out, signal } = context;
  const bytes = readInput(file);
  const keys = await readKeys(keyFiles(options.key, context), out);
  const { alt: alternate, address, anyFile, leave: leaves, verify } = options;
  const how = { signal, alternate, address, keys, anyFile, leave: leaves, verify };
  const { targets, content } = readDfuFile(bytes);
  const guard = await guardFor(options, context);
  const image = targets ? undefined : imageIn(content);
  const about = image ? { image: describeImage(image) } : {};
  const audit = recorder();
  const write = async (device: DfuDevice) => {
    const tell = draw(out);
    const result = await run(download(device, bytes, how), (event) => {
      if (event.step === "plan")
        audit?.record({
          type: "upload.start",
          ...about,
          detail: { what: event.message, bytes: event.bytes },
        });
      tell(event);
    });
    const { pagesErased, verified, left } = result;
    const done = { bytes: result.bytes, pagesErased, verified, left };
    audit?.record({ type: "upload.done", ...about, result: "ok", detail: done });
    const read = result.verified ? " and read them back" : "";
    const then = result.left ? "; the device was asked to start it" : "";
    const seconds = (result.elapsedMs / 1000).toFixed(1);
    out.result(result, `Wrote ${result.bytes} bytes${read} in ${seconds} s${then}.`);
  };
  await withDevice(options, context, write, {
    before: (identity) => guard(identity).file(content, image !== undefined),
    beforeLeaving: async () => {
      if (!targets) await mustBeImage(content, how);
    },
  });
}

/** Undefined for a file that is none: a bootloader, a raw program. */
function imageIn(content: Uint8Array): Image | undefined {
  try {
    return parseImage(content);
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}

function draw(out: Output): (event: DownloadEvent) => void {
  return (event) => {
    switch (event.step) {
      case "device":
        return out.note(`Writing to ${printable(event.message)}.`);
      case "plan":
        return out.note(printable(event.message));
      case "erased":
        return out.progress("erasing", event.page, event.pages, "pages");
      case "sent":
        return out.progress("sending", event.sent, event.total);
      case "compared":
        return out.progress("comparing", event.compared, event.total);
      case "unverified":
        return out.note(`Not read back: ${printable(event.why)}`);
      case "leaving":
        return out.note("Everything was sent. The device checks and starts it.");
    }
  };
}

async function uploadFile(
  device: DfuDevice,
  file: string,
  options: UploadCommandOptions,
  { out }: Context,
): Promise<void> {
  const { alt: alternate, address, length, force: overwrite = false } = options;
  const bytes = await run(upload(device, { alternate, address, length }), ({ read, total }) => {
    if (total !== undefined) out.progress("reading", read, total);
  });
  writeOutput(file, bytes, { overwrite });
  out.result({ file, bytes: bytes.length }, `Read ${bytes.length} bytes into ${file}.`);
}

async function leave(device: DfuDevice, options: DfuOptions, out: Output): Promise<void> {
  recorder()?.record({ type: "reset", detail: { what: "leave DFU mode" } });
  const memory = device.offer.memories.find(({ memory: one }) => one !== undefined)?.memory;
  if (memory) {
    const address = options.address ?? memory.regions[0]!.address;
    await leaveTo(device, address);
    out.result({ left: true, address }, `It was asked to start the program at ${hex(address)}.`);
    return;
  }
  // A device of plain DFU leaves with a reset of the bus.
  await device.toIdle();
  await device.reset();
  out.result({ left: true }, "It was reset, and leaves DFU mode.");
}
