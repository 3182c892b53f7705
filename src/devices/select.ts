import { BootproofError } from "../errors.js";
import type { BoardProfile } from "../profiles/profile.js";
import { portPath } from "../transport/list.js";
import { type Device, type DevicePort, withProfile } from "./device.js";

/** It cannot be said which device or port is meant. */
export class SelectionError extends BootproofError {
  declare readonly code: "no-board" | "ambiguous";
  /** What was asked for. */
  readonly wanted: string;

  constructor(code: SelectionError["code"], wanted: string, message: string, hint: string) {
    super(code, message, { hint });
    this.wanted = wanted;
  }
}

/** What the user calls a device, and which board it is. */
export interface NamedDevice {
  readonly name: string;
  /** A selector: serial number, VID:PID, USB port, board name. */
  readonly device: string;
  readonly profile?: BoardProfile | undefined;
}

type Criterion = readonly [what: string, fits: (device: Device, wanted: string) => boolean];

const same = (a: string | undefined, b: string) => a !== undefined && a.toLowerCase() === b.toLowerCase();

/** A port by its name of today, or by the link that names its board: the whole path, or its last part. */
const isPort = ({ path, byId }: DevicePort, wanted: string) =>
  path === portPath(wanted) || (byId !== undefined && (byId === wanted || byId.endsWith(`/${wanted}`)));

/** Shorter parts of a name fit by accident. */
const LEAST_PART = 3;
const holds = ({ manufacturer = "", product = "" }: Device, part: string) =>
  part.length >= LEAST_PART && `${manufacturer} ${product}`.toLowerCase().includes(part.toLowerCase());

/** Another board must never answer for a port that is not there, whatever its name contains. */
const COM_PORT = /^(?:\\\\[.?]\\)?com\d+$/i;

const PART: Criterion = [
  "part of its maker's and its name",
  (device, wanted) => !COM_PORT.test(wanted) && holds(device, wanted),
];

/** In this order; the first that any device fits decides, so that a serial number is never taken for a name. */
const CRITERIA: readonly Criterion[] = [
  ["serial number", (device, wanted) => same(device.serialNumber, wanted)],
  ["USB port", (device, wanted) => device.usbPort === wanted],
  ["serial port", (device, wanted) => device.ports.some((port) => isPort(port, wanted))],
  ["USB ids", (device, wanted) => same(`${device.vendorId}:${device.productId}`, wanted)],
  ["board", (device, wanted) => same(device.profile?.id, wanted) || same(device.profile?.name, wanted)],
  ["product name", (device, wanted) => same(device.product, wanted)],
  PART,
];

/** A selector, and behind `#` the USB interface of the port that is meant. */
const WITH_INTERFACE = /^(.+)#(\d{1,2})$/;

/**
 * True for what can only be a device of this machine: a USB port, VID:PID, or either with an interface.
 *
 * @param text - as somebody typed it
 * @returns false for names and serial numbers, which only a look can tell
 */
export function looksLikeDevice(text: string): boolean {
  const wanted = bare(text);
  return /^\d+-\d+(\.\d+)*$/.test(wanted) || /^[0-9a-f]{4}:[0-9a-f]{4}$/i.test(wanted);
}

/** The device alone: which of its ports is meant makes no difference to what it is. */
const bare = (selector: string) => WITH_INTERFACE.exec(selector)?.[1] ?? selector;

/** Gives each device the profile that the user has named for it. */
export function assignProfiles(devices: readonly Device[], named: readonly NamedDevice[]): Device[] {
  const assigned = named.flatMap(({ device, profile }) =>
    profile === undefined ? [] : fitting(devices, bare(device)).map((found) => [found, profile] as const),
  );
  return devices.map((device) => {
    const profile = assigned.find(([found]) => found === device)?.[1];
    return profile === undefined ? device : withProfile(device, profile);
  });
}

/**
 * What the user calls a device.
 *
 * @param device - as listed
 * @param devices - everything that is plugged in
 * @param named - from the config file
 * @returns names of the config file that mean this device
 */
export function namesOf(device: Device, devices: readonly Device[], named: readonly NamedDevice[]): string[] {
  return named.filter((one) => fitting(devices, bare(one.device)).includes(device)).map(({ name }) => name);
}

export interface Selected {
  readonly device: Device;
  /** The USB interface that was asked for by `#`. */
  readonly usbInterface?: number;
}

