import { TransportError } from "../../../src/transport/transport.js";
import { readInterfaces, readText } from "../../../src/transport/usb-descriptors.js";
import {
  type UsbFound,
  type UsbHandle,
  type UsbRequest,
  UsbTransferError,
} from "../../../src/transport/usb-handle.js";
import { DESCRIPTOR } from "./descriptors.js";
import type { EmulatedDevice, Setup } from "./device.js";

/** USB 2.0, table 9-2: bits of bmRequestType. */
const TYPE = { standard: 0x00, class: 0x20, vendor: 0x40 } as const;
const RECIPIENT = { device: 0, interface: 1 } as const;

/**
 * An emulated device as the USB library would show it, without a bus between: its control requests reach it as they are.
 * For what is said to a device; what happens on the way is the USB machine's.
 */
export function directCable(device: EmulatedDevice): UsbFound {
  const { vendorId, productId, release, manufacturer, product, serialNumber } = device.shape;
  const facts = { vendorId, productId, release, manufacturer, product, serialNumber, usbPort: "1-4" };
  const found: UsbFound = { ...facts, open: async () => handleOf(device, () => found) };
  return found;
}

function handleOf(device: EmulatedDevice, found: () => UsbFound): UsbHandle {
  device.configured();
  const ask = (request: UsbRequest, toHost: boolean, length: number, data: Uint8Array): Uint8Array => {
    const direction = toHost ? 0x80 : 0;
    const requestType = direction | TYPE[request.type] | RECIPIENT[request.recipient];
    const setup: Setup = {
      requestType,
      request: request.request,
      value: request.value,
      index: request.index,
      length,
    };
    const answer = device.control(setup, data);
    if (answer === "stall") throw new UsbTransferError("stalled", "It refused a request.");
    return answer;
  };
  const noBulk = () =>
    Promise.reject(new TransportError("failed", "direct cable", "It has control requests only."));
  return {
    found: found(),
    interfaces: readInterfaces(device.descriptor(DESCRIPTOR.configuration, 0)!),
    text: async (index) => readText(device.descriptor(DESCRIPTOR.string, index) ?? new Uint8Array(0)),
    claim: async () => {},
    selectAlternate: async (number, alternate) => device.alternateSelected(number, alternate),
    controlIn: async (request, length) => ask(request, true, length, new Uint8Array(0)),
    controlOut: async (request, bytes) => void ask(request, false, bytes.length, bytes),
    bulkIn: noBulk,
    bulkOut: noBulk,
    reset: async () => device.configured(),
    close: async () => {},
  };
}
