import {
  configurationDescriptor,
  DESCRIPTOR,
  type DeviceShape,
  deviceDescriptor,
  type InterfaceShape,
  Strings,
} from "./descriptors.js";
import { PacketPipe } from "./packet-pipe.js";

/** The eight bytes that open every control transfer (USB 2.0, 9.3). */
export interface Setup {
  readonly requestType: number;
  readonly request: number;
  readonly value: number;
  readonly index: number;
  readonly length: number;
}

/** What a device answers on its control endpoint; for a request without data, no bytes. */
export type ControlAnswer = Uint8Array | "stall";

export const NO_BYTES = new Uint8Array(0);

/** One function of a device: a serial port, a DFU interface. Its interfaces are numbered by whoever builds the device. */
export interface UsbFunction {
  readonly association?: Uint8Array | undefined;
  readonly interfaces: readonly InterfaceShape[];
  /** A class or vendor request to one of its interfaces; undefined when it is none of its. */
  control?(setup: Setup, data: Uint8Array): ControlAnswer | undefined;
  /** A packet from the host. The next one comes when the promise is done: until then the device is busy. */
  receive?(endpoint: number, bytes: Uint8Array): Promise<void> | void;
  /** The host chose a configuration, which is also what follows a bus reset. */
  configured?(): void;
  alternateSelected?(interfaceNumber: number, alternate: number): void;
  /** The cable is out. */
  unplugged?(): void;
  /** Gives the function its pipes to the host, by endpoint address. */
  attach?(pipes: ReadonlyMap<number, PacketPipe>): void;
}

const STANDARD_GET_DESCRIPTOR = { requestType: 0x80, request: 6 } as const;

/** A USB device as the bus sees it. It knows no transport: usbredir and USB/IP drive it alike. */
export class EmulatedDevice {
  readonly shape: DeviceShape;
  readonly functions: readonly UsbFunction[];
  readonly pipes = new Map<number, PacketPipe>();
  readonly #strings = new Strings();
  readonly #owners = new Map<number, UsbFunction>();

  /** Left out, the device's class is that of a composite device, or what its interfaces say. */
  constructor(
    shape: Omit<DeviceShape, "deviceClass"> & Partial<DeviceShape>,
    functions: readonly UsbFunction[],
  ) {
    const deviceClass = functions.some(({ association }) => association) ? COMPOSITE : DEFINED_BY_INTERFACES;
    this.shape = { deviceClass, ...shape };
    this.functions = functions;
    for (const one of functions) this.#adopt(one);
  }

  get interfaces(): readonly InterfaceShape[] {
    return this.functions.flatMap((one) => one.interfaces);
  }

  control(setup: Setup, data: Uint8Array): ControlAnswer {
    const { requestType, request } = setup;
    if (requestType === STANDARD_GET_DESCRIPTOR.requestType && request === STANDARD_GET_DESCRIPTOR.request)
      return this.descriptor(setup.value >> 8, setup.value & 0xff)?.subarray(0, setup.length) ?? "stall";
    for (const one of this.functions) {
      const answer = one.control?.(setup, data);
      if (answer !== undefined) return answer === "stall" ? answer : answer.subarray(0, setup.length);
    }
    return isGetStatus(setup) ? new Uint8Array(2) : "stall";
  }

  descriptor(type: number, index: number): Uint8Array | undefined {
    switch (type) {
      case DESCRIPTOR.device:
        return deviceDescriptor(this.shape, this.#strings);
      case DESCRIPTOR.configuration:
        // Texts are numbered as they are first met: the device's own first, whatever is asked first.
        deviceDescriptor(this.shape, this.#strings);
        return configurationDescriptor(this.functions, this.#strings, this.shape.speed);
      case DESCRIPTOR.string:
        return this.#strings.descriptor(index);
      default:
        return undefined;
    }
  }

  async receive(endpoint: number, bytes: Uint8Array): Promise<"done" | "stall"> {
    const owner = this.#owners.get(endpoint);
    if (!owner?.receive) return "stall";
    await owner.receive(endpoint, bytes);
    return "done";
  }

  configured(): void {
    for (const pipe of this.pipes.values()) pipe.clear();
    for (const one of this.functions) one.configured?.();
  }

  alternateSelected(interfaceNumber: number, alternate: number): void {
    for (const one of this.functions) one.alternateSelected?.(interfaceNumber, alternate);
  }

  unplugged(): void {
    for (const pipe of this.pipes.values()) pipe.clear();
    for (const one of this.functions) one.unplugged?.();
  }

  #adopt(one: UsbFunction): void {
    const mine = new Map<number, PacketPipe>();
    for (const { address, maxPacket } of one.interfaces.flatMap(({ endpoints }) => endpoints)) {
      this.#owners.set(address, one);
      if ((address & 0x80) === 0) continue;
      const pipe = new PacketPipe(maxPacket);
      mine.set(address, pipe);
      this.pipes.set(address, pipe);
    }
    one.attach?.(mine);
  }
}

const COMPOSITE = [0xef, 0x02, 0x01] as const;
const DEFINED_BY_INTERFACES = [0, 0, 0] as const;

function isGetStatus({ requestType, request }: Setup): boolean {
  return (requestType & 0xe0) === 0x80 && request === 0;
}
