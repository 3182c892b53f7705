import { BootproofError } from "../errors.js";
import { findUsb } from "./usb.js";
import { UsbTransferError } from "./usb-handle.js";

/** USB 2.0, table 11-15: GetHubDescriptor. */
const GET_DESCRIPTOR = 6;
const LONGEST = 71;

/**
 * The descriptor that the hub at `usbPort` (`1-1`) gives for one of these types, asked of the hub itself; it changes
 * nothing. Undefined when it cannot be asked: root hubs belong to the kernel, others may be closed to this user.
 */
export async function askHubDescriptor(
  usbPort: string,
  types: readonly number[],
): Promise<Uint8Array | undefined> {
  const [hub] = await findUsb({ usbPort });
  if (hub === undefined) return undefined;
  try {
    const handle = await hub.open();
    try {
      for (const type of types) {
        const request = { type: "class", recipient: "device", request: GET_DESCRIPTOR } as const;
        const asked = handle.controlIn({ ...request, value: type << 8, index: 0 }, LONGEST);
        const bytes = await asked.catch((error: unknown) => {
          // A hub of the other kind: it has no such descriptor.
          if (error instanceof UsbTransferError) return undefined;
          throw error;
        });
        if (bytes !== undefined && bytes.length > 0) return bytes;
      }
      return undefined;
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!(error instanceof BootproofError)) throw error;
    return undefined;
  }
}
