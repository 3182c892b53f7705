import { TransportError } from "./transport.js";

/**
 * The door to the packages with native parts. They are loaded when a port or device is asked for, so that a machine on which
 * they do not load, with another system's node_modules, musl or Wine, still does all that needs none of them.
 */

/** The package `serialport`. Throws {@link TransportError} `no-driver`. */
export async function loadSerialport(): Promise<typeof import("serialport")> {
  return import("serialport").catch((cause: unknown) => {
    throw doesNotLoad("serialport", "Serial ports cannot be opened", cause);
  });
}

/** The package `usb`. Throws {@link TransportError} `no-driver`. */
export async function loadUsb(): Promise<typeof import("usb")> {
  return import("usb").catch((cause: unknown) => {
    throw doesNotLoad("usb", "USB devices cannot be seen or opened", cause);
  });
}

function doesNotLoad(name: string, what: string, cause: unknown): TransportError {
  const said = cause instanceof Error ? cause.message.split(/\.? *\n|\. /, 1)[0]! : String(cause);
  return new TransportError(
    "no-driver",
    name,
    `${what} here: the native part of the package ${name} does not load (${said.replace(/\.$/, "")}).`,
    {
      cause,
      hint: `Was node_modules copied from another system? Remove it and run npm ci on this one. There are builds of ${name} for Linux (glibc), macOS and Windows.`,
    },
  );
}
