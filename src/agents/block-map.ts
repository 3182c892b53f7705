/** Which blocks of a file are here. Blocks are counted from 0; the last one may be short. */
export class BlockMap {
  readonly size: number;
  readonly blockSize: number;
  readonly #has: boolean[];
  #missing: number;

  /** @param size - bytes of the file; `blockSize` - bytes of a block */
  constructor(size: number, blockSize: number) {
    this.size = size;
    this.blockSize = blockSize;
    this.#missing = Math.ceil(size / blockSize);
    this.#has = new Array<boolean>(this.#missing).fill(false);
  }

  get count(): number {
    return this.#has.length;
  }

  get missing(): number {
    return this.#missing;
  }

  has(block: number): boolean {
    return this.#has[block] ?? false;
  }

  /** Bytes that this block has; undefined for a block that the file does not have. */
  lengthOf(block: number): number | undefined {
    if (!Number.isInteger(block) || block < 0 || block >= this.count) return undefined;
    return Math.min(this.blockSize, this.size - block * this.blockSize);
  }

  /** False when the block was here before. */
  add(block: number): boolean {
    if (this.has(block) || this.lengthOf(block) === undefined) return false;
    this.#has[block] = true;
    this.#missing--;
    return true;
  }

  /**
   * What to ask for next: the first missing block and the missing ones among the next `most`, as AWS IoT's streams take them.
   * Bit k, the least significant first, stands for block `offset + k`.
   */
  request(
    most: number,
  ): { readonly offset: number; readonly count: number; readonly bitmap: Uint8Array } | undefined {
    const offset = this.#has.indexOf(false);
    if (offset < 0) return undefined;
    const blocks = [];
    for (let block = offset; block < Math.min(this.count, offset + most); block++)
      if (!this.has(block)) blocks.push(block);
    return { offset, count: blocks.length, bitmap: bitmapOf(blocks, offset) };
  }

  /** The blocks that are here, for a file. */
  toBitmap(): Uint8Array {
    return bitmapOf(
      this.#has.flatMap((has, block) => (has ? [block] : [])),
      0,
    );
  }

  /** Takes up what {@link toBitmap} wrote. */
  addBitmap(bitmap: Uint8Array): void {
    for (let block = 0; block < this.count; block++)
      if (((bitmap[block >> 3] ?? 0) >> (block & 7)) & 1) this.add(block);
  }
}

/**
 * Blocks as a bitmap that begins at `offset`.
 *
 * @param blocks - block numbers, none below `offset`
 */
export function bitmapOf(blocks: readonly number[], offset: number): Uint8Array {
  const last = blocks.reduce((most, block) => Math.max(most, block), offset);
  const bytes = new Uint8Array(((last - offset) >> 3) + 1);
  for (const block of blocks) bytes[(block - offset) >> 3]! |= 1 << ((block - offset) & 7);
  return bytes;
}
