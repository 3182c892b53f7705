import { isPipe, openStream, parseAddress } from "../../../../src/transport/address.js";

/** Opens a pipe, writes, and reads until `bytes` have come back. Hex in, hex out. */
export async function exchange(
  address: string,
  hex: string,
  bytes: number,
  signal: AbortSignal,
): Promise<string> {
  const parsed = parseAddress(address);
  if (!isPipe(parsed)) throw new Error(`${address} is not a pipe`);
  const stream = await openStream(parsed, { signal });
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
