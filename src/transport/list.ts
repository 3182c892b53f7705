import { basename, dirname, join } from "node:path";
import {
  accessProblem,
  busyProblem,
  entries,
  LINUX_ROOTS,
  type LinuxRoots,
  link,
  type PortProblem,
  portHolders,
  readText,
  realPath,
} from "./linux.js";
import { loadSerialport } from "./native-modules.js";

/** One serial port of this machine. Texts come from the USB device and are cleaned of control characters. */
export interface SerialPortInfo {
  /** The device file or COM name: `/dev/ttyACM0`, `COM3`. May differ after the next plug. */
  readonly path: string;
  /** The link in /dev/serial/by-id, which names the board itself and stays the same. Linux only. */
  readonly byId?: string;
  /** What the device calls itself. */
  readonly product?: string;
  readonly manufacturer?: string;
  readonly serialNumber?: string;
  /** USB vendor and product, four lower-case hex digits each. */
  readonly vendorId?: string;
  readonly productId?: string;
  /** USB interface number: tells the ports of one board apart. */
  readonly usbInterface?: number;
  /** Bus and ports the device is plugged into, e.g. `1-1.4`; on Windows its id for the place, e.g. `5&2a1b3c&0&2`, if any. */
  readonly usbPort?: string;
  /** Why it cannot be opened now; absent when nothing is known to be in the way. */
  readonly problem?: PortProblem;
}

export interface ListOptions {
  signal?: AbortSignal | undefined;
  /** For tests: where the kernel's trees are. Given, they are read on any system. */
  roots?: LinuxRoots | undefined;
}

/**
 * The serial ports of this machine, sorted by path. No port is opened, so no board is reset by looking. On Linux it
 * reads sysfs, since `udevadm` is absent in containers.
 *
 * @param options - `signal` aborts with its own reason; `roots`: other folders than the system's, for tests
 * @returns what the system knows of each; nothing is opened
 * @throws TransportError `no-driver` where the native part does not load
 */
export async function listSerialPorts(options: ListOptions = {}): Promise<SerialPortInfo[]> {
  options.signal?.throwIfAborted();
  if (options.roots || process.platform === "linux") return listLinuxPorts(options.roots ?? LINUX_ROOTS);
  const { SerialPort } = await loadSerialport();
  const ports = await SerialPort.list();
  options.signal?.throwIfAborted();
  return ports.map(fromSystemList).sort(byPath);
}

/**
 * A port in one line: what it calls itself, who made it, its serial number.
 *
 * @param port - as listed
 * @returns one line
 */
export function describePort(port: SerialPortInfo): string {
  const usb = port.vendorId && port.productId ? `USB ${port.vendorId}:${port.productId}` : "serial port";
  const maker =
    port.manufacturer && !port.product?.includes(port.manufacturer) ? ` by ${port.manufacturer}` : "";
  const serial = port.serialNumber ? `, serial number ${port.serialNumber}` : "";
  const part = port.usbInterface ? `, interface ${port.usbInterface}` : "";
  return `${port.product ?? usb}${maker}${serial}${part}`;
}

interface SystemPort {
  path: string;
  manufacturer?: string | undefined;
  serialNumber?: string | undefined;
  vendorId?: string | undefined;
  productId?: string | undefined;
  friendlyName?: string | undefined;
  /** macOS: eight hex digits, bus and then a digit for each port. Windows: a port's number in some hub's words. */
  locationId?: string | undefined;
  /** Windows: `USB\VID_0483&PID_374B&MI_02\7&2E599BD4&0&0002`. */
  pnpId?: string | undefined;
}

/** A row of serialport's own list (macOS, Windows) in our words. */
export function fromSystemList(port: SystemPort): SerialPortInfo {
  const composite = /&MI_([0-9a-f]{2})/i.exec(port.pnpId ?? "");
  const place = windowsPlace(port, composite !== null);
  return defined({
    path: portPath(port.path),
    usbPort: macUsbPort(port.locationId) ?? place,
    usbInterface: composite ? Number.parseInt(composite[1]!, 16) : undefined,
    product: withoutPort(port.friendlyName),
    manufacturer: port.manufacturer,
    serialNumber: place === undefined ? port.serialNumber : undefined,
    vendorId: port.vendorId?.toLowerCase(),
    productId: port.productId?.toLowerCase(),
  });
}

