/**
 * SMP over console, just enough to talk to a board in tests of the board. Written apart from src/smp, so that a
 * mistake there cannot hide one here: request bytes come from the golden examples, framing is ten lines.
 */
import { decode, encode } from "cbor-x";

const MAX_RAW_PER_LINE = 93;

/** CRC-16/XMODEM. */
function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return crc;
}

/** The console lines of a message, in hex as the specification's examples print it. */
export function frame(message: string): Uint8Array {
  const packet = Buffer.from(message.replaceAll(/[\s|]/g, ""), "hex");
  const whole = Buffer.alloc(packet.length + 4);
  whole.writeUInt16BE(packet.length + 2, 0);
  packet.copy(whole, 2);
  whole.writeUInt16BE(crc16(packet), packet.length + 2);
  const lines: Buffer[] = [];
  for (let at = 0; at < whole.length; at += MAX_RAW_PER_LINE) {
    lines.push(Buffer.from(at === 0 ? [0x06, 0x09] : [0x04, 0x14]));
    lines.push(Buffer.from(`${whole.subarray(at, at + MAX_RAW_PER_LINE).toString("base64")}\n`));
  }
  return Buffer.concat(lines);
}

/** The first whole message in what a board sent, or undefined while it is not complete. */
export function unframe(sent: Uint8Array): { hex: string; body: Record<string, unknown> } | undefined {
  const lines = Buffer.from(sent).toString("latin1").split("\n").slice(0, -1);
  const first = lines.findIndex((line) => line.includes("\x06\x09"));
  if (first < 0) return undefined;
  const parts = [lines[first]!.split("\x06\x09").pop()!];
  for (const line of lines.slice(first + 1)) if (line.startsWith("\x04\x14")) parts.push(line.slice(2));
  const whole = Buffer.concat(parts.map((part) => Buffer.from(part, "base64")));
  if (whole.length < 2 || whole.length < whole.readUInt16BE(0) + 2) return undefined;
  const packet = whole.subarray(2, whole.readUInt16BE(0));
  if (crc16(packet) !== whole.readUInt16BE(packet.length + 2)) throw new Error("the board sent a bad CRC");
  return { hex: packet.toString("hex"), body: decode(packet.subarray(8)) as Record<string, unknown> };
}

/** os echo "hello", v2, sequence number 0x42. */
export const ECHO = "0a 00 00 09 00 00 42 00 | a161646568656c6c6f";
export const ECHO_ANSWER = "0b00000a00004200bf61726568656c6c6fff";
export const IMAGE_STATE = "08 00 00 01 00 01 06 00 | a0";
export const CONFIRM = "0a 00 00 0a 00 01 08 00 | a167636f6e6669726df5";
/** Group 200 of firmware-fixtures/README.md. */
export const COUNTERS = "08 00 00 01 00 c8 09 00 | a0";
export const KEYS = "08 00 00 01 00 c8 0d 01 | a0";
export const BOOT = "08 00 00 01 00 c8 0a 02 | a0";
export const RESET = "0a 00 00 01 00 00 0b 05 | a0";

/** image state write: test the image with this hash. */
export function markForTest(hash: Uint8Array): string {
  const hex = Buffer.from(hash).toString("hex");
  return `0a 00 00 31 00 01 07 00 | a264686173685820${hex}67636f6e6669726df4`;
}

const CHUNK = 720;

/** image upload: the chunk at this offset. */
export function imageUpload(image: Uint8Array, offset: number): string {
  const data = Buffer.from(image.subarray(offset, offset + CHUNK));
  const body = encode(offset === 0 ? { image: 0, len: image.length, off: 0, data } : { off: offset, data });
  const header = Buffer.from([0x0a, 0, body.length >> 8, body.length & 0xff, 0, 1, 0x0c, 1]);
  return Buffer.concat([header, body]).toString("hex");
}
