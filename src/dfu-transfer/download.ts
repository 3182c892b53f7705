import type { Key } from "../crypto/keys.js";
import { DfuError } from "../dfu/error.js";
import { type Element, isForDevice, readDfuFile } from "../dfu/file.js";
import { hex, type Memory, memoryInWords, pagesToErase, type Slot, slotPages } from "../dfu/memory.js";
import {
  download as downloadBlock,
  erasePage,
  FIRST_DFUSE_BLOCK,
  MOST_TRANSFER_BYTES,
  setAddress,
} from "../dfu/requests.js";
import { BootproofError } from "../errors.js";
import type { Image } from "../mcuboot/image.js";
import { type Check, verifyImage } from "../mcuboot/verify.js";
import { TransportError } from "../transport/transport.js";
import { usbId, usbInWords } from "../transport/usb-handle.js";
import { chooseMemory } from "./choose-memory.js";
import type { DfuDevice, DfuMemory } from "./device.js";
import { readBack } from "./read-back.js";

export interface DownloadOptions {
  signal?: AbortSignal | undefined;
  /** Alternate setting. Default: what the file says, else the device's only one. */
  alternate?: number | undefined;
  /** Where a raw file belongs on a device that has addresses. Default: where the memory begins. */
  address?: number | undefined;
  /**
   * MCUboot's primary slot, on a device that has addresses: a raw file goes to its beginning, its trailer is erased and
   * nothing outside it, and the bootloader at the beginning of the memory is started.
   */
  slot?: Slot | undefined;
  /** Keys that may have signed the image; without, whoever signed it is fine. */
  keys?: readonly Key[] | undefined;
  /** Send a file that is no MCUboot image to a device without addresses. */
  anyFile?: boolean | undefined;
  /** Start what was written, by leaving DFU mode. Default true. */
  leave?: boolean | undefined;
  /** Read back what was written, where the device can be read, before it is started. Default true. */
  verify?: boolean | undefined;
}

export type DownloadEvent =
  /** The device that will be written; comes before anything is asked of it. */
  | { step: "device"; message: string; serialNumber: string | undefined; usbPort: string }
  /** What will happen to which memory; comes before anything is erased. */
  | { step: "plan"; message: string; alternate: number; pages: number; bytes: number }
  | { step: "erased"; page: number; pages: number }
  | { step: "sent"; sent: number; total: number }
  | { step: "compared"; compared: number; total: number }
  /** It could not be read back; what was written may be right all the same. */
  | { step: "unverified"; why: string }
  /** The device checks and starts what it has. */
  | { step: "leaving" };

export interface DownloadResult {
  readonly bytes: number;
  readonly alternate: number;
  readonly pagesErased: number;
  /** Every byte was read back and is as it was sent. */
  readonly verified: boolean;
  /** It was asked to start what was written. */
  readonly left: boolean;
  readonly elapsedMs: number;
}

interface Plan {
  readonly memory: DfuMemory;
  readonly elements: readonly Element[];
  /** First addresses of the pages that are erased, each once; none on a device that erases by itself. */
  readonly pages: readonly number[];
  readonly bytes: number;
  /** Bytes of the file that follow the image. */
  readonly notSent?: number;
  /** Where the program begins that is started afterwards. */
  readonly start: number;
}

/**
 * Downloads a file: a signed image to MCUboot's or Zephyr's DFU, a raw or DfuSe file to ST's ROM. Everything that can be
 * checked is checked first, and the first two events name device and plan: nothing is erased before they are taken.
 *
 * @param device - opened, in DFU mode
 * @param file - of the whole file, a suffix included
 * @param options - which memory and address; `keys` that may have signed; `anyFile` for what is no image
 * @returns bytes written, whether they were read back, and the time in milliseconds
 * @throws DfuError, UsbTransferError, TransportError `lost` when the cable is pulled
 */
export async function* download(
  device: DfuDevice,
  file: Uint8Array,
  options: DownloadOptions = {},
): AsyncGenerator<DownloadEvent, DownloadResult, void> {
  const { serialNumber, usbPort } = device.found;
  yield { step: "device", message: usbInWords(device.found), serialNumber, usbPort };
  const start = performance.now();
  const plan = await planFor(device, file, options);
  const { alternate } = plan.memory;
  yield { step: "plan", message: planInWords(plan), alternate, pages: plan.pages.length, bytes: plan.bytes };
  await device.select(alternate);
  await device.toIdle();
  const verify = options.verify !== false;
  const ended = plan.memory.memory
    ? yield* downloadToAddresses(device, plan, { verify, leaves: options.leave !== false })
    : yield* downloadAsFile(device, plan, verify);
  const elapsedMs = performance.now() - start;
  return { bytes: plan.bytes, alternate, pagesErased: plan.pages.length, ...ended, elapsedMs };
}

