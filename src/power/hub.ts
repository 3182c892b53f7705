import type { LinuxRoots } from "../transport/linux.js";
import { type HubPort, hubPort, neighboursOn, switchHubPort } from "../transport/linux-hub.js";
import { type ProgramEnd, runProgram } from "./command.js";
import { PowerError, type PowerSwitch } from "./power.js";

export interface HubOptions {
  /** For tests: where the kernel's trees are. */
  roots?: LinuxRoots | undefined;
  /** For tests: runs uhubctl. */
  run?: ((program: string, args: readonly string[], signal?: AbortSignal) => Promise<ProgramEnd>) | undefined;
}

/**
 * Switches the power of a USB port: by the kernel where it can (Linux 6.0 and later), both halves of a USB 3 socket
 * together; else by uhubctl when that is installed. Many hubs say that they can and leave the power on, so a switch proves
 * nothing: see `testPower`. Throws {@link PowerError} `no-switch`.
 */
export function hubSwitch(usbPort: string, options: HubOptions = {}): PowerSwitch {
  const found = hubPort(usbPort, options.roots);
  if (found === undefined)
    throw new PowerError("no-switch", `"${usbPort}" is no USB port.`, { hint: 'Write it as "1-1.4".' });
  const name = `port ${found.port} of hub ${found.hub}`;
  const others = neighboursOn(usbPort, options.roots);
  const also =
    others.length === 0
      ? ""
      : ` If the hub switches all ports at once, these go with it: ${others.join(", ")}.`;
  const act = (on: boolean) => (signal?: AbortSignal) =>
    switchPort(found, usbPort, on, { ...options, signal });
  return {
    name,
    describe: (action) => `Switch ${name} ${action}.${action === "off" ? also : ""}`,
    on: act(true),
    off: act(false),
  };
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
        ? `You may not switch the power of USB port ${usbPort}.`
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
      hint: "The kernel offers no switch for it (Linux 6.0 and later do) and uhubctl is not installed (apt-get install uhubctl). Or describe a relay or a command under power in the config file.",
    });
  });
  if (status === 0) return;
  throw new PowerError(
    "switch-failed",
    `uhubctl ${args.join(" ")} ended with ${status}. It said: ${said.trim()}`,
    {
      hint: "It says so too when the hub does not switch ports one by one.",
    },
  );
}
