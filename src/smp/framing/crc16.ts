/**
 * CRC16 of console frames: polynomial 0x1021, initial 0, no reflection, no final xor (the XMODEM variant). Running it over
 * a message and its CRC gives 0. Zephyr, smp_transport.rst, "SMP Over Console".
 */
export function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = ((crc << 8) & 0xffff) ^ TABLE[(crc >> 8) ^ byte]!;
  return crc;
}

const TABLE = Uint16Array.from({ length: 256 }, (_, index) => {
  let crc = index << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});
