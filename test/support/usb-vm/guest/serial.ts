import { openPipe } from "../../../../src/devices/open.js";
import { isPipe } from "../../../../src/transport/address.js";
import { parseAddress } from "../../../../src/transport/parse-address.js";
import type { ByteStream } from "../../../../src/transport/transport.js";

/** Opens a pipe, writes, and reads until `bytes` have come. Hex in, hex out. */
export async function exchange(
  address: string,
  hex: string,
  bytes: number,
  signal: AbortSignal,
): Promise<string> {
  const stream = await open(address, signal);
  try {
    await stream.write(Buffer.from(hex, "hex"));
    const heard: Uint8Array[] = [];
    for await (const chunk of stream.chunks) {
      heard.push(chunk);
      if (Buffer.concat(heard).length >= bytes) break;
    }
    return Buffer.concat(heard).toString("hex");
  } finally {
    await stream.close();
  }
}

/** Like {@link exchange}, but listens first: for two ends that speak to each other. */
export async function send(
  address: string,
  hex: string,
  bytes: number,
  signal: AbortSignal,
): Promise<string> {
  const stream = await open(address, signal);
  try {
    const heard: Uint8Array[] = [];
    for await (const chunk of stream.chunks) {
      heard.push(chunk);
      if (Buffer.concat(heard).length >= bytes) break;
    }
    await stream.write(Buffer.from(hex, "hex"));
    return Buffer.concat(heard).toString("hex");
  } finally {
    await stream.close();
  }
}

/** Opens a pipe and listens until it ends; how it ended. */
export async function listenToTheEnd(address: string, signal: AbortSignal): Promise<string> {
  const stream = await open(address, signal);
  try {
    for await (const _ of stream.chunks);
    return "ended";
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  } finally {
    await stream.close();
  }
}

/** Opens a pipe and writes until that fails; how it failed. */
export async function writeToTheEnd(address: string, signal: AbortSignal): Promise<string> {
  const stream = await open(address, signal);
  try {
    for (;;) await stream.write(new Uint8Array(1000));
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  } finally {
    await stream.close();
  }
}

function open(address: string, signal: AbortSignal): Promise<ByteStream> {
  const parsed = parseAddress(address);
  if (!isPipe(parsed)) throw new Error(`${address} is not a pipe`);
  return openPipe(parsed, { signal });
}
