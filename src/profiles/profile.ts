/**
 * What is known of a kind of board before it is asked. A fact that nobody vouches for is absent: a wrong slot address or
 * a wrong line can destroy more than a missing one.
 */
export interface BoardProfile {
  /** Short name, as it stands in the config file: `nrf52840dk`. */
  readonly id: string;
  /** What is printed on the box. */
  readonly name: string;
  /** USB devices that are this board itself: its own USB port. */
  readonly target?: readonly UsbMatch[];
  /** USB devices of the debug probe or serial adapter that sits in front of it. */
  readonly probe?: readonly UsbMatch[];
  /** Serial ports in the order of their USB interfaces, and what comes out of each. */
  readonly ports?: readonly PortFact[];
  /** What DTR and RTS do, in words, and how to set them when a port opens. */
  readonly lines?: LinesFact;
  /** Line changes that bring the board into its bootloader, when the adapter is wired for it. */
  readonly enter?: readonly LineStep[];
  /** What a person does to get the bootloader's serial recovery. */
  readonly recoveryByHand?: string;
  /** The bootloader that the maker put in, beside or below MCUboot. */
  readonly rom?: RomFact;
  /** Default slots of image 0, as Zephyr's board files have them; a product may have moved them. */
  readonly slots?: readonly [primary: SlotFact, secondary: SlotFact];
  /** What its erased flash reads as: 0 or 0xff. */
  readonly erasedValue?: number;
  /** Name of the chip in the words of each debug tool; for nrfutil the core. */
  readonly chip?: Readonly<Partial<Record<DebugTool, string>>>;
  /** Where each of the facts above was read. */
  readonly sources: Readonly<Partial<Record<FactName, string>>>;
  /** Facts that are cited from a document which could not be read again: likely, and to be doubted first. */
  readonly unverified?: readonly FactName[];
}

export type FactName = Exclude<keyof BoardProfile, "id" | "name" | "sources" | "unverified">;
export type DebugTool = "probe-rs" | "openocd" | "pyocd" | "nrfutil" | "stm32programmer";

/** Which USB devices are meant. Everything given must fit. Hex ids are four lower-case digits. */
export interface UsbMatch {
  readonly vendorId: string;
  readonly productId?: string;
  /** What the device calls itself, to the letter: some makers give one number to many products. */
  readonly product?: string;
  /** The serial number begins so. */
  readonly serialPrefix?: string;
  /** What it is when it shows itself so. Default: the application. */
  readonly state?: "application" | "vendor-bootloader" | "st-rom-dfu";
}

export type PortRole = "smp" | "log" | "smp-and-log" | "other";

export interface PortFact {
  readonly role: PortRole;
  /** What it is wired to, e.g. `UART20 of the nRF54L15`. */
  readonly wiredTo: string;
}

export interface LinesFact {
  readonly reason: string;
  readonly dtr?: boolean;
  readonly rts?: boolean;
}

/** One change of a port's lines. Baud 1200 with the close that follows is the "1200 touch". */
export interface LineStep {
  readonly dtr?: boolean;
  readonly rts?: boolean;
  readonly baudRate?: number;
  /** Close the port; the lines fall. */
  readonly close?: true;
  /** Rest afterwards. */
  readonly waitMs?: number;
}

export interface RomFact {
  /** `st`: the ROM of an STM32, over UART (AN3155) and on many chips USB DFU; `nordic-usb`: nRF5 SDK's bootloader. */
  readonly kind: "st" | "nordic-usb";
  /** How a person gets it to run. */
  readonly byHand: string;
  /** The same by the adapter's lines, where BOOT0 and NRST are wired to them. */
  readonly enter?: readonly LineStep[];
  /** Where the chip's flash begins. */
  readonly flashBase?: number;
}

export interface SlotFact {
  /** Where the slot begins in the memory map of the chip. */
  readonly address: number;
  readonly size: number;
}

/** A USB device as the profiles see it. */
export interface SeenDevice {
  readonly vendorId?: string;
  readonly productId?: string;
  readonly product?: string;
  readonly serialNumber?: string;
}

/** A profile and as what the device was recognised. */
export interface ProfileMatch {
  readonly profile: BoardProfile;
  readonly as: "target" | "probe";
  readonly match: UsbMatch;
}

/**
 * Every profile that a USB device may belong to, the closest first. Several are the ordinary case for a probe: a J-Link
 * does not say which board it sits on.
 */
export function matchProfiles(device: SeenDevice, profiles: readonly BoardProfile[]): ProfileMatch[] {
  return profiles
    .flatMap((profile) => [
      ...matches(profile, "target", profile.target, device),
      ...matches(profile, "probe", profile.probe, device),
    ])
    .sort((a, b) => closeness(b) - closeness(a));
}

/** The one profile that fits best, when no other fits as well. */
export function bestMatch(found: readonly ProfileMatch[]): ProfileMatch | undefined {
  const [first, second] = found;
  if (first === undefined) return undefined;
  return second !== undefined && closeness(second) === closeness(first) && second.profile !== first.profile
    ? undefined
    : first;
}

function matches(
  profile: BoardProfile,
  as: ProfileMatch["as"],
  wanted: readonly UsbMatch[] = [],
  device: SeenDevice,
): ProfileMatch[] {
  const match = wanted
    .filter((candidate) => fits(candidate, device))
    .sort((a, b) => precision(b) - precision(a))[0];
  return match === undefined ? [] : [{ profile, as, match }];
}

function fits({ vendorId, productId, product, serialPrefix }: UsbMatch, device: SeenDevice): boolean {
  return (
    vendorId === device.vendorId &&
    (productId === undefined || productId === device.productId) &&
    (product === undefined || product === device.product) &&
    (serialPrefix === undefined || (device.serialNumber?.startsWith(serialPrefix) ?? false))
  );
}

function precision({ productId, product, serialPrefix }: UsbMatch): number {
  const said = (fact: string | undefined, weight: number) => (fact === undefined ? 0 : weight);
  return said(productId, 1) + said(product, 1) + said(serialPrefix, 3);
}

/** A board's own USB port says more than the probe in front of it. */
function closeness({ as, match }: ProfileMatch): number {
  return precision(match) + (as === "target" ? 1 : 0);
}
