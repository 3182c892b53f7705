import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { concat, fromHex, putU32be, toHex } from "../../src/bytes.js";
import { submitted, UsbipDecoder, type UsbipRequest, type UsbipSubmit } from "../support/usb/usbip-wire.js";

interface Vector {
  name: string;
  header: string;
  data: string;
}

const { vectors } = JSON.parse(
  readFileSync(new URL("../vectors/usbip/kernel-documentation.json", import.meta.url), "utf8"),
) as { vectors: Vector[] };
const bytesOf = (name: string) => {
  const { header, data } = vectors.find((one) => one.name === name)!;
  return fromHex(header.replaceAll(" ", "") + data);
};
/** OP_REQ_IMPORT of bus id 1-1, after which a connection carries transfers. */
const IMPORT = concat(fromHex("0111800300000000"), Buffer.from("1-1".padEnd(32, "\0")));

function decode(...chunks: readonly Uint8Array[]): UsbipRequest[] {
  const decoder = new UsbipDecoder();
  return chunks.flatMap((chunk) => [...decoder.push(chunk)]);
}

describe("USB/IP, by the capture in the kernel's documentation", () => {
  const [imported, read, write] = decode(IMPORT, bytesOf("CmdIntrIN"), bytesOf("CmdIntrOUT")) as [
    UsbipRequest,
    UsbipSubmit,
    UsbipSubmit,
  ];

  it("reads what a host asks for", () => {
    expect(imported).toEqual({ kind: "import", busId: "1-1" });
    expect(read).toMatchObject({ kind: "submit", number: 0xd05, endpoint: 0x81, length: 64 });
    expect(read.data.length).toBe(0);
    expect(write).toMatchObject({ kind: "submit", number: 0xd06, endpoint: 0x01, length: 64 });
    expect(toHex(write.data)).toBe(vectors.find(({ name }) => name === "CmdIntrOUT")!.data);
  });

  it("says what the answers in it say", () => {
    expect(toHex(submitted(write, 0, 64))).toBe(toHex(bytesOf("RetIntrOut")));
    const data = fromHex(vectors.find(({ name }) => name === "RetIntrIn")!.data);
    expect(toHex(submitted(read, 0, 64, data))).toBe(toHex(bytesOf("RetIntrIn")));
  });

  it("reads the same however the stream is cut", () => {
    const whole = concat(IMPORT, bytesOf("CmdIntrIN"), bytesOf("CmdIntrOUT"));
    for (const size of [1, 7, 47, 48, 49]) {
      const chunks = Array.from({ length: Math.ceil(whole.length / size) }, (_, index) =>
        whole.subarray(index * size, (index + 1) * size),
      );
      expect(decode(...chunks)).toEqual([imported, read, write]);
    }
  });

  it("refuses what nobody could hold, and what is none of it", () => {
    const huge = bytesOf("CmdIntrOUT");
    putU32be(huge, 24, 0xffff_ffff);
    expect(() => decode(IMPORT, huge)).toThrow("4294967295 bytes");
    expect(() => decode(Buffer.from("GET / HTTP/1.1\r\n\r\n"))).toThrow("USB/IP");
    expect(() => decode(IMPORT, bytesOf("RetIntrIn"))).toThrow("no command 3");
  });
});
