import type { Device, DevicePort } from "../devices/device.js";
import { type FollowedUsb, followUsb as followUsbAmong } from "../devices/follow-usb.js";
import { allProfiles, listDevices } from "../devices/list.js";
import { fitting, type NamedDevice, type Selected, selectDevice, smpPort } from "../devices/select.js";
import { Whereabouts } from "../devices/whereabouts.js";
import { BootproofError } from "../errors.js";
import type { BoardProfile } from "../profiles/profile.js";
import type {
  PipeAddress,
  PortAddress,
  SerialAddress,
  UsbAddress,
  WireAddress,
} from "../transport/address.js";
import { callOut } from "../transport/list.js";
import type { Config } from "./config.js";
import { UsageError } from "./exit.js";

/** The devices that the config file names, with the profiles it gives them. */
export function namedDevices(config: Config): NamedDevice[] {
  const profiles = allProfiles(config.profiles);
  return Object.entries(config.boards).map(([name, device]) => ({
    name,
    device: device.replace(/^port:/, ""),
    profile: profileOf(name, config.details[name]?.profile, profiles),
  }));
}

/** A misspelt profile would be none, and its facts missing without a word. */
function profileOf(
  board: string,
  id: string | undefined,
  profiles: readonly BoardProfile[],
): BoardProfile | undefined {
  const found = profiles.find((profile) => profile.id === id);
  if (id === undefined || found) return found;
  throw new UsageError(
    `There is no profile "${id}", which the config file names for "${board}".`,
    `There are: ${profiles.map((profile) => profile.id).join(", ")}.`,
  );
}

/** Everything that is plugged in, with what the config file says of it. */
export function devicesHere(config: Config, signal?: AbortSignal): Promise<Device[]> {
  return listDevices({ signal, profiles: config.profiles, named: namedDevices(config) });
}

/** A serial port that is followed wherever its board comes back. */
export interface Followed {
  readonly device: Device;
  /** The device as it shows itself now; throws `not-found` while it is away. */
  now(signal: AbortSignal | undefined): Promise<Device>;
  /** Its address now, with DTR and RTS as its profile wants them. Throws `not-found` while it is away. */
  address(signal: AbortSignal | undefined): Promise<SerialAddress>;
}

/**
 * Ties an address to the board behind it: from here on the board is meant and not the name of its port, which the kernel
 * gives to whoever comes first. Undefined for ports that no device here has (pseudo-terminals).
 *
 * @throws SelectionError when several devices are meant
 */
export async function follow(
  address: PortAddress,
  config: Config,
  signal: AbortSignal | undefined,
): Promise<Followed>;
export async function follow(
  address: SerialAddress | PortAddress,
  config: Config,
  signal: AbortSignal | undefined,
): Promise<Followed | undefined>;
export async function follow(
  address: SerialAddress | PortAddress,
  config: Config,
  signal: AbortSignal | undefined,
): Promise<Followed | undefined> {
  const among = await devicesHere(config, signal);
  const selected = meant(address, among);
  if (selected === undefined) return undefined;
  const { device } = selected;
  // One that was asked for and is not there must not become another.
  const { usbInterface } = smpPort(device, selected.usbInterface);
  const list = (how: AbortSignal | undefined) => devicesHere(config, how);
  const whereabouts = new Whereabouts(device, { usbInterface, among, list });
  const { kind: _kind, ...line } = address;
  return {
    device,
    now: (how) => whereabouts.device(how),
    address: async (how) => ({
      baudRate: line.baudRate,
      ...(line.framing && { framing: line.framing }),
      ...linesFor(device, line),
      kind: "serial",
      path: await whereabouts.port(how),
    }),
  };
}

/** The same for `usb:` addresses. Undefined where the system tells nothing without opening devices. */
export async function followUsb(
  address: UsbAddress,
  config: Config,
  signal: AbortSignal | undefined,
): Promise<FollowedUsb | undefined> {
  const list = (how: AbortSignal | undefined) => devicesHere(config, how);
  return followUsbAmong(address, await list(signal), list);
}