type Ending = Pick<DownloadResult, "verified" | "left">;

/** What is wrong is never started: it is compared first. */
async function* downloadToAddresses(
  device: DfuDevice,
  plan: Plan,
  { verify, leaves }: { verify: boolean; leaves: boolean },
): AsyncGenerator<DownloadEvent, Ending, void> {
  yield* writeAddresses(device, plan);
  const verified = verify && (yield* readBack(device, plan.elements, { hasAddresses: true }));
  if (leaves) {
    yield { step: "leaving" };
    await startProgram(device, plan);
  }
  return { verified, left: leaves };
}

/** The device ends the download itself; one that stays in DFU mode afterwards can be read until it is reset. */
async function* downloadAsFile(
  device: DfuDevice,
  plan: Plan,
  verify: boolean,
): AsyncGenerator<DownloadEvent, Ending, void> {
  yield* writeBlocks(device, plan.elements[0]!.data);
  yield { step: "leaving" };
  if (!(await manifest(device, plan.bytes))) return { verified: false, left: true };
  let verified = false;
  try {
    verified = verify && (yield* readBack(device, plan.elements, { hasAddresses: false }));
    await device.reset();
  } catch (error) {
    // Some do not wait for the reset.
    if (!isGone(error)) throw error;
  }
  return { verified, left: true };
}

async function planFor(device: DfuDevice, file: Uint8Array, options: DownloadOptions): Promise<Plan> {
  const { functional, mode } = device.offer;
  if (mode !== "dfu")
    throw new DfuError("dfu-cannot", "The device runs its firmware and is not in DFU mode.");
  if (!functional.canDownload)
    throw new DfuError("dfu-cannot", "The device declares that it accepts no downloads.");
  const { ids, targets, content } = readDfuFile(file);
  if (!isForDevice(ids, device.found)) {
    const made = ids ? usbId(ids) : "another device";
    throw new DfuError(
      "dfu-file",
      `The file was made for ${made}, and this device is ${usbId(device.found)}.`,
    );
  }
  if (content.length === 0) throw new DfuError("dfu-file", "The file is empty.");
  if (targets && targets.length !== 1)
    throw new DfuError("dfu-file", `The DfuSe file has ${targets.length} targets; one at a time is written.`);
  const target = targets?.[0];
  const memory = chooseMemory(device.offer.memories, options.alternate ?? target?.alternate);
  if (!memory.memory) return planBlocks(memory, content, target !== undefined, options);
  if (options.slot && !target) return planSlot(memory, memory.memory, options.slot, content);
  const first = options.address ?? memory.memory.regions[0]!.address;
  return planAddresses(memory, memory.memory, target?.elements ?? [{ address: first, data: content }]);
}

/** A device without addresses takes the file as it is and erases by itself: what it gets must be an image. */
async function planBlocks(
  memory: DfuMemory,
  content: Uint8Array,
  isDfuSeFile: boolean,
  options: DownloadOptions,
): Promise<Plan> {
  if (isDfuSeFile)
    throw new DfuError("dfu-file", "This is a DfuSe file, but the device does not support addresses.");
  const image = await mustBeImage(content, options);
  // Neither hash nor signature covers what follows it, and a trailer there would speak to the bootloader.
  const data = image === undefined ? content : content.subarray(0, image.size);
  const notSent = content.length - data.length;
  return { memory, elements: [{ address: 0, data }], pages: [], bytes: data.length, start: 0, notSent };
}

/**
 * Worth asking before a running firmware is told to leave.
 *
 * @param content - of the file, without suffix
 * @param options - `anyFile` lets everything pass; `keys` of which one must have signed
 * @returns undefined only with `anyFile`
 * @throws {@link DfuError} `dfu-file` unless the bytes are a good MCUboot image, signed by one of the keys if there
 *   are any; returns the image unless any file will do
 */
export async function mustBeImage(
  content: Uint8Array,
  { anyFile, keys }: Pick<DownloadOptions, "anyFile" | "keys">,
): Promise<Image | undefined> {
  if (anyFile) return undefined;
  const verdict = await verifyImage(content, keys && keys.length > 0 ? { keys } : {});
  // A key that could not be applied vouches for nothing.
  const isOpen = keys && keys.length > 0 && verdict.result === "signature-not-checked";
  if (verdict.result !== "bad" && !isOpen) return verdict.image;
  const isReason = ({ name, result }: Check) => result === "fail" || (isOpen && name === "signature");
  const why = verdict.checks.filter(isReason).map(({ sentence }) => sentence);
  throw new DfuError("dfu-file", `This MCUboot image is not valid: ${why.join(" ")}`, {
    hint: "For a device that accepts other files, add --any-file.",
  });
}

