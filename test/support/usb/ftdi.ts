import type { InterfaceShape } from "./descriptors.js";
import { type ControlAnswer, EmulatedDevice, NO_BYTES, type Setup, type UsbFunction } from "./device.js";
import type { PacketPipe } from "./packet-pipe.js";

/** As Linux's ftdi_sio.h has them. */
const REQUEST = {
  reset: 0,
  modemControl: 1,
  flow: 2,
  baud: 3,
  data: 4,
  modemStatus: 5,
  setLatency: 9,
  getLatency: 10,
  eeprom: 0x90,
} as const;
const TO_CHIP = 0x40;
const FROM_CHIP = 0xc0;
const IN_ENDPOINT = 0x81;
const OUT_ENDPOINT = 0x02;
const MAX_PACKET = 64;
/** Every packet to the host begins with these: CTS and DSR on, transmitter empty. */
const STATUS = [0x31, 0x60] as const;
const CLOCK = 3_000_000;

/** An FT232R: a board's UART behind the adapter everybody has. It shows what the host does with DTR and RTS. */
export class Ftdi implements UsbFunction {
  readonly interfaces: readonly InterfaceShape[] = [
    {
      ...{ number: 0, alternate: 0, class: 0xff, subclass: 0xff, protocol: 0xff, name: "FT232R USB UART" },
      endpoints: [
        { address: IN_ENDPOINT, type: "bulk", maxPacket: MAX_PACKET },
        { address: OUT_ENDPOINT, type: "bulk", maxPacket: MAX_PACKET },
      ],
    },
  ];
  readonly lines = { dtr: false, rts: false };
  /** Every change the host made, in order: `baud 115385`, `dtr on`. */
  readonly history: string[] = [];
  onData: (bytes: Uint8Array) => Promise<void> | void = () => {};
  /** Called after each request that may have changed a line, once for both. */
  onLines: (lines: Readonly<{ dtr: boolean; rts: boolean }>) => void = () => {};
  #toHost: PacketPipe | undefined;

  attach(pipes: ReadonlyMap<number, PacketPipe>): void {
    this.#toHost = pipes.get(IN_ENDPOINT);
  }

  receive(_endpoint: number, bytes: Uint8Array): Promise<void> | void {
    return this.onData(bytes);
  }

  send(bytes: Uint8Array): void {
    const room = MAX_PACKET - STATUS.length;
    for (let at = 0; at < bytes.length; at += room)
      this.#toHost?.push(Uint8Array.of(...STATUS, ...bytes.subarray(at, at + room)));
    // A chip goes on with packets that say nothing new, which end the host's transfer.
    if (bytes.length % room === 0) this.#toHost?.push(Uint8Array.of(...STATUS));
  }

  control({ requestType, request, value, index }: Setup): ControlAnswer | undefined {
    if (requestType === FROM_CHIP) return answer(request);
    if (requestType !== TO_CHIP) return undefined;
    if (request === REQUEST.modemControl) this.#modemControl(value);
    if (request === REQUEST.baud) this.history.push(`baud ${baudOf(value, index)}`);
    return NO_BYTES;
  }

  unplugged(): void {
    this.lines.dtr = false;
    this.lines.rts = false;
  }

  /** The upper byte says which of the lines is meant. */
  #modemControl(value: number): void {
    for (const [bit, name] of (["dtr", "rts"] as const).entries()) {
      const on = (value & (1 << bit)) !== 0;
      if ((value & (0x100 << bit)) === 0 || this.lines[name] === on) continue;
      this.lines[name] = on;
      this.history.push(`${name} ${on ? "on" : "off"}`);
    }
    this.onLines({ ...this.lines });
  }
}

export function ftdiDevice(ftdi: Ftdi, serialNumber: string): EmulatedDevice {
  const shape = { vendorId: 0x0403, productId: 0x6001, release: 0x0600, manufacturer: "FTDI" };
  return new EmulatedDevice({ ...shape, product: "FT232R USB UART", serialNumber }, [ftdi]);
}

function answer(request: number): ControlAnswer {
  switch (request) {
    case REQUEST.modemStatus:
      return Uint8Array.of(...STATUS);
    case REQUEST.getLatency:
      return Uint8Array.of(16);
    case REQUEST.eeprom:
      return Uint8Array.of(0xff, 0xff);
    default:
      return "stall";
  }
}

/** Eighths of the divisor by the three bits that code them: an odd order, for the sake of older chips. */
const EIGHTHS = [0, 4, 2, 1, 3, 5, 6, 7];

/** The divisor of 3 MHz: fourteen bits, and eighths coded in the next two and in the index' lowest. */
function baudOf(value: number, index: number): number {
  const whole = value & 0x3fff;
  const eighths = EIGHTHS[(value >> 14) | ((index & 1) << 2)]!;
  if (whole === 0 && eighths === 0) return CLOCK;
  if (whole === 1 && eighths === 0) return 2_000_000;
  return Math.round(CLOCK / (whole + eighths / 8));
}