/**
 * The one spelling of a port that has several. macOS has two files for each: the one that is listed, tty, waits for a carrier;
 * its twin, cu, is for whoever begins to speak. Windows takes `com5`, `COM5` and `\\\\.\\COM5` for one port.
 */
export function portPath(path: string): string {
  const com = /^(?:\\\\[.?]\\)?com(\d{1,5})$/i.exec(path)?.[1];
  if (com !== undefined) return `COM${Number(com)}`;
  return path.replace(/^\/dev\/tty\./, "/dev/cu.");
}

/** Windows ends a device's name with the port of today, which says nothing of the device. */
function withoutPort(friendlyName: string | undefined): string | undefined {
  const name = friendlyName?.replace(/\s*\((?:COM\d+)\)\s*$/i, "");
  return name === "" ? undefined : name;
}

/**
 * Of a device without serial number Windows makes an id from the place where it is plugged in, with `&` in it, which no serial
 * number has: `5&2a1b3c&0&2`. The parts of a composite device have a number behind that.
 */
function windowsPlace({ serialNumber = "" }: SystemPort, isPart: boolean): string | undefined {
  if (!serialNumber.includes("&")) return undefined;
  const id = serialNumber.toLowerCase();
  return isPart ? id.replace(/&[^&]*$/, "") : id;
}

/** `14200000` is bus 0x14, port 2; the USB library names the same place `14-2`. */
function macUsbPort(locationId = ""): string | undefined {
  const [, bus, ports] = /^(?:0x)?([0-9a-f]{2})([1-9a-f]+)0*$/i.exec(locationId) ?? [];
  if (bus === undefined || ports === undefined) return undefined;
  const number = /^\d+$/.test(bus) ? String(Number(bus)) : bus.toLowerCase();
  return `${number}-${[...ports].map((digit) => Number.parseInt(digit, 16)).join(".")}`;
}

function listLinuxPorts(roots: LinuxRoots): SerialPortInfo[] {
  const ids = linksById(roots);
  return entries(join(roots.sys, "class/tty"))
    .filter((name) => isHardware(join(roots.sys, "class/tty", name)))
    .map((name) => {
      const path = join(roots.dev, name);
      const usb = usbFacts(realPath(join(roots.sys, "class/tty", name, "device")));
      return defined({ path, byId: ids.get(name), ...usb, problem: problemOf(path, roots) });
    })
    .sort(byPath);
}

/** Virtual terminals have no `device`; UARTs a PC's driver reserves but never found report type 0. */
function isHardware(tty: string): boolean {
  return link(join(tty, "device")) !== undefined && readText(join(tty, "type")) !== "0";
}

function problemOf(path: string, roots: LinuxRoots): PortProblem | undefined {
  const denied = accessProblem(path, roots);
  if (denied) return denied;
  const holders = portHolders(path, roots);
  return holders.length > 0 ? busyProblem(path, holders) : undefined;
}

function linksById(roots: LinuxRoots): Map<string, string> {
  const folder = join(roots.dev, "serial/by-id");
  return new Map(
    entries(folder).map((name) => [basename(link(join(folder, name)) ?? name), join(folder, name)]),
  );
}

/** Folders between a tty and its USB device: the interface, for USB-serial converters one more. */
const MAX_LEVELS_TO_USB_DEVICE = 4;

function usbFacts(device: string): Partial<SerialPortInfo> {
  let usbInterface: number | undefined;
  let folder = device;
  for (let level = 0; level < MAX_LEVELS_TO_USB_DEVICE; level++, folder = dirname(folder)) {
    const number = readText(join(folder, "bInterfaceNumber"));
    if (number !== undefined) usbInterface = Number.parseInt(number, 16);
    if (readText(join(folder, "idVendor")) === undefined) continue;
    return {
      ...defined({
        product: readText(join(folder, "product")),
        manufacturer: readText(join(folder, "manufacturer")),
        serialNumber: readText(join(folder, "serial")),
        vendorId: readText(join(folder, "idVendor")),
        productId: readText(join(folder, "idProduct")),
        usbInterface,
      }),
      usbPort: basename(folder),
    };
  }
  return {};
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** The same object without the keys whose value is undefined, so that JSON and tests see what is known. */
function defined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
}

function byPath(a: SerialPortInfo, b: SerialPortInfo): number {
  return a.path.localeCompare(b.path, "en", { numeric: true });
}
