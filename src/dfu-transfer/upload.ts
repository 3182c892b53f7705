import { concat } from "../bytes.js";
import { DfuError } from "../dfu/error.js";
import { readableFrom } from "../dfu/memory.js";
import {
  FIRST_DFUSE_BLOCK,
  MOST_TRANSFER_BYTES,
  setAddress,
  upload as uploadBlock,
} from "../dfu/requests.js";
import { chooseMemory } from "./choose-memory.js";
import type { DfuDevice } from "./device.js";

export interface UploadOptions {
  /** Alternate setting. Default: the device's only one. */
  alternate?: number | undefined;
  /** On a device that has addresses. Default: where the memory begins. */
  address?: number | undefined;
  /** Most bytes to read. Default: to the end of the memory, at most 16 MiB. */
  length?: number | undefined;
}

export interface ReadEvent {
  readonly step: "read";
  readonly read: number;
  /** Undefined on a device that does not say how much there is. */
  readonly total: number | undefined;
}

/** A device that never ends an upload is not believed. */
const MOST_BYTES = 16 * 1024 * 1024;
const MOST_BLOCKS = 0x10000;

/**
 * Reads a memory back.
 *
 * @param device - opened, in DFU mode
 * @param options - which memory, from where, how many bytes
 * @returns what was read
 * @throws DfuError, UsbTransferError, TransportError
 */
export async function* upload(
  device: DfuDevice,
  options: UploadOptions = {},
): AsyncGenerator<ReadEvent, Uint8Array, void> {
  const { functional, memories } = device.offer;
  if (!functional.canUpload) throw new DfuError("dfu-cannot", "The device declares that it cannot be read.");
  const { alternate, memory } = chooseMemory(memories, options.alternate);
  await device.select(alternate);
  await device.toIdle();
  if (!memory) return yield* readBlocks(device, 0, options.length ?? MOST_BYTES, options.length);
  const address = options.address ?? memory.regions[0]!.address;
  const there = readableFrom(memory, address);
  const length = options.length ?? there;
  if (there === 0 || length > there)
    throw new DfuError("dfu-memory", `${length} bytes cannot be read there: the device declares ${there}.`);
  await device.tell(setAddress(address));
  await device.settle(["dfuDNLOAD-IDLE"]);
  await device.toIdle();
  return yield* readBlocks(device, FIRST_DFUSE_BLOCK, Math.min(length, MOST_BYTES), length);
}

async function* readBlocks(
  device: DfuDevice,
  firstBlock: number,
  most: number,
  total: number | undefined,
): AsyncGenerator<ReadEvent, Uint8Array, void> {
  const size = Math.min(device.offer.functional.transferSize, MOST_TRANSFER_BYTES);
  const parts: Uint8Array[] = [];
  let read = 0;
  for (let block = firstBlock; read < most; block++) {
    const part = await device.ask(uploadBlock(block % MOST_BLOCKS, size));
    parts.push(part);
    read += part.length;
    yield { step: "read", read: Math.min(read, most), total };
    if (part.length < size) break;
  }
  await device.toIdle();
  return concat(...parts).subarray(0, most);
}
