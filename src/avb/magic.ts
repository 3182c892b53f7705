/** By what Android boot metadata is known. Apart from its reader, which takes longer to load than to ask. */

export const MAGIC = "AVB0";
export const FOOTER_MAGIC = "AVBf";
export const HEADER = 256;
export const FOOTER = 64;

/**
 * Is this a vbmeta structure, or does a footer end it?
 *
 * @param bytes - a file, or the image of a partition
 * @returns true for the magic at its start, or a footer's magic in its last 64 bytes
 */
export function isAvb(bytes: Uint8Array): boolean {
  return (
    bytes.length >= HEADER &&
    (magic(bytes, 0) === MAGIC || magic(bytes, bytes.length - FOOTER) === FOOTER_MAGIC)
  );
}

/** Four letters; "" in front of the first byte. */
export function magic(bytes: Uint8Array, at: number): string {
  return at < 0 ? "" : String.fromCharCode(...bytes.subarray(at, at + 4));
}
