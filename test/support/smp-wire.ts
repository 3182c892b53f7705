import { latin1 } from "./smp-vectors.js";

/**
 * A second console sender, written from the rules of the servers and sharing nothing with the one under test: CRC bit by
 * bit, and every way servers cut lines. The recordings prove it right. `zephyr` has full first lines and shorter further
 * ones; `zephyr-full` is how some builds send; neither divides the CRC, as `mcuboot` does.
 */
export type Split = "mcuboot" | "zephyr" | "zephyr-full";
export const SPLITS: readonly Split[] = ["mcuboot", "zephyr", "zephyr-full"];

export function wireOf(message: Uint8Array, split: Split): Uint8Array {
  return latin1(linesOf(message, split).join(""));
}

/** Lines with marker and line feed. */
export function linesOf(message: Uint8Array, split: Split): string[] {
  const crc = slowCrc(message);
  const frame = Buffer.from([
    (message.length + 2) >> 8,
    (message.length + 2) & 0xff,
    ...message,
    crc >> 8,
    crc & 0xff,
  ]);
  const lines: string[] = [];
  for (let at = 0; at < frame.length; ) {
    const count =
      split === "mcuboot" ? 93 : zephyrCount(frame.length - at, at > 0 && split === "zephyr" ? 90 : 93);
    lines.push(`${at === 0 ? "\x06\x09" : "\x04\x14"}${frame.subarray(at, at + count).toString("base64")}\n`);
    at += count;
  }
  return lines;
}

/** Zephyr never divides the CRC: a line that would is cut 3 bytes earlier. */
function zephyrCount(left: number, most: number): number {
  const data = left - 2;
  if (data > most) return most;
  return left <= most ? left : most - 3;
}

export function slowCrc(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return crc;
}
