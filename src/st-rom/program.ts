import { concat, equal } from "../bytes.js";
import {
  erasePages,
  go,
  identify,
  type Operation,
  readMemory,
  ST_ROM_BLOCK,
  StRomError,
  type StRomInfo,
  synchronise,
  writeMemory,
} from "./an3155.js";
import { chipFor, pagesFor, type StChip } from "./chips.js";

export interface ProgramPlan {
  readonly chip: StChip;
  readonly info: StRomInfo;
  readonly pages: readonly number[];
  /** What the pages span: all of it is lost. */
  readonly from: number;
  readonly to: number;
}

/**
 * Who is there, and which pages an image of `length` bytes in `slot` would take: those that it touches, and the one at the
 * slot's end, whose trailer would otherwise tell MCUboot of the image that was there before. Nothing is changed.
 */
export function* plan(slot: Bounds, length: number): Operation<ProgramPlan> {
  yield* synchronise();
  const info = yield* identify();
  const chip = chipFor(info.productId);
  const image = pagesFor(chip, slot.from, length);
  const trailer = pagesFor(chip, slot.to - 1, 1);
  const pages = [...new Set([...image.pages, ...trailer.pages])];
  return { chip, info, pages, from: image.from, to: Math.max(image.to, trailer.to) };
}

/** The primary slot. */
export interface Bounds {
  /** Where the primary slot begins and ends: nothing outside it may be erased. */
  readonly from: number;
  readonly to: number;
}

/**
 * Erases the pages of the plan, writes `file` from `address`, reads it back, and starts the chip's own bootloader at the
 * beginning of its flash. `onProgress` is told the bytes that are written and proved.
 *
 * @throws StRomError `bad-request` when a page reaches out of `bounds`; `not-written` when it reads back otherwise
 */
export function* program(
  file: Uint8Array,
  address: number,
  options: {
    plan: ProgramPlan;
    bounds: Bounds;
    onProgress?: ((done: number, total: number) => void) | undefined;
  },
): Operation<void> {
  const { plan: planned, bounds, onProgress } = options;
  mustStayInside(planned, bounds);
  // In portions: each waits for its own answer, so a chip that hangs is found out in the time of a few pages.
  for (let at = 0; at < planned.pages.length; at += ERASE_PORTION)
    yield* erasePages(planned.pages.slice(at, at + ERASE_PORTION), planned.info);
  for (let at = 0; at < file.length; at += ST_ROM_BLOCK) {
    const block = padded(file.subarray(at, at + ST_ROM_BLOCK));
    yield* writeMemory(address + at, block);
    const back = yield* readMemory(address + at, block.length);
    if (!equal(back, block)) {
      throw new StRomError(
        "not-written",
        `At 0x${(address + at).toString(16)} the flash does not contain what was written.`,
        {
          hint: "The pages may be write-protected (option bytes), or worn out.",
        },
      );
    }
    onProgress?.(Math.min(at + ST_ROM_BLOCK, file.length), file.length);
  }
  yield* go(planned.chip.flashBase);
}

const ERASE_PORTION = 16;

function mustStayInside({ from, to }: ProgramPlan, bounds: Bounds): void {
  if (from >= bounds.from && to <= bounds.to) return;
  const span = (a: number, b: number) => `0x${a.toString(16)} to 0x${b.toString(16)}`;
  throw new StRomError(
    "bad-request",
    `The pages extend from ${span(from, to)}, the slot from ${span(bounds.from, bounds.to)}: erasing them would erase its neighbours.`,
    { hint: "Slots must begin and end with a page of the chip: check the profile's slots." },
  );
}

/** Whole words, filled with the erased value. */
function padded(block: Uint8Array): Uint8Array {
  const missing = -block.length & 3;
  return missing === 0 ? block : concat(block, new Uint8Array(missing).fill(0xff));
}
