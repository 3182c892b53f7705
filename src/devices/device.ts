import {
  type BoardProfile,
  bestMatch,
  matchProfiles,
  type PortFact,
  type PortRole,
  type ProfileMatch,
} from "../profiles/profile.js";
import type { PortProblem } from "../transport/linux.js";
import type { SerialPortInfo } from "../transport/list.js";
import type { UsbDeviceInfo, UsbInterfaceInfo, UsbProblem } from "../transport/usb-devices.js";

/**
 * What a device seems to be, by looking only. `unknown` is the honest answer for most: a probe does not show what the
 * chip behind it runs.
 */
export type DeviceState =
  | "application"
  | "mcuboot-recovery"
  | "usb-dfu"
  | "st-rom-dfu"
  | "vendor-bootloader"
  | "unknown";

/** What stays the same while a board resets, changes its tty, or turns into its bootloader. */
export interface DeviceIdentity {
  readonly serialNumber?: string;
  /** Another device has the same serial number: it says nothing. */
  readonly serialIsShared?: true;
  /** Bus and ports it is plugged into. */
  readonly usbPort?: string;
  readonly vendorId?: string;
  readonly productId?: string;
  /** Of a port that is no USB device, or one without place and serial number: all there is to know it by. */
  readonly path?: string;
}

/** A serial port of a device. */
export interface DevicePort {
  readonly path: string;
  /** The link in /dev/serial/by-id, which names the board itself. Linux only. */
  readonly byId?: string;
  readonly usbInterface?: number;
  readonly role: PortRole | "unknown";
  /** How the role is known. */
  readonly roleFrom?: "profile" | "interface-name" | "only-port";
  readonly wiredTo?: string;
  readonly problem?: PortProblem;
}

/** One thing that is plugged in: a board with its own USB, a probe, a serial adapter, or a port of this machine. */
export interface Device extends DeviceIdentity {
  /** What it calls itself. Chosen by the device: clean it before it reaches a terminal. */
  readonly product?: string;
  readonly manufacturer?: string;
  readonly state: DeviceState;
  /** The board, when it shows itself or the user says which it is. */
  readonly profile?: BoardProfile;
  /** Names of the boards it may be. */
  readonly maybe: readonly string[];
  /** It is a debug probe or serial adapter in front of the board. */
  readonly isProbe: boolean;
  readonly ports: readonly DevicePort[];
  readonly interfaces: readonly UsbInterfaceInfo[];
  /** Why the USB device itself cannot be used: matters for DFU, and where it has no serial port. */
  readonly problem?: UsbProblem;
}

interface Group {
  readonly usb?: UsbDeviceInfo;
  readonly ports: SerialPortInfo[];
}

/**
 * Joins serial ports and USB devices into devices, each once: by the USB port they are plugged into, else by ids and
 * serial number.
 */
export function joinDevices(
  ports: readonly SerialPortInfo[],
  usb: readonly UsbDeviceInfo[],
  profiles: readonly BoardProfile[],
): Device[] {
  const groups = new Map<string, Group>();
  for (const device of usb) groups.set(device.usbPort, { usb: device, ports: [] });
  for (const port of ports) {
    const key = placeOf(port, usb) ?? keyOf(port);
    const group = groups.get(key) ?? { ports: [] };
    group.ports.push(port);
    groups.set(key, group);
  }
  const all = [...groups.values()];
  return all
    .filter((group) => !isShownByPorts(group, all))
    .map((group) => toDevice(group, profiles))
    .sort(byPlace);
}

/**
 * Two adapters of a kind, without serial numbers, on Windows: it cannot be told which port is whose, but the ports show them all.
 */
function isShownByPorts({ usb, ports }: Group, all: readonly Group[]): boolean {
  if (usb === undefined || ports.length > 0 || usb.serialNumber !== undefined) return false;
  const isAlike = (one: { vendorId?: string; productId?: string } | undefined) =>
    one?.vendorId === usb.vendorId && one.productId === usb.productId;
  const unplaced = all.filter((group) => group.usb === undefined && isAlike(group.ports[0]));
  const alike = all.filter((group) => group.ports.length === 0 && isAlike(group.usb));
  return unplaced.length >= alike.length;
}

/**
 * The USB place of a port's device. Windows does not tell it in the words of the USB list: it is the only device there with these ids
 * and this serial number, where both lists have one. The USB list has it only of devices that it may open.
 */
function placeOf(port: SerialPortInfo, usb: readonly UsbDeviceInfo[]): string | undefined {
  if (port.usbPort !== undefined && !port.usbPort.includes("&")) return port.usbPort;
  if (port.vendorId === undefined) return undefined;
  const alike = usb.filter(
    ({ vendorId, productId }) => vendorId === port.vendorId && productId === port.productId,
  );
  const same = alike.filter(({ serialNumber }) => serialNumber === port.serialNumber);
  const perhaps = alike.filter(
    ({ serialNumber }) => serialNumber === undefined || port.serialNumber === undefined,
  );
  const [only, ...others] = same.length > 0 ? same : perhaps;
  return others.length === 0 ? only?.usbPort : undefined;
}

