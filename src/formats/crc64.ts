/** One table for each half of the number: 64-bit integers would be a hundred times slower. */
const HIGH = new Uint32Array(256);
const LOW = new Uint32Array(256);
for (let index = 0; index < 256; index++) {
  let [high, low] = [0, index];
  for (let bit = 0; bit < 8; bit++) {
    const carry = low & 1;
    low = (low >>> 1) | ((high & 1) << 31);
    high >>>= 1;
    if (carry) [high, low] = [high ^ 0xc96c5795, low ^ 0xd7870f42];
  }
  HIGH[index] = high;
  LOW[index] = low;
}

/** The CRC-64 of xz (ECMA-182, reflected) as two halves. */
export function crc64(bytes: Uint8Array): { readonly high: number; readonly low: number } {
  let [high, low] = [0xffffffff, 0xffffffff];
  for (const byte of bytes) {
    const index = (low ^ byte) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ LOW[index]!;
    high = (high >>> 8) ^ HIGH[index]!;
  }
  return { high: ~high >>> 0, low: ~low >>> 0 };
}
