import type { PipeAddress, PortAddress, SerialAddress } from "../transport/address.js";
import { openStream } from "../transport/open-stream.js";
import type { ByteStream } from "../transport/transport.js";
import { type ListDevicesOptions, listDevices } from "./list.js";
import { selectDevice, smpPort } from "./select.js";

/**
 * Opens the pipe at `address`. A `port:` address means a device by what it is, and its SMP port is found first.
 *
 * @param address - of a pipe, by `parseAddress`
 * @param options - `signal` aborts with its own reason; names and profiles of boards that are known
 * @returns open; close it when done
 * @throws {@link SelectionError} when the device is none or several, `TransportError`; abort throws the signal's reason
 */
export async function openPipe(address: PipeAddress, options: ListDevicesOptions = {}): Promise<ByteStream> {
  const { signal } = options;
  return openStream(address.kind === "port" ? await locate(address, options) : address, { signal });
}

/**
 * Where the port is now that `address` means: by serial number, USB port, link in /dev/serial/by-id, VID:PID, board or
 * product name. Throws {@link SelectionError}.
 */
export async function locate(
  { selector, usbInterface, kind: _, ...line }: PortAddress,
  options: ListDevicesOptions = {},
): Promise<SerialAddress> {
  const selected = selectDevice(selector, await listDevices(options), usbInterface);
  const { path } = smpPort(selected.device, selected.usbInterface);
  return { ...line, kind: "serial", path };
}