/**
 * The one device that `text` means. More than one is refused: the wrong board must not be flashed because two of a kind
 * are plugged in. A text that is a port or its link means the port too; `usbInterface` is the one that was asked for
 * otherwise.
 *
 * @param text - serial number, USB port, `VID:PID`, path or part of a name, `#N` behind it for an interface
 * @param devices - everything that is plugged in
 * @param usbInterface - which one, when it was asked for otherwise
 * @returns the device, and the port that the text itself means
 * @throws SelectionError listing what there is
 */
export function selectDevice(text: string, devices: readonly Device[], usbInterface?: number): Selected {
  const [, selector = text, written] = WITH_INTERFACE.exec(text) ?? [];
  const found = fitting(devices, selector);
  const [device] = found;
  if (found.length > 1) {
    throw new SelectionError(
      "ambiguous",
      text,
      `${found.length} devices match "${selector}".`,
      `Name one by its serial number or USB port:${listed(found)}`,
    );
  }
  if (device === undefined) {
    throw new SelectionError(
      "no-board",
      text,
      `No device here has the serial number, USB port, USB ids or name "${selector}".`,
      devices.length === 0
        ? "Nothing is plugged in. Is it a charging cable without data wires?"
        : `There are:${listed(devices)}`,
    );
  }
  const named = device.ports.find((port) => isPort(port, selector))?.usbInterface;
  const wanted = usbInterface ?? (written === undefined ? named : Number(written));
  return wanted === undefined ? { device } : { device, usbInterface: wanted };
}

/** Every device that the closest criterion fits. `whole`: a part of a name is not enough. */
export function fitting(
  devices: readonly Device[],
  wanted: string,
  { whole = false }: { whole?: boolean } = {},
): Device[] {
  for (const [, fits] of CRITERIA.filter((criterion) => !whole || criterion !== PART)) {
    const found = devices.filter((device) => fits(device, wanted));
    if (found.length > 0) return found;
  }
  return [];
}

/**
 * The port on which a device speaks SMP: the one asked for, the one that is known to, or the only one.
 *
 * @param device - as listed
 * @param usbInterface - the one asked for
 * @returns the port to open
 * @throws SelectionError when there is none, or several and nothing tells them apart
 */
export function smpPort(device: Device, usbInterface?: number): DevicePort {
  const { ports } = device;
  const name = nameOf(device);
  if (usbInterface !== undefined) {
    const asked = ports.find((port) => port.usbInterface === usbInterface);
    if (asked) return asked;
    throw new SelectionError(
      "no-board",
      name,
      `${name} has no serial port on USB interface ${usbInterface}.`,
      portsListed(device),
    );
  }
  const [smp, ...more] = ports.filter(({ role }) => role === "smp" || role === "smp-and-log");
  if (smp && more.length === 0) return smp;
  if (ports.length === 1) return ports[0]!;
  if (ports.length === 0) {
    throw new SelectionError("no-board", name, `${name} has no serial port.`, noPort(device));
  }
  throw new SelectionError(
    "ambiguous",
    name,
    `${name} has ${ports.length} serial ports, and it is not known which one speaks SMP.`,
    `Find out with bootproof devices --probe, or name one with #:${portsListed(device)}`,
  );
}

function noPort({ state, problem }: Device): string {
  if (state === "usb-dfu" || state === "st-rom-dfu")
    return "It is in a USB DFU bootloader: bootproof recover writes to it.";
  return problem?.hint ?? "Its kernel driver may be missing; bootproof devices shows what it offers.";
}

/**
 * What a person would call it.
 *
 * @param device - as listed
 * @returns its board's name, else its ids, and its serial number
 */
export function nameOf(device: Device): string {
  const board = device.profile?.name ?? device.product;
  const ids = device.vendorId === undefined ? undefined : `USB ${device.vendorId}:${device.productId}`;
  const serial = device.serialNumber === undefined ? "" : ` ${device.serialNumber}`;
  return `${board ?? ids ?? device.path ?? "serial port"}${serial}`;
}

function listed(devices: readonly Device[]): string {
  return devices
    .map((device) => {
      const place = device.usbPort ?? device.path ?? "";
      const words = [clean(nameOf(device)), ...device.ports.map(({ path }) => path)];
      // A port that nothing is known of is all that there is to say of its device.
      return `\n  ${[place.padEnd(10), ...words.filter((word) => word !== place)].join(" ").trimEnd()}`;
    })
    .join("");
}

function portsListed({ ports }: Device): string {
  return ports
    .map(({ path, usbInterface, role }) => `\n  #${usbInterface ?? "?"}  ${path}  ${role}`)
    .join("");
}

/** Names come from devices; a hint is printed as it stands. */
function clean(text: string): string {
  return text.replace(/\p{C}/gu, " ");
}
