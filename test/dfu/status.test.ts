import { describe, expect, it } from "vitest";
import { fromHex } from "../../src/bytes.js";
import { readFunctional } from "../../src/dfu/functional.js";
import { readStatus, STATES, stateInWords, statusInWords } from "../../src/dfu/status.js";

describe("what a DFU device says", () => {
  it.each([
    // status, poll time (three bytes, low first), state, text
    ["00 000000 02 00", "OK: no error (state dfuIDLE)", 0],
    ["00 640000 04 00", "OK: no error (state dfuDNBUSY)", 100],
    ["03 000000 0a 00", "errWRITE: the memory cannot be written (state dfuERROR)", 0],
    ["0f 010100 0a 00", "errSTALLEDPKT: a request that the device did not expect (state dfuERROR)", 257],
    ["77 000000 05 00", "status 119: a status that does not exist in DFU (state dfuDNLOAD-IDLE)", 0],
    // A poll time of four and a half hours is not believed.
    ["00 ffffff 04 00", "OK: no error (state dfuDNBUSY)", 60_000],
  ])("status %s", (hex, words, pollMs) => {
    const status = readStatus(fromHex(hex.replaceAll(" ", "")));
    expect(statusInWords(status)).toBe(words);
    expect(status.pollMs).toBe(pollMs);
  });

  it("has words for every state, each its own", () => {
    const words = STATES.map(stateInWords);
    expect(new Set(words).size).toBe(STATES.length);
    expect(stateInWords("dfuIDLE")).toBe("dfuIDLE: it waits for a download or an upload");
  });

  it("refuses a status that is too short or in no known state", () => {
    expect(() => readStatus(fromHex("0000000002"))).toThrow(/5 bytes long/);
    expect(() => readStatus(fromHex("000000000b00"))).toThrow(/state 11/);
  });

  it("reads the functional descriptor of ST's ROM and of a DFU 1.0 device, behind others", () => {
    // STM32F4: bcdDFU 0x011a, 2048 bytes a block, detach 255 ms, all but manifestation tolerance.
    expect(readFunctional(fromHex("03 ff 00 09 21 0b ff 00 00 08 1a 01".replaceAll(" ", "")))).toEqual({
      canDownload: true,
      canUpload: true,
      isManifestationTolerant: false,
      willDetach: true,
      detachTimeoutMs: 255,
      transferSize: 2048,
      version: 0x011a,
      isDfuSe: true,
    });
    expect(readFunctional(fromHex("07210100010000"))).toMatchObject({ transferSize: 64, version: 0x0100 });
  });

  it.each(["", "09", "0921", "0021", "0121", "ff210b", "04210b00"])("finds none in %s", (hex) => {
    expect(readFunctional(fromHex(hex))).toBeUndefined();
  });
});
