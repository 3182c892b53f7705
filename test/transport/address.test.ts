import { describe, expect, test } from "vitest";
import { type Address, formatAddress, isPipe } from "../../src/transport/address.js";
import { parseAddress } from "../../src/transport/parse-address.js";
import { TransportError } from "../../src/transport/transport.js";

const GOOD: { text: string; address: Address; written?: string }[] = [
  { text: "serial:/dev/ttyACM0", address: { kind: "serial", path: "/dev/ttyACM0", baudRate: 115200 } },
  {
    text: "serial:/dev/ttyACM0?baud=9600",
    address: { kind: "serial", path: "/dev/ttyACM0", baudRate: 9600 },
  },
  {
    text: "serial:/dev/ttyUSB1?dtr=off&rts=on",
    address: { kind: "serial", path: "/dev/ttyUSB1", baudRate: 115200, dtr: false, rts: true },
  },
  {
    text: "/dev/serial/by-id/usb-Lab_Board_1-if00",
    address: { kind: "serial", path: "/dev/serial/by-id/usb-Lab_Board_1-if00", baudRate: 115200 },
    written: "serial:/dev/serial/by-id/usb-Lab_Board_1-if00",
  },
  {
    text: "/dev/ttyACM0?baud=1000000",
    address: { kind: "serial", path: "/dev/ttyACM0", baudRate: 1_000_000 },
    written: "serial:/dev/ttyACM0?baud=1000000",
  },
  { text: "COM3", address: { kind: "serial", path: "COM3", baudRate: 115200 }, written: "serial:COM3" },
  {
    text: "\\\\.\\COM12",
    address: { kind: "serial", path: "COM12", baudRate: 115200 },
    written: "serial:COM12",
  },
  { text: "tcp:127.0.0.1:5000", address: { kind: "tcp", host: "127.0.0.1", port: 5000 } },
  { text: "tcp:rig.local:65535", address: { kind: "tcp", host: "rig.local", port: 65535 } },
  { text: "tcp:[::1]:5000", address: { kind: "tcp", host: "::1", port: 5000 } },
  {
    text: "tcp:127.0.0.1:5000?framing=raw",
    address: { kind: "tcp", host: "127.0.0.1", port: 5000, framing: "raw" },
  },
  {
    text: "serial:/dev/ttyACM0?baud=9600&framing=console",
    address: { kind: "serial", path: "/dev/ttyACM0", baudRate: 9600, framing: "console" },
  },
  { text: "port:SN12345", address: { kind: "port", selector: "SN12345", baudRate: 115200 } },
  {
    text: "port:1366:1051?baud=1000000&interface=2",
    address: { kind: "port", selector: "1366:1051", baudRate: 1_000_000, usbInterface: 2 },
  },
  {
    text: "usb:2fe3:0004",
    address: { kind: "usb", vendorId: 0x2fe3, productId: 4, baudRate: 115200 },
  },
  {
    text: "usb:2fe3:000a:A:1?dtr=off&interface=0&port=1-1.4",
    address: {
      ...{ kind: "usb", vendorId: 0x2fe3, productId: 10, serialNumber: "A:1", baudRate: 115200 },
      ...{ dtr: false, usbInterface: 0, usbPort: "1-1.4" },
    },
  },
  {
    text: "port:/dev/serial/by-id/usb-Lab_Board_1-if00?interface=0",
    address: {
      kind: "port",
      selector: "/dev/serial/by-id/usb-Lab_Board_1-if00",
      baudRate: 115200,
      usbInterface: 0,
    },
  },
  {
    text: "rfc2217:bench:2217?baud=9600&dtr=off",
    address: { kind: "rfc2217", host: "bench", port: 2217, baudRate: 9600, dtr: false },
  },
  { text: "udp:192.0.2.7:1337", address: { kind: "udp", host: "192.0.2.7", port: 1337 } },
  {
    text: "tcp:127.0.0.1:1337?framing=raw&token=env",
    address: { kind: "tcp", host: "127.0.0.1", port: 1337, framing: "raw", tokenFromEnvironment: true },
  },
  { text: "udp:bench", address: { kind: "udp", host: "bench", port: 1337 }, written: "udp:bench:1337" },
  { text: "udp:[::1]", address: { kind: "udp", host: "::1", port: 1337 }, written: "udp:[::1]:1337" },
  {
    text: "udp:bench:1337?token=env",
    address: { kind: "udp", host: "bench", port: 1337, tokenFromEnvironment: true },
  },
  {
    text: "udp:bench:1337?token-file=/keys/bench",
    address: { kind: "udp", host: "bench", port: 1337, tokenFile: "/keys/bench" },
  },
  { text: "udp:[2001:db8::7]:1337", address: { kind: "udp", host: "2001:db8::7", port: 1337 } },
  { text: "wasm:swap", address: { kind: "wasm", variant: "swap" } },
  {
    text: "qemu:swap?flash=/boards/a+b %1.bin",
    address: { kind: "qemu", variant: "swap", flash: "/boards/a+b %1.bin" },
  },
];

