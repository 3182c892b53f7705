import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "../../src/bytes.js";
import {
  encodeSub,
  encodeVerb,
  escapeData,
  TELNET_OPTIONS,
  TelnetDecoder,
  type TelnetItem,
} from "../../src/transport/telnet.js";

/** RFC 854, RFC 855 and the examples of RFC 2217: bytes as they are printed there. */
const PRINTED: { name: string; hex: string; items: TelnetItem[] }[] = [
  { name: "IAC DO COM-PORT-OPTION", hex: "fffd2c", items: [{ kind: "verb", verb: "do", option: 44 }] },
  { name: "IAC WILL COM-PORT-OPTION", hex: "fffb2c", items: [{ kind: "verb", verb: "will", option: 44 }] },
  {
    name: "server's SET-BAUDRATE 115200",
    hex: "fffa2c650001c200fff0",
    items: [{ kind: "sub", bytes: fromHex("2c650001c200") }],
  },
  {
    name: "a value of 255 is doubled",
    hex: "fffa2c6bfffffff0",
    items: [{ kind: "sub", bytes: fromHex("2c6bff") }],
  },
  { name: "255 among data is doubled", hex: "41ffff42", items: [{ kind: "data", bytes: fromHex("41ff42") }] },
  {
    name: "data around a command of one byte (no operation)",
    hex: "41fff142",
    items: [{ kind: "data", bytes: fromHex("4142") }],
  },
];

const heard = (hex: string, size: number) => {
  const decoder = new TelnetDecoder();
  const bytes = fromHex(hex);
  const items: TelnetItem[] = [];
  for (let at = 0; at < bytes.length; at += size) items.push(...decoder.push(bytes.subarray(at, at + size)));
  return join(items);
};

/** Neighbouring pieces of data are one: how it is cut depends on the chunks. */
function join(items: readonly TelnetItem[]): TelnetItem[] {
  const joined: TelnetItem[] = [];
  for (const item of items) {
    const last = joined.at(-1);
    if (item.kind === "data" && last?.kind === "data") {
      last.bytes = Uint8Array.from([...last.bytes, ...item.bytes]);
    } else joined.push({ ...item });
  }
  return joined;
}

describe("is understood in every split", () => {
  test.each(PRINTED)("$name", ({ hex, items }) => {
    for (let size = 1; size <= hex.length / 2; size++) expect(heard(hex, size)).toEqual(items);
  });
});

test("is written as printed", () => {
  expect(toHex(encodeVerb("will", TELNET_OPTIONS.comPort))).toBe("fffb2c");
  expect(toHex(encodeSub(fromHex("2c010001c200")))).toBe("fffa2c010001c200fff0");
  expect(toHex(encodeSub(fromHex("2c0bff")))).toBe("fffa2c0bfffffff0");
  expect(toHex(escapeData(fromHex("00ff41ff")))).toBe("00ffff41ffff");
});

test("a subnegotiation without end takes no memory, and what follows it is heard", () => {
  const decoder = new TelnetDecoder();
  decoder.push(fromHex("fffa2c"));
  for (let n = 0; n < 1000; n++) expect(decoder.push(new Uint8Array(1000))).toEqual([]);
  const [sub, data] = decoder.push(fromHex("fff041"));
  expect(sub).toMatchObject({ kind: "sub" });
  expect(sub?.kind === "sub" && sub.bytes.length).toBeLessThan(1000);
  expect(data).toEqual({ kind: "data", bytes: fromHex("41") });
});
