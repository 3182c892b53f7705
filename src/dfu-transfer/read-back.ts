import { DfuError } from "../dfu/error.js";
import type { Element } from "../dfu/file.js";
import { hex } from "../dfu/memory.js";
import {
  FIRST_DFUSE_BLOCK,
  MOST_TRANSFER_BYTES,
  setAddress,
  upload as uploadBlock,
} from "../dfu/requests.js";
import type { DfuDevice } from "./device.js";

export type ReadBackEvent =
  | { step: "compared"; compared: number; total: number }
  | { step: "unverified"; why: string };

const MOST_BLOCKS = 0x10000;

/**
 * Reads what was just written and compares. True when all is as it was sent; false, with the reason told, when the device
 * cannot or will not be read.
 *
 * @throws DfuError `dfu-verify` at the first byte that differs
 */
export async function* readBack(
  device: DfuDevice,
  elements: readonly Element[],
  { hasAddresses }: { hasAddresses: boolean },
): AsyncGenerator<ReadBackEvent, boolean, void> {
  if (!device.offer.functional.canUpload) {
    yield { step: "unverified", why: "The device declares that it cannot be read." };
    return false;
  }
  const total = elements.reduce((sum, { data }) => sum + data.length, 0);
  let compared = 0;
  try {
    for (const { address, data } of elements) {
      for await (const at of compare(device, data, hasAddresses ? address : undefined))
        yield { step: "compared", compared: compared + at, total };
      compared += data.length;
    }
    await device.toIdle();
    return true;
  } catch (error) {
    // A device that refuses to be read (read protection) has been written all the same.
    if (!(error instanceof DfuError) || error.code !== "dfu-status") throw error;
    yield { step: "unverified", why: error.message };
    await device.toIdle();
    return false;
  }
}

/** Yields how far it is. */
async function* compare(
  device: DfuDevice,
  data: Uint8Array,
  address: number | undefined,
): AsyncGenerator<number, void, void> {
  await device.toIdle();
  if (address !== undefined) {
    await device.tell(setAddress(address));
    await device.settle(["dfuDNLOAD-IDLE"]);
    await device.toIdle();
  }
  const size = Math.min(device.offer.functional.transferSize, MOST_TRANSFER_BYTES);
  const first = address === undefined ? 0 : FIRST_DFUSE_BLOCK;
  for (let block = first, at = 0; at < data.length; block++, at += size) {
    const part = await device.ask(uploadBlock(block % MOST_BLOCKS, size));
    mustBeSame(data.subarray(at, at + size), part, (address ?? 0) + at);
    yield Math.min(at + size, data.length);
  }
}

function mustBeSame(sent: Uint8Array, read: Uint8Array, at: number): void {
  const wrong = sent.findIndex((byte, index) => byte !== read[index]);
  if (wrong < 0) return;
  const got = read[wrong];
  const message = got === undefined ? "nothing is there" : `there is 0x${got.toString(16).padStart(2, "0")}`;
  throw new DfuError(
    "dfu-verify",
    `The memory does not contain what was written: at ${hex(at + wrong)} ${message}, and 0x${sent[wrong]!.toString(16).padStart(2, "0")} was sent.`,
    {
      hint: "It was not started. Download it again; if that fails at the same place, its flash is worn out or protected.",
    },
  );
}
