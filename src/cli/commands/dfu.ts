import type { Command } from "commander";
import { readDfuFile } from "../../dfu/file.js";
import { hex, memoryInWords } from "../../dfu/memory.js";
import { stateInWords } from "../../dfu/status.js";
import { parseAddress } from "../../transport/address.js";
import { type UsbFound, type UsbSelector, usbId, usbInWords } from "../../transport/usb.js";
import { DfuDevice, type DfuOffer } from "../../workflow/dfu/device.js";
import { type DownloadEvent, download, leaveTo, mustBeImage } from "../../workflow/dfu/download.js";
import { chooseDfu, type DfuListing, leaveForDfu, listDfu } from "../../workflow/dfu/find.js";
import { upload } from "../../workflow/dfu/upload.js";
import { run } from "../../workflow/run.js";
import {
  type CommonOptions,
  type Context,
  commonOptions,
  inContext,
  readKeys,
  several,
  wholeNumber,
} from "../context.js";
import { UsageError } from "../exit.js";
import { readInput, writeOutput } from "../files.js";
import { type Output, printable, table } from "../output.js";

interface DfuOptions extends CommonOptions {
  device?: string;
  alt?: number;
  address?: number;
}

interface DownloadCommandOptions extends DfuOptions {
  key?: string[];
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
    .description("show what a device is doing, and the fault that stopped it")
    .action((options: DfuOptions) => inContext(options, (context) => showStatus(options, context)));

  deviceOptions(command.command("download <file>"))
    .description("write a file: a signed image, or for ST's ROM a raw or DfuSe file")
    .option("--key <file>", "a public key that may have signed the image (repeatable)", several)
    .option("--any-file", "send a file that is no MCUboot image to a device that erases by itself")
    .option("--no-leave", "stay in ST's ROM afterwards")
    .option("--no-verify", "do not read back what was written")
    .action((file: string, options: DownloadCommandOptions) =>
      inContext(mustBeNamedOrShown(options), (context) => downloadFile(file, options, context)),
    );

  deviceOptions(command.command("upload <file>"))
    .description("read a memory into a file")
    .option("--length <bytes>", "how many bytes; default: all there are", wholeNumber("--length", { min: 1 }))
    .option("--force", "replace the file if it is there")
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
    "which one: usb:VID:PID or usb:VID:PID:SERIAL, with ?port=1-1.4 if need be",
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
    throw new UsageError(
      "With --quiet the device has to be named.",
      "Add -d usb:VID:PID; `dfu list` shows it.",
    );
  return options;
}

/** `beforeLeaving`: what must hold before a firmware that runs is interrupted. */
async function withDevice(
  options: DfuOptions,
  context: Context,
  work: (device: DfuDevice) => Promise<void>,
  beforeLeaving: () => Promise<void> = async () => {},
): Promise<void> {
  const found = await chooseDfu(selectorOf(options.device), options.device ?? "any DFU device");
  context.out.note(`Device: ${printable(usbInWords(found))}.`);
  const device = await inDfuMode(found, context, beforeLeaving);
  try {
    await work(device);
  } finally {
    await device.close();
  }
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
    out.note("Its firmware runs. Asking it to leave for DFU mode...");
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
    throw new UsageError(`"${text}" is no USB device.`, "Write usb:VID:PID, as `dfu list` shows it.");
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
      return out.result({ mode: "runtime" }, "Its firmware runs, and can be asked to leave for DFU mode.");
    const status = await device.status();
    const fault = status.code === 0 ? [] : [`${status.name}: ${status.says}`];
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
  const { out, config, signal } = context;
  const bytes = readInput(file);
  const keys = await readKeys([...(options.key ?? []), ...config.keys], out);
  const { alt: alternate, address, anyFile, leave: leaves, verify } = options;
  const how = { signal, alternate, address, keys, anyFile, leave: leaves, verify };
  const write = async (device: DfuDevice) => {
    const result = await run(download(device, bytes, how), draw(out));
    const read = result.verified ? " and read them back" : "";
    const then = result.left ? "; the device was told to start it" : "";
    const seconds = (result.elapsedMs / 1000).toFixed(1);
    out.result(result, `Wrote ${result.bytes} bytes${read} in ${seconds} s${then}.`);
  };
  const { targets, content } = readDfuFile(bytes);
  await withDevice(options, context, write, async () => {
    if (!targets) await mustBeImage(content, how);
  });
}

function draw(out: Output): (event: DownloadEvent) => void {
  return (event) => {
    switch (event.step) {
      case "device":
        return out.note(`Writing to ${printable(event.says)}.`);
      case "plan":
        return out.note(printable(event.says));
      case "erased":
        return out.progress("erasing", event.page, event.pages, "pages");
      case "sent":
        return out.progress("sending", event.sent, event.total);
      case "compared":
        return out.progress("comparing", event.compared, event.total);
      case "unverified":
        return out.note(`Not read back: ${printable(event.why)}`);
      case "leaving":
        return out.note("All sent. The device checks and starts it.");
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
  const memory = device.offer.memories.find(({ memory: one }) => one !== undefined)?.memory;
  if (memory) {
    const address = options.address ?? memory.regions[0]!.address;
    await leaveTo(device, address);
    out.result({ left: true, address }, `It was told to start the program at ${hex(address)}.`);
    return;
  }
  // A device of plain DFU leaves with a reset of the bus.
  await device.toIdle();
  await device.reset();
  out.result({ left: true }, "It was reset, and leaves DFU mode.");
}