/** The address as it can be opened now: the port of a device that is meant by what it is, wherever it is today. */
export async function openable(
  address: PipeAddress,
  config: Config,
  signal: AbortSignal | undefined,
): Promise<WireAddress> {
  if (address.kind !== "port") return address;
  return (await follow(address, config, signal)).address(signal);
}

/** DTR and RTS as the address says, else as the board's profile wants them; what neither says is left out. */
export function linesFor(
  { profile }: Device,
  { dtr, rts }: Pick<SerialAddress, "dtr" | "rts"> = {},
): Pick<SerialAddress, "dtr" | "rts"> {
  const wants = profile?.lines;
  return { ...onOff("dtr", dtr ?? wants?.dtr), ...onOff("rts", rts ?? wants?.rts) };
}

function onOff<K extends "dtr" | "rts">(name: K, value: boolean | undefined): { [P in K]?: boolean } {
  return (value === undefined ? {} : { [name]: value }) as { [P in K]?: boolean };
}

/** The device that an address means, whether or not it has a serial port now. Throws SelectionError. */
export async function deviceMeant(
  address: SerialAddress | PortAddress,
  config: Config,
  signal: AbortSignal | undefined,
): Promise<Device | undefined> {
  return meant(address, await devicesHere(config, signal))?.device;
}

function meant(address: SerialAddress | PortAddress, devices: readonly Device[]): Selected | undefined {
  if (address.kind === "port") return selectDevice(address.selector, devices, address.usbInterface);
  const isIt = ({ path, byId }: DevicePort) => path === callOut(address.path) || byId === address.path;
  const device = devices.find(({ ports }) => ports.some(isIt));
  const port = device?.ports.find(isIt);
  if (device === undefined || device.vendorId === undefined) return undefined;
  // macOS does not tell interfaces: of several ports the one that was named could not be found again.
  if (port?.usbInterface === undefined && device.ports.length > 1) return undefined;
  return { device, ...(port?.usbInterface === undefined ? {} : { usbInterface: port.usbInterface }) };
}

/**
 * True when `text` is the serial number, place or name of something plugged in, so that it need not be an address. A part
 * of a name has to be asked for by `port:`, lest a misspelt name of the config file become another board.
 */
export async function namesDevice(text: string, config: Config, signal?: AbortSignal): Promise<boolean> {
  const wanted = text.replace(/#\d{1,2}$/, "");
  return fitting(await devicesHere(config, signal), wanted, { whole: true }).length > 0;
}

/** Nothing was named: the one device that can be spoken to. */
export async function onlyDevice(config: Config, signal?: AbortSignal): Promise<Device> {
  const devices = await devicesHere(config, signal);
  const usable = devices.filter(({ ports }) => ports.some(({ problem }) => problem === undefined));
  if (usable.length === 1) return usable[0]!;
  throw new ChoiceError(usable.length, devices);
}

/** No board could be chosen. */
export class ChoiceError extends BootproofError {
  declare readonly code: "no-board" | "ambiguous";

  constructor(usable: number, devices: readonly Device[]) {
    const lines = devices.flatMap((device) =>
      device.ports.map(
        ({ path, problem }) =>
          `\n  ${device.serialNumber ?? device.usbPort ?? path}  ${path}  ${(device.profile?.name ?? device.product ?? "serial port").replace(/\p{C}/gu, " ")}${problem ? ` (${problem.message})` : ""}`,
      ),
    );
    if (usable > 1) {
      super("ambiguous", `There are ${usable} boards, and it is not said which is meant.`, {
        hint: `Name one with -d, by serial number, USB port or name:${lines.join("")}`,
      });
      return;
    }
    const none =
      lines.length === 0 ? "There is no serial port on this machine." : "No port here can be opened.";
    super("no-board", none, {
      hint: `Plug a board in, or name one with -d; -d wasm:good is an emulated one.${lines.join("")}`,
    });
  }
}
