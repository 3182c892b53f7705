import { u32le } from "../../../src/bytes.js";
import type { InterfaceShape } from "./descriptors.js";
import { type ControlAnswer, NO_BYTES, type Setup, type UsbFunction } from "./device.js";
import type { PacketPipe } from "./packet-pipe.js";

/** Class requests and notifications: USB PSTN 1.2, tables 13 and 30. */
const REQUEST = {
  setLineCoding: 0x20,
  getLineCoding: 0x21,
  setControlLineState: 0x22,
  sendBreak: 0x23,
} as const;
const TO_INTERFACE = 0x21;
const FROM_INTERFACE = 0xa1;

const TOUCH_BAUD = 1200;

export interface AcmOptions {
  /** Number of the control interface; the data interface is the next one. */
  readonly firstInterface: number;
  /** Endpoint number for data; the notification endpoint is the next one. */
  readonly firstEndpoint: number;
  readonly name?: string;
  /** Newer kernels refuse break where a device does not declare it, and serialport sets break with DTR. */
  readonly breakSupport?: boolean;
  /** A firmware that forgets the empty packet after a full one. */
  readonly forgetsZeroLengthPacket?: boolean;
}

/** A serial port of a USB board: what its firmware sees of the host's program. */
export class CdcAcm implements UsbFunction {
  readonly interfaces: readonly InterfaceShape[];
  readonly association: Uint8Array;
  readonly lines = { dtr: false, rts: false };
  baudRate = 0;
  /** Every change the host made, in order: `baud 115200`, `dtr on`. */
  readonly history: string[] = [];
  /** Empty packets the host sent after full ones. */
  zeroLengthPackets = 0;
  onData: (bytes: Uint8Array) => Promise<void> | void = () => {};
  /** DTR or RTS has changed: somebody has opened the port, or closed it. */
  onLines: () => void = () => {};
  /** Somebody opened the port at 1200 baud and let it go: the sign to leave for the bootloader that many boards obey. */
  onTouch: () => void = () => {};
  readonly #options: AcmOptions;
  #coding = Uint8Array.of(0, 0, 0, 0, 0, 0, 8);
  #toHost: PacketPipe | undefined;

  constructor(options: AcmOptions) {
    this.#options = options;
    const { firstInterface: control, firstEndpoint, name } = options;
    const data = control + 1;
    this.association = Uint8Array.of(8, 0x0b, control, 2, 2, 2, 0, 0);
    const capabilities = options.breakSupport ? 0x06 : 0x02;
    this.interfaces = [
      {
        ...{ number: control, alternate: 0, class: 2, subclass: 2, protocol: 0, name },
        extra: Uint8Array.of(
          ...[5, 0x24, 0x00, 0x10, 0x01],
          ...[5, 0x24, 0x01, 0x00, data],
          ...[4, 0x24, 0x02, capabilities],
          ...[5, 0x24, 0x06, control, data],
        ),
        endpoints: [{ address: 0x80 | (firstEndpoint + 1), type: "interrupt", maxPacket: 16 }],
      },
      {
        ...{ number: data, alternate: 0, class: 0x0a, subclass: 0, protocol: 0 },
        endpoints: [
          { address: 0x80 | firstEndpoint, type: "bulk", maxPacket: 64 },
          { address: firstEndpoint, type: "bulk", maxPacket: 64 },
        ],
      },
    ];
  }

  attach(pipes: ReadonlyMap<number, PacketPipe>): void {
    this.#toHost = pipes.get(0x80 | this.#options.firstEndpoint);
  }

  /** Bytes from the firmware to the host's program. Like a tty driver, it keeps what nobody has read yet. */
  send(bytes: Uint8Array): void {
    this.#toHost?.send(bytes, { zeroLengthPacket: !this.#options.forgetsZeroLengthPacket });
  }

  async receive(_endpoint: number, bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) this.zeroLengthPackets++;
    else await this.onData(bytes);
  }

  control(setup: Setup, data: Uint8Array): ControlAnswer | undefined {
    if (setup.index !== this.#options.firstInterface) return undefined;
    if (setup.requestType === FROM_INTERFACE && setup.request === REQUEST.getLineCoding) return this.#coding;
    if (setup.requestType !== TO_INTERFACE) return undefined;
    switch (setup.request) {
      case REQUEST.setLineCoding:
        return this.#setLineCoding(data);
      case REQUEST.setControlLineState:
        this.#setLines((setup.value & 1) !== 0, (setup.value & 2) !== 0);
        return NO_BYTES;
      case REQUEST.sendBreak:
        this.history.push(`break ${setup.value}`);
        return this.#options.breakSupport ? NO_BYTES : "stall";
      default:
        return "stall";
    }
  }

  unplugged(): void {
    this.lines.dtr = false;
    this.lines.rts = false;
  }

  #setLineCoding(data: Uint8Array): ControlAnswer {
    if (data.length !== 7) return "stall";
    this.#coding = data.slice();
    this.baudRate = u32le(data, 0);
    this.history.push(`baud ${this.baudRate}`);
    return NO_BYTES;
  }

  #setLines(dtr: boolean, rts: boolean): void {
    const lets = this.lines.dtr && !dtr;
    this.#setLine("dtr", dtr);
    this.#setLine("rts", rts);
    if (lets && this.baudRate === TOUCH_BAUD) this.onTouch();
  }

  #setLine(name: "dtr" | "rts", on: boolean): void {
    if (this.lines[name] === on) return;
    this.lines[name] = on;
    this.history.push(`${name} ${on ? "on" : "off"}`);
    this.onLines();
  }
}
