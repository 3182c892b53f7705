import type { Device, DevicePort } from "../devices/device.js";
import { DeviceTracker } from "../devices/device-tracker.js";
import { type FollowedUsb, followUsb as followUsbAmong } from "../devices/follow-usb.js";
import { allProfiles, type ListDevicesOptions, listDevices } from "../devices/list.js";
import { fitting, type NamedDevice, type Selected, selectDevice, smpPort } from "../devices/select.js";
import { BootproofError } from "../errors.js";
import type { BoardProfile } from "../profiles/profile.js";
import type {
  PipeAddress,
  PortAddress,
  SerialAddress,
  UsbAddress,
  WireAddress,
} from "../transport/address.js";
import { portPath } from "../transport/list.js";
import type { BoardIdentity } from "../trust/ratchet.js";
import { boardIdentityOf } from "./board-identity.js";
import { type Config, ConfigError } from "./config.js";

/**
 * The devices that the config file names, with the profiles it gives them.
 *
 * @param config - by {@link loadConfig}
 * @returns one for each board of the file, in its order
 */
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
  throw new ConfigError(
    "bad-config",
    `There is no profile "${id}", which the config file names for "${board}".`,
    {
      hint: `There are: ${profiles.map((profile) => profile.id).join(", ")}.`,
    },
  );
}

/**
 * Everything that is plugged in, with what the config file says of it. `onMissing` is told what cannot be listed
 * here.
 *
 * @param config - by {@link loadConfig}
 * @param signal - aborts with its own reason
 * @param onMissing - told what cannot be listed here
 * @returns each thing once, opened or not
 * @throws TransportError when the system refuses its lists
 */
export function devicesHere(
  config: Config,
  signal?: AbortSignal,
  onMissing?: ListDevicesOptions["onMissing"],
): Promise<Device[]> {
  return listDevices({ signal, profiles: config.profiles, named: namedDevices(config), onMissing });
}

/** A serial port that is followed wherever its board comes back. */
export interface Followed {
  readonly device: Device;
  readonly identity: BoardIdentity;
  /** The device as it shows itself now; throws `not-found` while it is away. */
  now(signal: AbortSignal | undefined): Promise<Device>;
  /** Its address now, with DTR and RTS as its profile wants them. Throws `not-found` while it is away. */
  address(signal: AbortSignal | undefined): Promise<SerialAddress>;
}

/**
 * Ties an address to the board behind it: from here on the board is meant and not the name of its port, which the kernel
 * gives to whoever comes first. Undefined for ports that no device here has (pseudo-terminals).
 *
 * @param address - what the user named
 * @param config - by {@link loadConfig}
 * @param signal - aborts with its own reason
 * @returns the board, and how to ask for its port of the moment
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
  const tracker = new DeviceTracker(device, { usbInterface, among, list });
  const { kind: _kind, ...line } = address;
  return {
    device,
    identity: boardIdentityOf(device, among),
    now: (how) => tracker.device(how),
    address: async (how) => ({
      baudRate: line.baudRate,
      ...(line.framing && { framing: line.framing }),
      ...linesFor(device, line),
      kind: "serial",
      path: await tracker.port(how),
    }),
  };
}

/**
 * The same for `usb:` addresses. Undefined where the system tells nothing without opening devices.
 *
 * @param address - what the user named
 * @param config - by {@link loadConfig}
 * @param signal - aborts with its own reason
 * @returns the device, how to ask for its address of the moment, and its identity
 */
export async function followUsb(
  address: UsbAddress,
  config: Config,
  signal: AbortSignal | undefined,
): Promise<(FollowedUsb & { readonly identity: BoardIdentity }) | undefined> {
  const list = (how: AbortSignal | undefined) => devicesHere(config, how);
  const among = await list(signal);
  const followed = followUsbAmong(address, among, list);
  return followed && { ...followed, identity: boardIdentityOf(followed.device, among) };
}

/**
 * The address as it can be opened now: the port of a device that is meant by what it is, wherever it is today.
 *
 * @param address - what the user named
 * @param config - by {@link loadConfig}
 * @param signal - aborts with its own reason
 * @returns an address that `openStream` opens
 * @throws SelectionError when none or several devices are meant
 */
export async function openable(
  address: PipeAddress,
  config: Config,
  signal: AbortSignal | undefined,
): Promise<WireAddress> {
  if (address.kind !== "port") return address;
  return (await follow(address, config, signal)).address(signal);
}

/**
 * DTR and RTS as the address says, else as the board's profile wants them; what neither says is left out.
 *
 * @param device - whose profile may know
 * @param address - what the address says; goes before the profile
 * @returns `true`: the line is raised
 */
export function linesFor(
  { profile }: Device,
  { dtr, rts }: Pick<SerialAddress, "dtr" | "rts"> = {},
): Pick<SerialAddress, "dtr" | "rts"> {
  const lineFacts = profile?.lines;
  return { ...onOff("dtr", dtr ?? lineFacts?.dtr), ...onOff("rts", rts ?? lineFacts?.rts) };
}

function onOff<K extends "dtr" | "rts">(name: K, value: boolean | undefined): { [P in K]?: boolean } {
  return (value === undefined ? {} : { [name]: value }) as { [P in K]?: boolean };
}

