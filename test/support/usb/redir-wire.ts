import { concat, putU16le, putU32le, u32le } from "../../../src/bytes.js";

/**
 * The usbredir protocol (spice's usb-redirection-protocol.md), 64-bit ids: what QEMU's usb-redir device speaks. We are
 * its "usb-host": the side that has the device.
 */
export const TYPE = {
  hello: 0,
  deviceConnect: 1,
  deviceDisconnect: 2,
  reset: 3,
  interfaceInfo: 4,
  endpointInfo: 5,
  setConfiguration: 6,
  getConfiguration: 7,
  configurationStatus: 8,
  setAlternate: 9,
  getAlternate: 10,
  alternateStatus: 11,
  startInterrupt: 15,
  stopInterrupt: 16,
  interruptStatus: 17,
  cancel: 21,
  disconnectAck: 24,
  control: 100,
  bulk: 101,
  interrupt: 103,
} as const;

export const STATUS = { ok: 0, cancelled: 1, invalid: 2, ioError: 3, stall: 4 } as const;

/** connect_device_version, device_disconnect_ack, ep_info_max_packet_size, 64bits_ids, 32bits_bulk_length. */
const CAPABILITIES = (1 << 1) | (1 << 3) | (1 << 4) | (1 << 5) | (1 << 6);
const VERSION_LENGTH = 64;
const HELLO_HEADER = 12;
const HEADER = 16;
/** QEMU asks for at most a few hundred KB at once. */
const LONGEST_BODY = 4 << 20;

export interface RedirMessage {
  readonly type: number;
  readonly id: bigint;
  readonly body: Uint8Array;
}

export function hello(): Uint8Array {
  const bytes = new Uint8Array(HELLO_HEADER + VERSION_LENGTH + 4);
  putU32le(bytes, 4, VERSION_LENGTH + 4);
  bytes.set(Buffer.from("bootproof emulated devices"), HELLO_HEADER);
  putU32le(bytes, HELLO_HEADER + VERSION_LENGTH, CAPABILITIES);
  return bytes;
}

export function message(
  type: number,
  id: bigint,
  ...body: readonly (Uint8Array | readonly number[])[]
): Uint8Array {
  const joined = concat(...body.map((part) => Uint8Array.from(part)));
  const header = new Uint8Array(HEADER);
  putU32le(header, 0, type);
  putU32le(header, 4, joined.length);
  new DataView(header.buffer).setBigUint64(8, id, true);
  return concat(header, joined);
}

/** Cuts the stream into messages. The first, hello, has a header of its own length. */
export class RedirDecoder {
  #rest: Uint8Array = new Uint8Array(0);
  #greeted = false;

  *push(chunk: Uint8Array): Generator<RedirMessage> {
    this.#rest = concat(this.#rest, chunk);
    for (;;) {
      const header = this.#greeted ? HEADER : HELLO_HEADER;
      if (this.#rest.length < header) return;
      const length = u32le(this.#rest, 4);
      if (length > LONGEST_BODY) throw new Error(`usbredir: a message of ${length} bytes`);
      if (this.#rest.length < header + length) return;
      yield this.#take(header, length);
    }
  }

  #take(header: number, length: number): RedirMessage {
    const view = new DataView(this.#rest.buffer, this.#rest.byteOffset);
    const id = this.#greeted ? view.getBigUint64(8, true) : 0n;
    const taken = { type: u32le(this.#rest, 0), id, body: this.#rest.slice(header, header + length) };
    this.#rest = this.#rest.subarray(header + length);
    this.#greeted = true;
    return taken;
  }
}

/** Two little-endian bytes. */
export function word(value: number): Uint8Array {
  const bytes = new Uint8Array(2);
  putU16le(bytes, 0, value);
  return bytes;
}

/** Four little-endian bytes. */
export function long(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  putU32le(bytes, 0, value);
  return bytes;
}
