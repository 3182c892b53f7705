/**
 * The ARM-Thumb filter that runs before LZMA2 (BCJ of the xz format): targets of BL instructions become absolute, so
 * that calls of one function look alike, or relative again. Changes `code` in place.
 */
export function filterArmThumb(code: Uint8Array, direction: "to-absolute" | "to-relative"): void {
  const sign = direction === "to-absolute" ? 1 : -1;
  for (let at = 0; at + 4 <= code.length; at += 2) {
    // BL is two halfwords: 11110 and 11111 with eleven bits of the distance each.
    const [low, high, nextLow, nextHigh] = code.subarray(at, at + 4) as unknown as [
      number,
      number,
      number,
      number,
    ];
    if ((high & 0xf8) !== 0xf0 || (nextHigh & 0xf8) !== 0xf8) continue;
    const halfwords = ((high & 7) << 19) | (low << 11) | ((nextHigh & 7) << 8) | nextLow;
    // The processor counts from the instruction after the next.
    const target = (2 * halfwords + sign * (at + 4)) >> 1;
    code[at] = (target >> 11) & 0xff;
    code[at + 1] = 0xf0 | ((target >> 19) & 7);
    code[at + 2] = target & 0xff;
    code[at + 3] = 0xf8 | ((target >> 8) & 7);
    at += 2;
  }
}
