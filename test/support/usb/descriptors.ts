import { concat } from "../../../src/bytes.js";

/** USB 2.0, tables 9-5, 9-6 and 9-13. */
export const DESCRIPTOR = { device: 1, configuration: 2, string: 3, qualifier: 6 } as const;

export interface EndpointShape {
  /** Bit 7: to the host. */
  readonly address: number;
  readonly type: "bulk" | "interrupt";
  readonly maxPacket: number;
}

export interface InterfaceShape {
  readonly number: number;
  readonly alternate: number;
  readonly class: number;
  readonly subclass: number;
  readonly protocol: number;
  readonly name?: string | undefined;
  /** Class descriptors that follow the interface's own. */
  readonly extra?: Uint8Array;
  readonly endpoints: readonly EndpointShape[];
}

export interface DeviceShape {
  /** Default: full. */
  readonly speed?: "full" | "super" | undefined;
  readonly vendorId: number;
  readonly productId: number;
  /** Binary coded: 0x0102 is 1.02. */
  readonly release: number;
  readonly manufacturer?: string | undefined;
  readonly product?: string | undefined;
  readonly serialNumber?: string | undefined;
  /** Class of the whole device: composite with associations, or what its interfaces say. */
  readonly deviceClass: readonly [number, number, number];
}

const ENDPOINT_TYPE = { bulk: 2, interrupt: 3 } as const;
const u16 = (value: number) => [value & 0xff, value >> 8];

/** Gives each text a number, as descriptors refer to texts by number. */
export class Strings {
  readonly #texts: string[] = [];

  indexOf(text: string | undefined): number {
    if (text === undefined) return 0;
    const at = this.#texts.indexOf(text);
    return at >= 0 ? at + 1 : this.#texts.push(text);
  }

  /** Number 0 lists the languages: American English. Undefined for a number nobody gave out. */
  descriptor(index: number): Uint8Array | undefined {
    const text = this.#texts[index - 1];
    if (index !== 0 && text === undefined) return undefined;
    const body = index === 0 ? u16(0x0409) : [...Buffer.from(text!, "utf16le")];
    return Uint8Array.of(body.length + 2, DESCRIPTOR.string, ...body);
  }
}

export function deviceDescriptor(device: DeviceShape, strings: Strings): Uint8Array {
  const isSuper = device.speed === "super";
  // SuperSpeed gives the size of control packets as a power of two.
  const [version, packet] = isSuper ? [0x0300, 9] : [0x0200, 64];
  return Uint8Array.of(
    ...[18, DESCRIPTOR.device, ...u16(version), ...device.deviceClass, packet],
    ...[...u16(device.vendorId), ...u16(device.productId), ...u16(device.release)],
    ...[device.manufacturer, device.product, device.serialNumber].map((text) => strings.indexOf(text)),
    1,
  );
}

/** One part of a configuration: an association descriptor where there is one, then its interfaces. */
export interface ConfigurationPart {
  readonly association?: Uint8Array | undefined;
  readonly interfaces: readonly InterfaceShape[];
}

export function configurationDescriptor(
  parts: readonly ConfigurationPart[],
  strings: Strings,
  speed: DeviceShape["speed"],
): Uint8Array {
  const bodies = parts.map(({ association, interfaces }) =>
    concat(
      association ?? new Uint8Array(0),
      ...interfaces.map((one) => interfaceDescriptor(one, strings, speed)),
    ),
  );
  const body = concat(...bodies);
  const count = new Set(parts.flatMap((part) => part.interfaces.map(({ number }) => number))).size;
  const busPowered = 0x80;
  const milliamps = 100;
  return concat(
    Uint8Array.of(
      9,
      DESCRIPTOR.configuration,
      ...u16(body.length + 9),
      count,
      1,
      0,
      busPowered,
      milliamps / 2,
    ),
    body,
  );
}

/** USB 3.2, 9.6.7: follows each endpoint of a SuperSpeed device. No bursts. */
const companion = (maxPacket: number) => [6, 0x30, 0, 0, ...u16(maxPacket)];

function interfaceDescriptor(one: InterfaceShape, strings: Strings, speed: DeviceShape["speed"]): Uint8Array {
  const { number, alternate, endpoints } = one;
  const kind = [one.class, one.subclass, one.protocol, strings.indexOf(one.name)];
  return concat(
    Uint8Array.of(9, 4, number, alternate, endpoints.length, ...kind),
    one.extra ?? new Uint8Array(0),
    ...endpoints.map(({ address, type, maxPacket }) =>
      Uint8Array.of(
        ...[7, 5, address, ENDPOINT_TYPE[type], ...u16(maxPacket), type === "interrupt" ? 10 : 0],
        ...(speed === "super" ? companion(maxPacket) : []),
      ),
    ),
  );
}