/** Without a place in the USB list, ports are told apart by their own place, or by ids and serial number. */
function keyOf(port: SerialPortInfo): string {
  if (port.usbPort !== undefined) return port.usbPort;
  if (port.vendorId !== undefined && port.serialNumber !== undefined)
    return `${port.vendorId}:${port.productId}:${port.serialNumber}`;
  return port.path;
}

function toDevice(
  { usb, ports }: { usb?: UsbDeviceInfo; ports: SerialPortInfo[] },
  profiles: readonly BoardProfile[],
): Device {
  const facts = defined({ ...identityFacts(usb ?? ports[0]!), path: usb ? undefined : portOnly(ports[0]!) });
  const found = matchProfiles(facts, profiles);
  const itself = found.filter(({ as }) => as === "target");
  const interfaces = usb?.interfaces ?? [];
  const device: Device = defined({
    ...facts,
    state: stateOf(facts, interfaces, itself[0]),
    maybe: [...new Set(found.map(({ profile }) => profile.name))],
    isProbe: found.length > 0 && itself.length === 0,
    ports: [...ports].sort((a, b) => (a.usbInterface ?? 0) - (b.usbInterface ?? 0)).map(barePort),
    interfaces,
    problem: usb?.problem,
  });
  return withProfile(device, bestMatch(itself)?.profile);
}

/**
 * The device as the board that it is, or that the user says it is: a probe does not tell which board it sits on, so only
 * the user can. What comes out of each port follows from that.
 */
export function withProfile(device: Device, profile: BoardProfile | undefined): Device {
  const only = device.ports.length === 1;
  const ports = device.ports.map((port, index) => {
    const { role: _role, roleFrom: _from, wiredTo: _to, ...bare } = port;
    const { name } = device.interfaces.find(({ number }) => number === port.usbInterface) ?? {};
    return { ...bare, ...roleOf(profile?.ports?.[index], name, only) };
  });
  return { ...device, ports, ...(profile && { profile }) };
}

function identityFacts(device: UsbDeviceInfo | SerialPortInfo) {
  const { product, manufacturer, serialNumber, vendorId, productId, usbPort } = device;
  return { product, manufacturer, serialNumber, vendorId, productId, usbPort };
}

function portOnly(port: SerialPortInfo): string | undefined {
  const shows = port.serialNumber ?? port.usbPort;
  return port.vendorId === undefined || shows === undefined ? port.path : undefined;
}

/**
 * False for what is no board by all that it shows: keyboards, cameras, disks. A device without a known name or a serial
 * port counts when it could have one, or offers DFU.
 *
 * @param device - as listed
 * @returns true when in doubt
 */
export function looksLikeBoard({ vendorId, ports, maybe, profile, state, interfaces }: Device): boolean {
  if (vendorId === undefined || ports.length > 0 || maybe.length > 0 || profile !== undefined) return true;
  return (
    state !== "unknown" || interfaces.some(({ classCode, subclass }) => classCode === 2 && subclass === 2)
  );
}

/** MCUboot's recovery calls itself so by default; its product number says nothing, facts of USB ids change (PR 2849). */
const RECOVERY_PRODUCT = /^MCUBOOT\b/i;
const DFU_CLASS = 0xfe;
const DFU_SUBCLASS = 1;
const DFU_MODE = 2;

function stateOf(
  { product }: { product?: string | undefined },
  interfaces: readonly UsbInterfaceInfo[],
  itself: ProfileMatch | undefined,
): DeviceState {
  const known = itself?.match.state;
  if (known !== undefined) return known;
  if (product !== undefined && RECOVERY_PRODUCT.test(product)) return "mcuboot-recovery";
  const dfu = interfaces.filter(
    ({ classCode, subclass }) => classCode === DFU_CLASS && subclass === DFU_SUBCLASS,
  );
  if (dfu.some(({ protocol }) => protocol === DFU_MODE)) return "usb-dfu";
  // DFU's run-time interface is offered by applications; so is what a profile knows as the board itself.
  return dfu.length > 0 || itself !== undefined ? "application" : "unknown";
}

function barePort({ path, byId, usbInterface, problem }: SerialPortInfo): DevicePort {
  return defined({ path, byId, usbInterface, role: "unknown" as const, problem });
}

type Role = Pick<DevicePort, "role" | "roleFrom" | "wiredTo">;

/** Names that firmware gives its interfaces. */
const NAMES: readonly (readonly [pattern: RegExp, role: PortRole])[] = [
  [/smp|mcumgr/i, "smp"],
  [/\blog|console|trace/i, "log"],
];

function roleOf(fact: PortFact | undefined, name: string | undefined, only: boolean): Role {
  const named = NAMES.find(([pattern]) => pattern.test(name ?? ""));
  if (named) return { role: named[1], roleFrom: "interface-name" };
  if (fact) return { role: fact.role, roleFrom: "profile", wiredTo: fact.wiredTo };
  return only ? { role: "smp", roleFrom: "only-port" } : { role: "unknown" };
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

function defined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
}

function byPlace(a: Device, b: Device): number {
  return place(a).localeCompare(place(b), "en", { numeric: true });
}

function place({ usbPort, ports, path }: Device): string {
  return usbPort ?? path ?? ports[0]?.path ?? "";
}
