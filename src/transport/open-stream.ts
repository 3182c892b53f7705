import type { WireAddress } from "./address.js";
import type { TokenOption } from "./bridge-token.js";
import type { QueuedStream } from "./chunk-queue.js";
import type { ByteStream } from "./transport.js";

/**
 * Opens the pipe at `address`.
 *
 * @param address - of a pipe
 * @param options - `signal` aborts with its own reason
 * @returns open; close it when done
 * @throws {@link TransportError}; abort throws the signal's reason
 */
export async function openStream(
  address: WireAddress,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<ByteStream> {
  switch (address.kind) {
    // Imported late: loading it loads native code, which a TCP or emulated board does without.
    case "serial": {
      const { openSerial } = await import("./serial.js");
      return openSerial(address, options);
    }
    case "tcp": {
      const { openTcp } = await import("./tcp.js");
      return withTokenOf(await openTcp(address.host, address.port, options), address);
    }
    case "rfc2217": {
      const { openRfc2217 } = await import("./rfc2217.js");
      return openRfc2217(address, options);
    }
    case "usb": {
      const { openUsbCdc } = await import("./usb-cdc.js");
      return openUsbCdc(address, options);
    }
    case "udp": {
      const { openUdp } = await import("./udp.js");
      return withTokenOf(await openUdp(address.host, address.port, options), address);
    }
  }
}

async function withTokenOf(stream: QueuedStream, address: TokenOption): Promise<ByteStream> {
  const { withToken } = await import("./bridge-token.js");
  return withToken(stream, address);
}
