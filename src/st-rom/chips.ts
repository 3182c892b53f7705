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
const runs = (...list: readonly (readonly [count: number, kib: number])[]): readonly PageRun[] =>
  list.map(([count, kib]) => ({ count, size: kib * KIB }));

/** One bank of an F2 or F4; the smaller chips end within it. */
const oneBank = (last: number) => runs([4, 16], [1, 64], [last, 128]);
const TWO_BANKS = [...oneBank(7), ...oneBank(7)];

type Row = readonly [productId: number, name: string, pages: readonly PageRun[]];

const ROWS: readonly Row[] = [
  [0x440, "STM32F030x8/F05xxx", runs([64, 1])],
  [0x442, "STM32F030xC/F09xxx", runs([128, 2])],
  [0x444, "STM32F03xx4/6", runs([32, 1])],
  [0x445, "STM32F04xxx/F070x6", runs([32, 1])],
  [0x448, "STM32F070xB/F071xx/F072xx", runs([64, 2])],
  [0x412, "STM32F10xxx low density", runs([32, 1])],
  [0x410, "STM32F10xxx medium density", runs([128, 1])],
  [0x414, "STM32F10xxx high density", runs([256, 2])],
  [0x420, "STM32F100xx low and medium density", runs([128, 1])],
  [0x428, "STM32F100xx high density", runs([256, 2])],
  [0x418, "STM32F105xx/F107xx", runs([128, 2])],
  [0x411, "STM32F2xxxx", oneBank(7)],
  [0x432, "STM32F373xx/F378xx", runs([128, 2])],
  [0x422, "STM32F302xB/C, F303xB/C, F358xx", runs([128, 2])],
  [0x439, "STM32F301xx, F302x4/6/8, F318xx", runs([32, 2])],
  [0x438, "STM32F303x4/6/8, F328xx, F334xx", runs([32, 2])],
  [0x446, "STM32F302xD/E, F303xD/E, F398xx", runs([256, 2])],
  [0x413, "STM32F40xxx/41xxx", oneBank(7)],
  [0x419, "STM32F42xxx/43xxx", TWO_BANKS],
  [0x423, "STM32F401xB/C", oneBank(1)],
  [0x433, "STM32F401xD/E", oneBank(3)],
  [0x458, "STM32F410xx", runs([4, 16], [1, 64])],
  [0x431, "STM32F411xx", oneBank(3)],
  [0x441, "STM32F412xx", oneBank(7)],
  [0x463, "STM32F413xx/F423xx", oneBank(11)],
  [0x421, "STM32F446xx", oneBank(3)],
  [0x434, "STM32F469xx/F479xx", TWO_BANKS],
  [0x452, "STM32F72xxx/F73xxx", oneBank(3)],
  [0x449, "STM32F74xxx/F75xxx", runs([4, 32], [1, 128], [3, 256])],
  [0x466, "STM32G03xxx/G04xxx", runs([32, 2])],
  [0x460, "STM32G07xxx/G08xxx", runs([64, 2])],
  [0x468, "STM32G431xx/G441xx", runs([64, 2])],
  [0x415, "STM32L47xxx/L48xxx", runs([512, 2])],
  [0x435, "STM32L43xxx/L44xxx", runs([128, 2])],
  [0x462, "STM32L45xxx/L46xxx", runs([256, 2])],
  [0x461, "STM32L496xx/L4A6xx", runs([512, 2])],
  [0x464, "STM32L41xxx/L42xxx", runs([64, 2])],
];

/**
 * Chips by product id, with their pages: those on which stlink-org/stlink@733893a (config/chips: id and page size) and
 * stm32flash 0.7 agree. The tests have stm32flash erase by its own table and compare page for page. Chips whose pages
 * depend on an option that the ROM does not tell (F76x, G47x, L4R, H7) are left out.
 */
export const ST_CHIPS: readonly StChip[] = ROWS.map(([productId, name, pages]) => ({
  productId,
  name,
  flashBase: BASE,
  pages,
}));

/** Throws {@link StRomError} `unknown-chip`: pages that are guessed would erase what they should not. */
export function chipFor(productId: number): StChip {
  const chip = ST_CHIPS.find((row) => row.productId === productId);
  if (chip) return chip;
  throw new StRomError(
    "unknown-chip",
    `The pages of the chip with product id 0x${productId.toString(16)} are not known here.`,
    { hint: "Nothing was erased. Use STM32_Programmer_CLI, which knows every chip of ST." },
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
      `0x${address.toString(16)} and ${length} bytes more are not in the flash of ${chip.name}.`,
    );
  }
  return { pages, from, to };
}
