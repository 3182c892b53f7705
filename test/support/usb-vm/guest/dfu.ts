import { useOpenssl } from "../../../../src/crypto-node/openssl.js";
import { DfuDevice } from "../../../../src/dfu-transfer/device.js";
import { type DownloadOptions, download } from "../../../../src/dfu-transfer/download.js";
import { chooseDfu, leaveForDfu } from "../../../../src/dfu-transfer/find.js";
import { run } from "../../../../src/session/run.js";
import type { UsbSelector } from "../../../../src/transport/usb.js";

// Inner files know no provider of cryptography.
useOpenssl();

/** Downloads; the steps that were told, repeats left out, then how it ended. */
export async function downloadTo(
  selector: UsbSelector,
  hex: string,
  options: DownloadOptions,
  signal: AbortSignal,
): Promise<string[]> {
  const steps: string[] = [];
  const device = await inDfuMode(selector, signal);
  try {
    await run(download(device, Buffer.from(hex, "hex"), { ...options, signal }), ({ step }) => {
      if (steps.at(-1) !== step) steps.push(step);
    });
    return [...steps, "done"];
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    return [...steps, code ?? String(error), message];
  } finally {
    await device.close();
  }
}

async function inDfuMode(selector: UsbSelector, signal: AbortSignal): Promise<DfuDevice> {
  const device = await DfuDevice.open(await chooseDfu(selector, "the device"), { signal });
  return device.offer.mode === "dfu" ? device : leaveForDfu(device, { signal });
}
