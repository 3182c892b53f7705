import { concat, putU16be, putU32be, u16be, u32be } from "../../../src/bytes.js";
import type { EmulatedDevice } from "./device.js";

/**
 * USB/IP 1.1.1 (kernel documentation, usb/usbip_protocol.rst): what the usbip tool and Linux's vhci_hcd speak, all numbers
 * big-endian. We are its server: the side that has the devices.
 */
const VERSION = 0x0111;
const OPERATION = { list: 0x8005, listed: 0x0005, import: 0x8003, imported: 0x0003 } as const;
const COMMAND = { submit: 1, unlink: 2, submitted: 3, unlinked: 4 } as const;
const OPERATION_HEADER = 8;
const BUS_ID = 32;
const PATH = 256;
const HEADER = 48;
const TO_HOST = 1;
/** enum usb_device_speed. */
const SPEED = { full: 2, super: 5 } as const;
/** The kernel asks for at most so much at once. */
const LONGEST_DATA = 1 << 20;

/** Negated errno of Linux, as answers carry them. */
export const STATUS = { ok: 0, stall: -32, cancelled: -104 } as const;

export type UsbipRequest =
  | { readonly kind: "list" }
  | { readonly kind: "import"; readonly busId: string }
  | UsbipSubmit
  /** Take back the transfer with the number `victim`. */
  | { readonly kind: "unlink"; readonly number: number; readonly victim: number };

/** One transfer. */
export interface UsbipSubmit {
  readonly kind: "submit";
  readonly number: number;
  /** Address, bit 7: to the host. */
  readonly endpoint: number;
  /** Bytes that are asked for, or that come with it. */
  readonly length: number;
  /** The eight bytes that open a control transfer. */
  readonly setup: Uint8Array;
  readonly data: Uint8Array;
  /** Fields that mean something in isochronous transfers only; they go back as they came. */
  readonly passedBack: Uint8Array;
}

/** Cuts the stream into requests. After `import` it carries transfers only. */
export class UsbipDecoder {
  #rest: Uint8Array = new Uint8Array(0);
  #isImported = false;

  *push(chunk: Uint8Array): Generator<UsbipRequest> {
    this.#rest = concat(this.#rest, chunk);
    for (;;) {
      const request = this.#isImported ? this.#transfer() : this.#operation();
      if (request === undefined) return;
      if (request.kind === "import") this.#isImported = true;
      yield request;
    }
  }

  #operation(): UsbipRequest | undefined {
    if (this.#rest.length < OPERATION_HEADER) return undefined;
    const code = u16be(this.#rest, 2);
    if (u16be(this.#rest, 0) !== VERSION || (code !== OPERATION.list && code !== OPERATION.import))
      throw new Error(`USB/IP: no operation 0x${code.toString(16)}`);
    if (code === OPERATION.list) {
      this.#take(OPERATION_HEADER);
      return { kind: "list" };
    }
    const bytes = this.#take(OPERATION_HEADER + BUS_ID);
    return bytes && { kind: "import", busId: textIn(bytes.subarray(OPERATION_HEADER)) };
  }

  #transfer(): UsbipRequest | undefined {
    if (this.#rest.length < HEADER) return undefined;
    const [command, number] = [u32be(this.#rest, 0), u32be(this.#rest, 4)];
    if (command === COMMAND.unlink) {
      const bytes = this.#take(HEADER)!;
      return { kind: "unlink", number, victim: u32be(bytes, 20) };
    }
    if (command !== COMMAND.submit) throw new Error(`USB/IP: no command ${command}`);
    const toHost = u32be(this.#rest, 12) === TO_HOST;
    const length = u32be(this.#rest, 24);
    if (length > LONGEST_DATA) throw new Error(`USB/IP: a transfer of ${length} bytes`);
    const bytes = this.#take(HEADER + (toHost ? 0 : length));
    return (
      bytes && {
        kind: "submit",
        number,
        endpoint: (u32be(bytes, 16) & 0x0f) | (toHost ? 0x80 : 0),
        length,
        setup: bytes.slice(40, HEADER),
        data: bytes.slice(HEADER),
        passedBack: bytes.slice(28, 36),
      }
    );
  }

  #take(length: number): Uint8Array | undefined {
    if (this.#rest.length < length) return undefined;
    const taken = this.#rest.slice(0, length);
    this.#rest = this.#rest.subarray(length);
    return taken;
  }
}

/** The end of a transfer: how much travelled, and on a read the bytes themselves. */
export function submitted(
  { number, passedBack }: Pick<UsbipSubmit, "number" | "passedBack">,
  status: number,
  length: number,
  data: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const header = new Uint8Array(HEADER);
  putU32be(header, 0, COMMAND.submitted);
  putU32be(header, 4, number);
  putU32be(header, 20, status >>> 0);
  putU32be(header, 24, length);
  header.set(passedBack, 28);
  return concat(header, data);
}

export function unlinked(number: number, status: number): Uint8Array {
  const header = new Uint8Array(HEADER);
  putU32be(header, 0, COMMAND.unlinked);
  putU32be(header, 4, number);
  putU32be(header, 20, status >>> 0);
  return header;
}

export function listed(devices: ReadonlyMap<string, EmulatedDevice>): Uint8Array {
  const count = new Uint8Array(4);
  putU32be(count, 0, devices.size);
  const records = [...devices].map(([busId, device]) =>
    concat(record(busId, device), ...firstSettings(device).map(kindOf)),
  );
  return concat(operation(OPERATION.listed, 0), count, ...records);
}

/** Undefined: there is no such device. */
export function imported(busId: string, device: EmulatedDevice | undefined): Uint8Array {
  if (device === undefined) return operation(OPERATION.imported, 1);
  return concat(operation(OPERATION.imported, 0), record(busId, device));
}

function operation(code: number, status: number): Uint8Array {
  const bytes = new Uint8Array(OPERATION_HEADER);
  putU16be(bytes, 0, VERSION);
  putU16be(bytes, 2, code);
  putU32be(bytes, 4, status);
  return bytes;
}

function record(busId: string, device: EmulatedDevice): Uint8Array {
  const { speed = "full", vendorId, productId, release, deviceClass } = device.shape;
  const bytes = new Uint8Array(PATH + BUS_ID + 24);
  bytes.set(Buffer.from(`/sys/devices/emulated/${busId}`), 0);
  bytes.set(Buffer.from(busId).subarray(0, BUS_ID - 1), PATH);
  const [bus = 1, place = 1] = busId.split("-").map(Number);
  putU32be(bytes, 288, bus);
  putU32be(bytes, 292, place);
  putU32be(bytes, 296, SPEED[speed]);
  putU16be(bytes, 300, vendorId);
  putU16be(bytes, 302, productId);
  putU16be(bytes, 304, release);
  bytes.set([...deviceClass, 0, 1, firstSettings(device).length], 306);
  return bytes;
}

const firstSettings = (device: EmulatedDevice) =>
  device.interfaces.filter(({ alternate }) => alternate === 0);
const kindOf = (one: { class: number; subclass: number; protocol: number }) =>
  Uint8Array.of(one.class, one.subclass, one.protocol, 0);

function textIn(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(bytes.subarray(0, end < 0 ? bytes.length : end)).toString("latin1");
}
