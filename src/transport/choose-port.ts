import { basename } from "node:path";
import { describePort, type ListOptions, listSerialPorts, type SerialPortInfo } from "./list.js";
import { TransportError } from "./transport.js";

export interface ChooseOptions extends ListOptions {
  usbInterface?: number | undefined;
}

/** What a selector is compared with, the exact ways first: a serial number must not lose to a product name. */
const WAYS: readonly ((port: SerialPortInfo, selector: string) => boolean)[] = [
  (port, selector) => same(port.serialNumber, selector),
  (port, selector) =>
    same(port.byId, selector) || (port.byId !== undefined && same(basename(port.byId), selector)),
  (port, selector) => port.vendorId !== undefined && same(`${port.vendorId}:${port.productId}`, selector),
  (port, selector) => same(port.usbPort, selector),
  (port, selector) => selector.length > 1 && includes(`${port.manufacturer} ${port.product}`, selector),
];

/**
 * The one serial port that is meant: by USB serial number, link in /dev/serial/by-id, VID:PID in hex, place in the USB
 * tree (`1-1.4`), or a part of maker and product name. Upper and lower case are the same.
 * Throws {@link TransportError} `not-found` or `ambiguous`, both listing what there is.
 */
export async function choosePort(selector: string, options: ChooseOptions = {}): Promise<SerialPortInfo> {
  const { usbInterface } = options;
  const ports = await listSerialPorts(options);
  const meant = matching(ports, selector).filter(
    (port) => usbInterface === undefined || port.usbInterface === usbInterface,
  );
  const [only, ...others] = meant;
  if (only && others.length === 0) return only;
  if (only) {
    const interfaces = meant.map((port) => port.usbInterface);
    const apart = new Set(interfaces).size === interfaces.length && !interfaces.includes(undefined);
    const way = apart
      ? "Add ?interface=N"
      : "Give the serial number or the link in /dev/serial/by-id of the one you mean";
    throw new TransportError("ambiguous", selector, `"${selector}" fits ${meant.length} ports.`, {
      hint: `${way}: ${inWords(meant)}.`,
    });
  }
  throw new TransportError("not-found", selector, `No serial port fits "${selector}".`, {
    hint: ports.length === 0 ? "No serial port is on this machine." : `Ports here: ${inWords(ports)}.`,
  });
}

function matching(ports: readonly SerialPortInfo[], selector: string): SerialPortInfo[] {
  for (const fits of WAYS) {
    const found = ports.filter((port) => fits(port, selector));
    if (found.length > 0) return found;
  }
  return [];
}

const inWords = (ports: readonly SerialPortInfo[]) =>
  ports.map((port) => `${port.path} (${describePort(port)})`).join(", ");

const same = (value: string | undefined, selector: string) =>
  value !== undefined && value.toLowerCase() === selector.toLowerCase();

const includes = (value: string, selector: string) => value.toLowerCase().includes(selector.toLowerCase());