/**
 * The device that an address means, whether or not it has a serial port now.
 *
 * @param address - what the user named
 * @param config - by {@link loadConfig}
 * @param signal - aborts with its own reason
 * @returns undefined when the port belongs to nothing that is plugged in
 * @throws SelectionError
 */
export async function deviceMeant(
  address: SerialAddress | PortAddress,
  config: Config,
  signal: AbortSignal | undefined,
): Promise<Device | undefined> {
  return meant(address, await devicesHere(config, signal))?.device;
}

function meant(address: SerialAddress | PortAddress, devices: readonly Device[]): Selected | undefined {
  if (address.kind === "port") return selectDevice(address.selector, devices, address.usbInterface);
  const isIt = ({ path, byId }: DevicePort) => path === portPath(address.path) || byId === address.path;
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
 *
 * @param text - as somebody typed it
 * @param config - by {@link loadConfig}
 * @param signal - aborts with its own reason
 * @returns true when at least one device fits
 */
export async function namesDevice(text: string, config: Config, signal?: AbortSignal): Promise<boolean> {
  const wanted = text.replace(/#\d{1,2}$/, "");
  return fitting(await devicesHere(config, signal), wanted, { whole: true }).length > 0;
}

/**
 * The one board that can be spoken to, when none was named. Built-in serial ports of the machine do not count: most have
 * nothing at the other end, and a port that a console uses must not be written to unasked.
 *
 * @param config - by {@link loadConfig}
 * @param signal - aborts with its own reason
 * @param options - `roots`: other folders than the system's, for tests
 * @returns a device with a port or with DFU
 * @throws ChoiceError `no-board-here`, `several-boards-here`
 */
export async function onlyDevice(
  config: Config,
  signal?: AbortSignal,
  options: Pick<ListDevicesOptions, "roots"> = {},
): Promise<Device> {
  const listing = { signal, profiles: config.profiles, named: namedDevices(config), ...options };
  const devices = await listDevices(listing);
  const usable = devices.filter(isUsable);
  if (usable.length === 1) return usable[0]!;
  throw new ChoiceError(usable.length, devices, config.boards);
}

/**
 * Every board that is plugged in and can be opened, without the machine's built-in ports.
 *
 * @param config - by {@link loadConfig}
 * @param signal - aborts with its own reason
 * @returns at least one
 * @throws ChoiceError `no-board-here`
 */
export async function boardsPluggedIn(config: Config, signal?: AbortSignal): Promise<Device[]> {
  const devices = await devicesHere(config, signal);
  const usable = devices.filter(isUsable);
  if (usable.length === 0) throw new ChoiceError(0, devices, config.boards);
  return usable;
}

/**
 * Is this plugged in by USB, and no port that the machine itself has?
 *
 * @param device - as `listDevices` finds it
 * @returns false for a mainboard's serial port, at which there is mostly nothing
 */
export const isPluggedIn = ({ vendorId }: Device): boolean => vendorId !== undefined;
const isUsable = (device: Device) =>
  isPluggedIn(device) && device.ports.some(({ problem }) => problem === undefined);

/** No board could be chosen. */
export class ChoiceError extends BootproofError {
  declare readonly code: "no-board-here" | "several-boards-here";

  /** `boards`: names and addresses of the config file. */
  constructor(usable: number, devices: readonly Device[], boards: Readonly<Record<string, string>>) {
    const plugged = linesOf(devices.filter(isPluggedIn));
    const builtIn = linesOf(devices.filter((device) => !isPluggedIn(device)));
    const named = Object.entries(boards).map(([name, address]) => `\n    ${name}  ${address}`);
    const lists = [
      plugged.length > 0 ? `Plugged in:${plugged.join("")}` : "",
      named.length > 0 ? `Boards of the config file:${named.join("")}` : "",
      builtIn.length > 0 ? `Built-in ports, used only when named:${builtIn.join("")}` : "",
    ].filter((list) => list !== "");
    const hint = (advice: string) => ({ hint: [advice, ...lists].join("\n  ") });
    if (usable > 1) {
      const by = named.length > 0 ? "serial number, USB port or name" : "serial number or USB port";
      super("several-boards-here", `${usable} boards are plugged in.`, hint(`Choose one with -d, by ${by}.`));
      return;
    }
    if (plugged.length > 0)
      super("no-board-here", "No board that is plugged in can be opened.", hint("Name a board with -d."));
    else if (named.length > 1)
      super(
        "several-boards-here",
        `The config file describes ${named.length} boards and no default.`,
        hint('Choose one with -d NAME, or set "device" in the config file.'),
      );
    else
      super(
        "no-board-here",
        "No board is plugged in.",
        hint("Plug one in, or name a board with -d; -d wasm:good is an emulated one."),
      );
  }
}

function linesOf(devices: readonly Device[]): string[] {
  return devices.flatMap(({ serialNumber, usbPort, profile, product = "serial port", ports }) =>
    ports.map(({ path, problem }) => {
      const id = serialNumber ?? usbPort;
      const what = `${(profile?.name ?? product).replace(/\p{C}/gu, " ")}${problem ? ` (${problem.message})` : ""}`;
      return `\n    ${[...(id === undefined ? [] : [id]), path, what].join("  ")}`;
    }),
  );
}
