import type { LinuxRoots } from "../transport/linux.js";
import { type HubPort, hubPort, neighboursOn, switchHubPort } from "../transport/linux-hub.js";
import { askHubDescriptor } from "../transport/usb-hub.js";
import { type ProgramEnd, runProgram } from "./command.js";
import { HUB_DESCRIPTOR_TYPES, type HubDescriptor, readHubDescriptor } from "./hub-descriptor.js";
import { PowerError, type PowerSwitch } from "./power.js";

export interface HubOptions {
  /** For tests: where the kernel's trees are. */
  roots?: LinuxRoots | undefined;
  /** For tests: what the hub says of itself. */
  ask?: ((hub: string) => Promise<Uint8Array | undefined>) | undefined;
  /** For tests: runs uhubctl. */
  run?: ((program: string, args: readonly string[], signal?: AbortSignal) => Promise<ProgramEnd>) | undefined;
}

/**
 * Switches the power of a USB port: by the kernel where it can (Linux 6.0 and later), both halves of a USB 3 socket
 * together; else by uhubctl when that is installed. A hub that says that it cannot is believed and not asked: Linux
 * would only hide the board, which then looks switched off and is not. Many say that they can and leave the power on
 * all the same, so a switch proves nothing: see `provePower`.
 *
 * @param usbPort - where the board is plugged in, like `1-1.4`
 * @param options - other folders than the system's, for tests
 * @returns nothing is switched yet
 * @throws {@link PowerError} `no-switch`
 */
export function hubSwitch(usbPort: string, options: HubOptions = {}): PowerSwitch {
  const found = hubPort(usbPort, options.roots);
  if (found === undefined)
    throw new PowerError("no-switch", `"${usbPort}" is not a USB port.`, { hint: 'Write it as "1-1.4".' });
  const name = `port ${found.port} of hub ${found.hub}`;
  const others = neighboursOn(usbPort, options.roots);
  const also =
    others.length === 0
      ? ""
      : ` If the hub switches all ports at once, these lose power too: ${others.join(", ")}.`;
  const act = (on: boolean) => (signal?: AbortSignal) =>
    switchPort(found, usbPort, on, { ...options, signal });
  return {
    kind: "hub",
    name,
    describe: (action) => `Switch ${name} ${action}.${action === "off" ? also : ""}`,
    on: act(true),
    async off(signal) {
      mustSwitchAlone(found, await descriptorOf(found.hub, options), others);
      await act(false)(signal);
    },
  };
}

async function descriptorOf(hub: string, { ask, roots }: HubOptions): Promise<HubDescriptor | undefined> {
  // A tree of a test has no hubs that could be asked.
  const known = ask ?? (roots ? undefined : (port: string) => askHubDescriptor(port, HUB_DESCRIPTOR_TYPES));
  const bytes = await known?.(hub);
  return bytes && readHubDescriptor(bytes);
}

function mustSwitchAlone(
  { hub, port }: HubPort,
  descriptor: HubDescriptor | undefined,
  others: readonly string[],
): void {
  if (descriptor === undefined || descriptor.switching === "per-port") return;
  const instead =
    "Use a hub that switches each port (uhubctl's list names some), or describe a relay or a command under power in the config file.";
  if (descriptor.switching === "none") {
    throw new PowerError("no-switch", `Hub ${hub} reports that it cannot switch the power of its ports.`, {
      hint: `Linux would only hide the board from USB, and its power would stay. ${instead}`,
    });
  }
  const all = others.length === 0 ? "" : ` (${others.join(", ")})`;
  throw new PowerError(
    "no-switch",
    `Hub ${hub} switches its ${descriptor.ports} ports together: port ${port} alone keeps its power.`,
    { hint: `All others${all} would lose power too. ${instead}` },
  );
}

async function switchPort(
  port: HubPort,
  usbPort: string,
  on: boolean,
  options: HubOptions & { signal?: AbortSignal | undefined },
): Promise<void> {
  if (port.switches.length === 0) return uhubctl(port, on, options);
  try {
    switchHubPort(port, on);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const denied = code === "EACCES" || code === "EPERM";
    throw new PowerError(
      "switch-failed",
      denied
        ? `You have no permission to switch the power of USB port ${usbPort}.`
        : `The kernel does not switch USB port ${usbPort}: ${(cause as Error).message}.`,
      { cause, ...(denied ? { hint: "Run bootproof setup-udev --hub-power --install as root once." } : {}) },
    );
  }
}

/** uhubctl's name for a hub: as the kernel's, and the bus number for a root hub. */
async function uhubctl(
  { hub, port }: HubPort,
  on: boolean,
  {
    signal,
    run = (program, args, how) => runProgram(program, args, { signal: how }),
  }: HubOptions & {
    signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const location = hub.replace(/^usb/, "");
  // -l always: without it uhubctl looks at every hub of the machine and refuses to choose. -r 1: once is enough.
  const args = ["-l", location, "-p", `${port}`, "-a", on ? "on" : "off", "-r", "1"];
  const { status, said } = await run("uhubctl", args, signal).catch((cause: unknown) => {
    signal?.throwIfAborted();
    throw new PowerError("no-switch", `Nothing here can switch port ${port} of hub ${hub}.`, {
      cause,
      hint: `The system offers no switch for it (Linux 6.0 and later do) and uhubctl is not installed${
        process.platform === "linux" ? " (apt-get install uhubctl)" : ""
      }. Or describe a relay or a command under power in the config file.`,
    });
  });
  if (status === 0) return;
  throw new PowerError(
    "switch-failed",
    `uhubctl ${args.join(" ")} ended with ${status}. Its output: ${said.trim()}`,
    {
      hint: "It also reports this if the hub cannot switch single ports.",
    },
  );
}
