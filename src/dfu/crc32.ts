/** The CRC of a DFU suffix: polynomial 0xEDB88320 reflected, from all ones, not inverted in the end (DFU 1.1, B). */
export function dfuCrc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return crc >>> 0;
}
