import { parseImage } from "bootproof";
import { areaOf, geometryOf, type Place, slotBytes } from "../flash-layout.js";
import { pictureOf, type SlotPicture } from "../snapshot.js";
import type { HarnessContext } from "./context.js";
import type { Power } from "./power.js";

/** The flash of a board from outside, where somebody can read and write it. */
export class Flash {
  readonly #context: HarnessContext;
  readonly #power: Power;

  constructor(context: HarnessContext, power: Power) {
    this.#context = context;
    this.#power = power;
  }

  /** The whole of it. */
  readAll(): Uint8Array {
    return this.#context.board.readFlash(0, this.#context.traits.layout.flashSize);
  }

  /** The image that a slot holds, whole. Throws `ImageError` when there is none. */
  imageIn(place: Place): Uint8Array {
    const { board, traits } = this.#context;
    const { offset, size } = areaOf(traits.layout, place);
    const bytes = board.readFlash(offset, size);
    return bytes.slice(0, parseImage(bytes).size);
  }

  /** Leaves the board off, with these bytes from its first address on. */
  async writeAll(flash: Uint8Array): Promise<void> {
    await this.#power.off();
    this.#context.board.writeFlash(0, flash);
  }

  /** Slots as their flash reads; nothing where flash cannot be read. */
  pictures(): SlotPicture[] {
    const { board, traits, initial } = this.#context;
    if (!traits.canProgram) return [];
    const { layout, mode } = traits;
    const images = initial.slots.length > 2 ? [0, 1] : [0];
    return images.flatMap((image) =>
      ([0, 1] as const).map((slot) => {
        const { offset, size } = areaOf(layout, { image, slot });
        return pictureOf(board.readFlash(offset, size), { image, slot }, geometryOf(layout, image), {
          ...(mode && { mode }),
          erasedValue: layout.erased,
          maxAlign: layout.maxAlign,
        });
      }),
    );
  }

  /** Leaves the board off with both slots of image 0 erased, and an image in the primary if one is given. */
  async eraseSlots(primary: Uint8Array = new Uint8Array(0)): Promise<void> {
    const { board, traits } = this.#context;
    const { layout, needsTrailer } = traits;
    await this.#power.off();
    for (const slot of [0, 1] as const) {
      const place = { image: 0, slot };
      const file = slot === 0 ? primary : new Uint8Array(0);
      const request = file.length > 0 && needsTrailer ? "permanent" : "none";
      board.writeFlash(areaOf(layout, place).offset, slotBytes(layout, place, file, { begins: 0, request }));
    }
  }
}
