import { type ByteStream, TransportError } from "bootproof";
import { consoleFraming, encodeRequest, osEcho } from "bootproof/smp";
import { Random } from "./random.js";

/** What can be wrong with a line. Each fault strikes a few times and then rests, so that a sound host gets through. */
export type Fault = "garbled" | "lost" | "pulled" | "two-hosts";

/** How often a fault strikes before the line is well again. */
const STRIKES = 4;
/** Writes or reads between two strikes: requests get through in between, and a host that slows down does so late. */
const PAUSE = 14;

/** Puts faults on lines; one for all lines of a case, so that a line opened again is not pulled again. */
export class FaultyLine {
  strikes = 0;
  readonly #fault: Fault;
  readonly #dice: Random;
  #count = 0;

  constructor(fault: Fault, seed: number) {
    this.#fault = fault;
    this.#dice = new Random(seed);
  }

  wrap(stream: ByteStream): ByteStream {
    switch (this.#fault) {
      case "garbled":
        return this.#through(stream, (bytes) => [this.#garble(bytes)]);
      case "lost":
        return this.#through(stream, () => []);
      case "two-hosts":
        return this.#through(stream, (bytes) => [foreignFrame(this.#dice.whole(0, 255)), bytes]);
      case "pulled":
        return this.#pulled(stream);
    }
  }

  /** Every few writes and reads `change` decides what goes on instead. */
  #through(stream: ByteStream, change: (bytes: Uint8Array) => Uint8Array[]): ByteStream {
    const hit = (bytes: Uint8Array) => (this.#strikes() ? change(bytes) : [bytes]);
    const bothWays = this.#fault !== "two-hosts";
    return {
      name: stream.name,
      write: async (bytes) => {
        for (const piece of hit(bytes)) await stream.write(piece);
      },
      chunks: bothWays ? mapped(stream.chunks, hit) : stream.chunks,
      close: () => stream.close(),
    };
  }

  #pulled(stream: ByteStream): ByteStream {
    const lost = new TransportError("lost", stream.name, `${stream.name}: the cable was pulled.`);
    let isPulled = false;
    return {
      name: stream.name,
      write: async (bytes) => {
        if (isPulled) throw lost;
        if (!this.#strikes()) return stream.write(bytes);
        isPulled = true;
        await stream.close();
        throw lost;
      },
      chunks: failing(stream.chunks, () => (isPulled ? lost : undefined)),
      close: () => stream.close(),
    };
  }

  #strikes(): boolean {
    this.#count++;
    if (this.strikes >= STRIKES || this.#count % (PAUSE + this.strikes) !== 0) return false;
    this.strikes++;
    return true;
  }

  #garble(bytes: Uint8Array): Uint8Array {
    const bad = bytes.slice();
    if (bad.length > 0) bad[this.#dice.whole(0, bad.length - 1)]! ^= 1 << this.#dice.whole(0, 6);
    return bad;
  }
}

/** A request of another program on the same line. */
function foreignFrame(seq: number): Uint8Array {
  return consoleFraming().encode(encodeRequest(osEcho, { d: "another host" }, { seq, version: 2 }));
}

async function* mapped(chunks: AsyncIterable<Uint8Array>, change: (bytes: Uint8Array) => Uint8Array[]) {
  for await (const chunk of chunks) yield* change(chunk);
}

async function* failing(chunks: AsyncIterable<Uint8Array>, fault: () => Error | undefined) {
  for await (const chunk of chunks) yield chunk;
  const error = fault();
  if (error) throw error;
}
