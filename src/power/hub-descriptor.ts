/** How a hub switches the power of its ports. */
export type HubSwitching =
  /** Each port on its own: what is needed. */
  | "per-port"
  /** All together: one port keeps its power as long as another wants it. */
  | "ganged"
  /** Not at all, whatever is asked of it. */
  | "none";

export interface HubDescriptor {
  readonly ports: number;
  readonly switching: HubSwitching;
}

/** bDescriptorType of hubs: USB 2.0 table 11-13, USB 3.2 table 10-3 (SuperSpeed). */
export const HUB_DESCRIPTOR_TYPES = [0x29, 0x2a] as const;
/** As far as wHubCharacteristics. */
const LEAST_LENGTH = 5;
/** Bits 1 and 0 of wHubCharacteristics; both values with bit 1 mean none. */
const SWITCHING: readonly HubSwitching[] = ["ganged", "per-port", "none", "none"];

/**
 * Reads what a hub says of itself; undefined when it is no hub descriptor. Hubs are known to claim more than they
 * do.
 *
 * @param bytes - as the hub gave them
 * @returns number of ports, and whether it says that it switches them
 */
export function readHubDescriptor(bytes: Uint8Array): HubDescriptor | undefined {
  const [length = 0, type, ports = 0, characteristics = 0] = bytes;
  const isHub = HUB_DESCRIPTOR_TYPES.some((known) => known === type);
  if (!isHub || bytes.length < LEAST_LENGTH || length < LEAST_LENGTH || ports === 0) return undefined;
  return { ports, switching: SWITCHING[characteristics & 3]! };
}
