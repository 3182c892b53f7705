import { describe, expect, test } from "vitest";
import { ReceiveDiagnostics } from "../../src/client/receive-diagnostics.js";

const receivedOf = (bytes: Uint8Array | string) => {
  const diagnostics = new ReceiveDiagnostics();
  diagnostics.receiveBytes(Buffer.from(bytes as string));
  return diagnostics.received;
};

/** `text` sent at one baud rate and sampled at another, bit by bit, 8N1: what a wrong rate really makes of it. */
function misread(text: string, sentBaud: number, readBaud: number): Uint8Array {
  const line: number[] = [1, 1];
  for (const byte of Buffer.from(text))
    line.push(0, ...Array.from({ length: 8 }, (_, n) => (byte >> n) & 1), 1);
  const level = (bitTime: number) => line[Math.floor((bitTime * sentBaud) / readBaud)] ?? 1;
  const heard: number[] = [];
  for (let at = 0; at < (line.length * readBaud) / sentBaud; ) {
    if (level(at) !== 0) {
      at += 0.25;
      continue;
    }
    heard.push(Array.from({ length: 8 }, (_, n) => level(at + 1.5 + n) << n).reduce((a, b) => a | b));
    at += 9.75;
  }
  return Uint8Array.from(heard);
}

const LOG =
  "*** Booting Zephyr OS build v4.4.0 ***\r\n[00:00:00.010] \u001b[0m<inf> app: ready, größe 5 µs\u001b[0m\r\n";

test("the simulated line reads back what was sent when the rates agree", () => {
  expect(Buffer.from(misread(LOG, 115200, 115200)).toString()).toBe(LOG);
});

describe("a wrong baud rate sounds like noise", () => {
  test.each([
    [115200, 9600],
    [115200, 57600],
    [115200, 230400],
    [115200, 1000000],
    [9600, 115200],
    [1000000, 115200],
    [57600, 115200],
  ])("sent at %i, read at %i", (sent, read) => {
    expect(receivedOf(misread(LOG.repeat(4), sent, read))).toBe("noise");
  });
});

test("logs with colours, umlauts, prompts and frames sound like text", () => {
  expect(receivedOf(LOG)).toBe("text");
  expect(receivedOf("\u001b[1;32muart:~$ \u001b[m")).toBe("text");
  expect(receivedOf("\u0006\u0009ABMKAAAJAABCAKFhZGVoZWxsb0YZ\n")).toBe("text");
});

test("the words of a start are told from other text, and remembered by the next ear", () => {
  const diagnostics = new ReceiveDiagnostics();
  diagnostics.receiveBytes(Buffer.from(LOG));
  for (const line of LOG.split("\r\n")) diagnostics.receiveText(line);
  expect(diagnostics.received).toBe("boot");
  expect(new ReceiveDiagnostics(true).received).toBe("boot");
  const other = new ReceiveDiagnostics();
  other.receiveBytes(Buffer.from("the boot is full of shoes\n"));
  other.receiveText("the boot is full of shoes");
  expect(other.received).toBe("text");
});

test("memory stays bounded on a wire that never rests", () => {
  const diagnostics = new ReceiveDiagnostics();
  for (let n = 0; n < 1000; n++) {
    diagnostics.receiveBytes(Buffer.alloc(1024, 0x41));
    diagnostics.receiveText("A".repeat(4096));
  }
  expect(diagnostics.bytes).toBe(1024 * 1000);
  expect(diagnostics.quote.length).toBeLessThanOrEqual(80);
  expect(diagnostics.received).toBe("text");
});
