import type { InterfaceShape } from "./descriptors.js";
import { type ControlAnswer, EmulatedDevice, NO_BYTES, type Setup, type UsbFunction } from "./device.js";

/** USB 2.0, tables 11-15 to 11-17; USB 3.2, tables 10-7 to 10-9 for SuperSpeed. */
const REQUEST = { getStatus: 0, clearFeature: 1, setFeature: 3, getDescriptor: 6 } as const;
const TYPE = { hubDescriptor: 0xa0, portStatus: 0xa3, portFeature: 0x23, hubFeature: 0x20 } as const;
const FEATURE = { power: 8 } as const;
/** Descriptor type, and the bit of a port's status that tells its power. SuperSpeed has both elsewhere. */
const SPEEDS = {
  full: { descriptor: 0x29, power: 0x0100 },
  super: { descriptor: 0x2a, power: 0x0200 },
} as const;
/** A SuperSpeed port without a device waits for one: link state Rx.Detect. */
const RX_DETECT = 0x00a0;
/** wHubCharacteristics: how power is switched, and no overcurrent protection. */
const SWITCHING = { ganged: 0x0010, "per-port": 0x0011, none: 0x0012 } as const;

/**
 * A hub that switches the power of each port. Nothing can be plugged into it in an emulator: whoever builds the bench
 * says by `onPower` what hangs where, and plugs or pulls that elsewhere.
 */
export class PowerHub implements UsbFunction {
  readonly interfaces: readonly InterfaceShape[] = [
    {
      ...{ number: 0, alternate: 0, class: 9, subclass: 0, protocol: 0 },
      endpoints: [{ address: 0x81, type: "interrupt", maxPacket: 2 }],
    },
  ];
  readonly speed: keyof typeof SPEEDS;
  /** Ports are counted from 1. */
  onPower: (port: number, on: boolean) => void = () => {};
  readonly #isOn: boolean[];
  readonly #characteristics: number;

  /** A USB 3 hub is two of these in one box, one of each speed. */
  constructor(
    ports: number,
    switching: keyof typeof SWITCHING = "per-port",
    speed: keyof typeof SPEEDS = "full",
  ) {
    this.speed = speed;
    this.#characteristics = SWITCHING[switching];
    this.#isOn = new Array<boolean>(ports + 1).fill(false);
  }

  isOn(port: number): boolean {
    return this.#isOn[port] ?? false;
  }

  control({ requestType, request, value, index }: Setup): ControlAnswer | undefined {
    switch (requestType) {
      case TYPE.hubDescriptor:
        return request === REQUEST.getDescriptor && value >> 8 === SPEEDS[this.speed].descriptor
          ? this.#descriptor()
          : new Uint8Array(4);
      case TYPE.portStatus:
        return this.#isPort(index) ? this.#status(index) : "stall";
      case TYPE.portFeature:
        return this.#isPort(index) ? this.#setFeature(index, value, request === REQUEST.setFeature) : "stall";
      case TYPE.hubFeature:
        return NO_BYTES;
      default:
        return undefined;
    }
  }

  #isPort(index: number): boolean {
    return index >= 1 && index < this.#isOn.length;
  }

  #descriptor(): Uint8Array {
    const powerGoodMs = 20;
    const body = [
      this.#isOn.length - 1,
      this.#characteristics & 0xff,
      this.#characteristics >> 8,
      powerGoodMs / 2,
      0,
      ...(this.speed === "super" ? [0, 0, 0, 0, 0] : [0, 0xff]),
    ];
    return Uint8Array.of(body.length + 2, SPEEDS[this.speed].descriptor, ...body);
  }

  #status(port: number): Uint8Array {
    const idle = this.speed === "super" ? RX_DETECT : 0;
    const status = this.#isOn[port] ? SPEEDS[this.speed].power | idle : 0;
    return Uint8Array.of(status & 0xff, status >> 8, 0, 0);
  }

  #setFeature(port: number, feature: number, on: boolean): ControlAnswer {
    if (feature !== FEATURE.power || this.#isOn[port] === on) return NO_BYTES;
    this.#isOn[port] = on;
    this.onPower(port, on);
    return NO_BYTES;
  }
}

/** The hub as a device of its own. */
export function hubDevice(hub: PowerHub): EmulatedDevice {
  const shape = { vendorId: 0x0bda, productId: 0x5411, release: 0x0100, manufacturer: "Bootproof" };
  const deviceClass = [9, 0, hub.speed === "super" ? 3 : 1] as const;
  return new EmulatedDevice({ ...shape, product: "Hub", speed: hub.speed, deviceClass }, [hub]);
}
