import { HEADER_SIZE, readMessage } from "../header.js";
import type { Decoder, Framing, Received } from "./framing.js";

/**
 * One message a datagram, as UDP carries it: what arrives is a whole message or it is nothing. `maxDatagram` is what one
 * may hold on its way, since Zephyr's servers take no IP fragments whatever their buffer (Zephyr smp_transport.rst, UDP).
 */
export function datagramFraming(maxDatagram: number): Framing {
  return {
    name: "datagram",
    encode: (message) => message,
    decoder: () => new DatagramDecoder(),
    largestMessage: (bufSize) => Math.min(bufSize, maxDatagram),
  };
}

class DatagramDecoder implements Decoder {
  push(chunk: Uint8Array): Received[] {
    const got = chunk.length;
    try {
      const { header } = readMessage(chunk);
      const expected = HEADER_SIZE + header.length;
      if (expected === got) return [{ kind: "message", bytes: chunk.slice() }];
      const detail = `A datagram of ${got} bytes holds a message of ${expected}.`;
      return [{ kind: "fault", code: "length", detail, expected, got }];
    } catch {
      // Whoever sent it, it is not SMP: anybody can send to a UDP port.
      return [{ kind: "fault", code: "orphan", detail: `A datagram of ${got} bytes is not a message.`, got }];
    }
  }

  flush(): Received[] {
    return [];
  }
}