function planAddresses(memory: DfuMemory, layout: Memory, elements: readonly Element[]): Plan {
  const pages = elements.flatMap(({ address, data }) => pagesToErase(layout, address, data.length));
  const bytes = elements.reduce((sum, { data }) => sum + data.length, 0);
  if (bytes === 0) throw new DfuError("dfu-file", "The file has no bytes to write.");
  return { memory, elements, pages: [...new Set(pages)], bytes, start: elements[0]!.address };
}

function planSlot(memory: DfuMemory, layout: Memory, slot: Slot, data: Uint8Array): Plan {
  const pages = slotPages(layout, slot, data.length);
  const elements = [{ address: slot.address, data }];
  return { memory, elements, pages, bytes: data.length, start: layout.regions[0]!.address };
}

function planInWords({ memory, elements, pages, bytes, notSent = 0 }: Plan): string {
  const left = notSent === 0 ? "" : ` ${notSent} bytes that follow the image in the file are not sent.`;
  if (!memory.memory)
    return `Writes ${bytes} bytes to ${memory.name ?? `memory ${memory.alternate}`}; the device erases what it needs.${left}`;
  const where = elements.map(({ address, data }) => `${data.length} bytes at ${hex(address)}`).join(", ");
  return `Erases ${pages.length} pages of ${memoryInWords(memory.memory)}, then writes ${where}.`;
}

function* cut(data: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}

const MOST_BLOCKS = 0x10000;

async function* writeBlocks(device: DfuDevice, data: Uint8Array): AsyncGenerator<DownloadEvent, void, void> {
  let block = 0;
  let sent = 0;
  for (const chunk of cut(data, blockSize(device))) {
    // The number wraps around, as the specification has it: it only tells neighbours apart.
    await device.tell(downloadBlock(block++ % MOST_BLOCKS, chunk));
    await device.settle(["dfuDNLOAD-IDLE"]);
    sent += chunk.length;
    yield { step: "sent", sent, total: data.length };
  }
}

async function* writeAddresses(device: DfuDevice, plan: Plan): AsyncGenerator<DownloadEvent, void, void> {
  for (const [index, page] of plan.pages.entries()) {
    await device.tell(erasePage(page));
    await device.settle(["dfuDNLOAD-IDLE"]);
    yield { step: "erased", page: index + 1, pages: plan.pages.length };
  }
  let sent = 0;
  for (const { address, data } of plan.elements) {
    let at = address;
    for (const chunk of cut(data, blockSize(device))) {
      await device.tell(setAddress(at));
      await device.settle(["dfuDNLOAD-IDLE"]);
      await device.tell(downloadBlock(FIRST_DFUSE_BLOCK, chunk));
      await device.settle(["dfuDNLOAD-IDLE"]);
      at += chunk.length;
      sent += chunk.length;
      yield { step: "sent", sent, total: plan.bytes };
    }
  }
}

function blockSize({ offer }: DfuDevice): number {
  return Math.min(offer.functional.transferSize, MOST_TRANSFER_BYTES);
}

/**
 * An empty block ends the download; the device may be gone at any moment after it. True when it stays in DFU mode and
 * waits to be reset.
 */
async function manifest(device: DfuDevice, bytes: number): Promise<boolean> {
  const blocks = Math.ceil(bytes / blockSize(device));
  await device.tell(downloadBlock(blocks % MOST_BLOCKS, new Uint8Array(0)));
  try {
    const { state } = await device.settle(["dfuIDLE", "dfuMANIFEST-WAIT-RESET"]);
    if (state === "dfuIDLE") return true;
    await device.reset();
  } catch (error) {
    if (!isGone(error)) throw error;
  }
  return false;
}

/** ST's ROM jumps to the address that was set last. */
async function startProgram(device: DfuDevice, { start }: Plan): Promise<void> {
  await leaveTo(device, start);
}

/**
 * Has ST's ROM start the program at `address`.
 *
 * @param device - opened, in ST's ROM
 * @param address - of the program's vectors
 * @throws DfuError, UsbTransferError; a device that goes away meanwhile has started it
 */
export async function leaveTo(device: DfuDevice, address: number): Promise<void> {
  await device.toIdle();
  await device.tell(setAddress(address));
  await device.settle(["dfuDNLOAD-IDLE"]);
  await device.tell(downloadBlock(FIRST_DFUSE_BLOCK, new Uint8Array(0)));
  try {
    // The jump happens when the status is asked for; nobody may be there to answer.
    await device.settle(["dfuMANIFEST", "dfuIDLE"]);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** Left, as it was asked to: unplugged, or no longer answering the way it did. */
function isGone(error: unknown): boolean {
  if (error instanceof TransportError) return error.code === "lost" || error.code === "failed";
  return error instanceof BootproofError && (error.code === "timed-out" || error.code === "stalled");
}
