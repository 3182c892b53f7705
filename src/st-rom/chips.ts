import { StRomError } from "./an3155.js";

/** A run of pages (or sectors) of one size. */
export interface PageRun {
  readonly count: number;
  readonly size: number;
}

export interface StChip {
  readonly productId: number;
  readonly name: string;
  readonly flashBase: number;
  /** The largest member of the family; the last run goes on to its end. */
  readonly pages: readonly PageRun[];
}

const KIB = 1024;
const BASE = 0x0800_0000;
const F4: readonly PageRun[] = [
  { count: 4, size: 16 * KIB },
  { count: 1, size: 64 * KIB },
  { count: 7, size: 128 * KIB },
];

/**
 * Chips by product id, with their pages. AN2606 ("Device-dependent bootloader parameters") and the reference manuals' flash
 * chapters; each row is compared with stm32flash's own table in the tests.
 */
export const ST_CHIPS: readonly StChip[] = [
  {
    productId: 0x410,
    name: "STM32F10xxx medium density",
    flashBase: BASE,
    pages: [{ count: 128, size: KIB }],
  },
  { productId: 0x413, name: "STM32F40xxx/41xxx", flashBase: BASE, pages: F4 },
  {
    productId: 0x433,
    name: "STM32F401xD/E",
    flashBase: BASE,
    pages: [F4[0]!, F4[1]!, { count: 3, size: 128 * KIB }],
  },
  { productId: 0x415, name: "STM32L4x5/L4x6", flashBase: BASE, pages: [{ count: 512, size: 2 * KIB }] },
  { productId: 0x435, name: "STM32L43xxx/44xxx", flashBase: BASE, pages: [{ count: 128, size: 2 * KIB }] },
];

/** Throws {@link StRomError} `unknown-chip`: pages that are guessed would erase what they should not. */
export function chipFor(productId: number): StChip {
  const chip = ST_CHIPS.find((row) => row.productId === productId);
  if (chip) return chip;
  const known = ST_CHIPS.map((row) => `0x${row.productId.toString(16)} ${row.name}`).join(", ");
  throw new StRomError(
    "unknown-chip",
    `The pages of the chip with product id 0x${productId.toString(16)} are not known here.`,
    { hint: `Known: ${known}. Use STM32_Programmer_CLI or stm32flash for others.` },
  );
}

/**
 * The numbers of the pages that hold `length` bytes from `address`, and what they span: a page that begins before or ends
 * after loses its neighbours too. Throws {@link StRomError} `bad-request` outside the flash.
 */
export function pagesFor(
  chip: StChip,
  address: number,
  length: number,
): { pages: number[]; from: number; to: number } {
  const pages: number[] = [];
  let [from, to] = [Number.POSITIVE_INFINITY, 0];
  let start = chip.flashBase;
  let number = 0;
  for (const { count, size } of chip.pages) {
    for (let index = 0; index < count; index++, number++, start += size) {
      if (start >= address + length || start + size <= address) continue;
      pages.push(number);
      from = Math.min(from, start);
      to = Math.max(to, start + size);
    }
  }
  if (address < chip.flashBase || address + length > start || length < 1) {
    throw new StRomError(
      "bad-request",
      `0x${address.toString(16)} and ${length} bytes more do not lie in the flash of ${chip.name}.`,
    );
  }
  return { pages, from, to };
}
