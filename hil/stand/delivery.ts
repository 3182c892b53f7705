import { BootproofError, DeviceError, imageList, imageMark, run, signImage, upload } from "bootproof";
import type { LayoutFacts } from "../bench.js";
import { imageHashOf } from "../evidence.js";
import { type Desk, isLost, type OfferOptions } from "./desk.js";
import type { Line } from "./line.js";
import type { Power } from "./power.js";

/** How images get onto a board, and how they are asked for. */
export class Delivery {
  readonly #desk: Desk;
  readonly #line: Line;
  readonly #power: Power;
  #knowsNoRequest = false;

  constructor(desk: Desk, line: Line, power: Power) {
    this.#desk = desk;
    this.#line = line;
    this.#power = power;
  }

  /** Found out by asking for an image: the board knows no such request, and picks by version. */
  get knowsNoRequest(): boolean {
    return this.#knowsNoRequest;
  }

  /** Leaves the board off, with the image in the secondary slot and a request for it in the trailer. */
  async program(file: Uint8Array, { slotSize }: LayoutFacts, options: OfferOptions): Promise<void> {
    const { what, image = 0, permanent = false, noRequest = false } = options;
    const { board, recorder } = this.#desk;
    recorder.offered(what, file, `programmed into slot 1 of image ${image}`);
    const slot = new Uint8Array(slotSize).fill(0xff);
    slot.set(file.subarray(0, slotSize));
    const tail = noRequest ? new Uint8Array(0) : await requestTail(permanent);
    slot.set(tail, slotSize - tail.length);
    await this.#power.off();
    board.writeFlash((image * 2 + 1) * slotSize, slot);
  }

  /** Uploads and marks over SMP. Returns why the board's server refused, or undefined when it took all. */
  async send(file: Uint8Array, options: OfferOptions, picksByVersion: boolean): Promise<string | undefined> {
    const { what, image, permanent = false, upgrade } = options;
    const { signal, recorder } = this.#desk;
    this.#desk.touch();
    recorder.offered(what, file, "uploaded over SMP");
    try {
      await run(upload(this.#line.session, file, { signal, image, upgrade, reconnectWithinMs: 20_000 }));
      return picksByVersion ? undefined : await this.mark(file, permanent, image);
    } catch (error) {
      if (!(error instanceof BootproofError) || isLost(error)) throw error;
      this.#desk.note(`the board's server refused: ${error.message}`);
      return error.message.replace(/\.$/, "");
    }
  }

  /** Asks for an image that lies in the secondary. Returns why that cannot be done, when it cannot. */
  async mark(file: Uint8Array, permanent: boolean, image = 0): Promise<string | undefined> {
    const { client } = this.#line;
    const { signal } = this.#desk;
    const hash = imageHashOf(file) ?? (await this.#listedHash(image));
    if (hash === undefined) return "it lists no image with a hash in that slot, so none can be asked for";
    const request = { hash: Uint8Array.from(Buffer.from(hash, "hex")), confirm: permanent };
    try {
      await client.send(imageMark, request, { signal });
    } catch (error) {
      if (!(error instanceof DeviceError && error.rcName === "ENOTSUP")) throw error;
      this.#knowsNoRequest = true;
      this.#desk.note("the board has no such request: it decides by version what to start");
      return undefined;
    }
    this.#desk.note(permanent ? "asked for it for good" : "asked for one trial boot");
    return undefined;
  }

  /** What the board takes for the hash of a file in which we find none. */
  async #listedHash(image: number): Promise<string | undefined> {
    const { images } = await this.#line.client.send(imageList, {}, { signal: this.#desk.signal });
    const held = images.find((entry) => entry.slot === 1 && (entry.image ?? 0) === image);
    return held?.hash && Buffer.from(held.hash).toString("hex");
  }

  /** Confirms what runs. */
  async confirm(): Promise<void> {
    this.#desk.touch();
    await this.#line.client.send(imageMark, { confirm: true }, { signal: this.#desk.signal });
    this.#desk.note("confirmed what runs");
  }
}

/** The magic at the end of a slot; a request for good has image_ok before it (trailer fields, A = 8). */
const TEST_TAIL = 16;
const PERMANENT_TAIL = 24;

/** The end of a slot with a request in it, as imgtool pads one. */
async function requestTail(permanent: boolean): Promise<Uint8Array> {
  const { bytes } = await signImage(new Uint8Array(64), {
    version: "0.0.0",
    headerSize: 32,
    padHeader: true,
    slotSize: 0x4000,
    align: 4,
    maxSectors: 32,
    trailer: permanent ? "confirmed" : "test",
  });
  return bytes.slice(permanent ? -PERMANENT_TAIL : -TEST_TAIL);
}
