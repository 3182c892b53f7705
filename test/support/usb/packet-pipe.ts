import { concat } from "../../../src/bytes.js";

interface Request {
  readonly length: number;
  readonly got: Uint8Array[];
  readonly done: (bytes: Uint8Array) => void;
}

/**
 * An endpoint towards the host, packet by packet. A transfer ends when it is full or with a packet shorter than the
 * endpoint's size, as on the wire: a device that sends exactly full packets and no empty one leaves its host waiting.
 */
export class PacketPipe {
  readonly maxPacket: number;
  #packets: Uint8Array[] = [];
  #requests: Request[] = [];
  /** Called when the host has taken every packet. */
  onEmpty: () => void = () => {};

  constructor(maxPacket: number) {
    this.maxPacket = maxPacket;
  }

  get isEmpty(): boolean {
    return this.#packets.length === 0;
  }

  /** Queues one packet, which may be empty. */
  push(packet: Uint8Array): void {
    this.#packets.push(packet);
    this.#serve();
  }

  /** Queues bytes as packets; `zeroLengthPacket` says that the transfer is over when the last one is full. */
  send(bytes: Uint8Array, { zeroLengthPacket = true }: { zeroLengthPacket?: boolean } = {}): void {
    for (let at = 0; at < bytes.length; at += this.maxPacket)
      this.#packets.push(bytes.subarray(at, at + this.maxPacket));
    if (zeroLengthPacket && bytes.length % this.maxPacket === 0) this.#packets.push(new Uint8Array(0));
    this.#serve();
  }

  /** The host asks for up to `length` bytes. Returns how to take the question back. */
  request(length: number, done: (bytes: Uint8Array) => void): () => void {
    const request = { length, got: [], done };
    this.#requests.push(request);
    this.#serve();
    return () => {
      this.#requests = this.#requests.filter((one) => one !== request);
    };
  }

  clear(): void {
    this.#packets = [];
    this.#requests = [];
  }

  #serve(): void {
    while (this.#packets.length > 0 && this.#requests.length > 0) this.#move();
    if (this.#packets.length === 0) this.onEmpty();
  }

  #move(): void {
    const request = this.#requests[0]!;
    const packet = this.#packets.shift()!;
    request.got.push(packet);
    const total = request.got.reduce((sum, { length }) => sum + length, 0);
    if (packet.length === this.maxPacket && total < request.length) return;
    this.#requests.shift();
    request.done(concat(...request.got).subarray(0, request.length));
  }
}