describe("an address that can be read", () => {
  for (const { text, address, written } of GOOD) {
    test(text, () => {
      expect(parseAddress(text)).toEqual(address);
      expect(formatAddress(address)).toBe(written ?? text);
    });
  }
});

const BAD: { text: string; message: RegExp }[] = [
  { text: "", message: /Known: serial:PATH/ },
  { text: "ttyACM0", message: /Known: serial:PATH/ },
  { text: "ble:2fe3", message: /Known: serial:.*tcp:.*usb:.*wasm:.*qemu:/ },
  { text: "usb:2fe3", message: /four hex digits each.*usb:2fe3:0004/ },
  { text: "usb:12fe3:0004", message: /four hex digits each/ },
  { text: "usb:2fe3:0004?interface=256", message: /not a number from 0 to 255/ },
  { text: "constructor:x", message: /no such kind/ },
  { text: "serial:", message: /Write it as serial:PATH/ },
  { text: "serial:/dev/ttyACM0?speed=9600", message: /no option "speed".*Known here: baud, dtr, rts/ },
  { text: "serial:/dev/ttyACM0?baud", message: /option "baud" has no value/ },
  { text: "serial:/dev/ttyACM0?baud=fast", message: /baud "fast" is not a number from 1/ },
  { text: "serial:/dev/ttyACM0?baud=0", message: /baud "0" is not a number from 1/ },
  { text: "serial:/dev/ttyACM0?dtr=1", message: /dtr is "on" or "off", not "1"/ },
  { text: "tcp:127.0.0.1", message: /tcp:HOST:PORT/ },
  { text: "tcp:::1:5000", message: /in brackets/ },
  { text: "tcp:localhost:0", message: /port "0" is not a number from 1 to 65535/ },
  { text: "tcp:localhost:65536", message: /port "65536"/ },
  { text: "tcp:localhost:5000?nodelay=on", message: /no option "nodelay".*Known here: framing/ },
  { text: "tcp:localhost:5000?framing=slip", message: /framing is "console" or "raw", not "slip".*detected/ },
  { text: "port:SN1?interface=x", message: /interface "x" is not a number from 0 to 255/ },
  { text: "udp:::1:1337", message: /Write udp:HOST:PORT/ },
  { text: "udp:[::1", message: /Write udp:HOST:PORT/ },
  { text: "tcp:192.0.2.7", message: /Write tcp:HOST:PORT/ },
  { text: "udp:192.0.2.7:1337?framing=raw", message: /no option "framing".*Known here: token/ },
  { text: "rfc2217:bench", message: /Write rfc2217:HOST:PORT/ },
  { text: "wasm:swap?ram=1", message: /Known here: flash/ },
];

test("a token in an address is refused without being repeated", () => {
  const { code, message, hint, pipe } = failure("udp:bench?token=s3cret");
  expect(code).toBe("bad-address");
  expect(`${message} ${hint}`).toMatch(/token=\.\.\..*token-file=FILE/);
  expect(`${message} ${hint} ${pipe}`).not.toContain("s3cret");
});

describe("an address that cannot be read is told what is known", () => {
  for (const { text, message } of BAD) {
    test(JSON.stringify(text), () => {
      const error = failure(text);
      expect(error.code).toBe("bad-address");
      expect(error.pipe).toBe(text);
      expect(`${error.message} ${error.hint ?? ""}`).toMatch(message);
    });
  }
});

test("ports and connections are pipes, boards are not", () => {
  expect(
    ["COM3", "port:a", "tcp:h:1", "rfc2217:h:1", "udp:h:1", "wasm:a", "qemu:a"].filter((text) =>
      isPipe(parseAddress(text)),
    ),
  ).toEqual(["COM3", "port:a", "tcp:h:1", "rfc2217:h:1", "udp:h:1"]);
});

function failure(text: string): TransportError {
  try {
    parseAddress(text);
  } catch (error) {
    if (error instanceof TransportError) return error;
  }
  throw new Error(`"${text}" was read`);
}
