import { join } from "node:path";
import { entries, LINUX_ROOTS, type LinuxRoots, link, readText, writeText } from "./linux.js";

/** The port of a hub, and the same socket on the hub's other half. USB 3 hubs are two hubs in one box. */
export interface HubPort {
  /** Name of the hub: `1-1`, or `usb1` for a root hub. */
  readonly hub: string;
  readonly port: number;
  /** Files of the kernel that take the power away when 1 is written to them; Linux has them since 6.0. */
  readonly switches: readonly string[];
}

/**
 * The hub port that `usbPort` (`1-1.4`) is. Only Linux; nothing is switched. Undefined when the text is no USB port. Kernel
 * documentation: ABI/testing/sysfs-bus-usb, `disable` and `peer`.
 */
export function hubPort(usbPort: string, roots: LinuxRoots = LINUX_ROOTS): HubPort | undefined {
  const match = /^(\d+)-((?:\d+\.)*)(\d+)$/.exec(usbPort);
  if (!match) return undefined;
  const [, bus, chain, last] = match;
  const hub = chain === "" ? `usb${bus}` : `${bus}-${chain!.slice(0, -1)}`;
  const port = Number(last);
  const folder = portFolder(hub, port, roots);
  const twin = join(folder, "peer");
  const folders = link(twin) === undefined ? [folder] : [folder, twin];
  const switches = folders.map((one) => join(one, "disable")).filter((file) => readText(file) !== undefined);
  return { hub, port, switches };
}

function portFolder(hub: string, port: number, roots: LinuxRoots): string {
  const configuration = hub.startsWith("usb") ? `${hub.slice(3)}-0:1.0` : `${hub}:1.0`;
  return join(roots.sys, "bus/usb/devices", configuration, `${hub}-port${port}`);
}

/** Takes the power of a socket away, both halves, or gives it back. Throws what the kernel says. */
export function switchHubPort({ switches }: HubPort, on: boolean): void {
  for (const file of switches) writeText(file, on ? "0" : "1");
}

/** The other devices on the hub that `usbPort` hangs on: those that lose power too when a hub is ganged. */
export function neighboursOn(usbPort: string, roots: LinuxRoots = LINUX_ROOTS): string[] {
  const parent = usbPort.replace(/[.-]\d+$/, "");
  const isNeighbour = (name: string) =>
    name !== usbPort && name.replace(/[.-]\d+$/, "") === parent && !name.includes(":");
  return entries(join(roots.sys, "bus/usb/devices")).filter(
    (name) => /^\d+-/.test(name) && isNeighbour(name),
  );
}
