import { HOST, type UsbMachine } from "../usb-vm/machine.js";
import type { EmulatedDevice } from "./device.js";
import type { UsbPort } from "./port.js";
import type { UsbipServer } from "./usbip-server.js";

/** A socket whose devices reach the machine by USB/IP: its own `usbip` tool attaches them. */
export class UsbipPort implements UsbPort {
  readonly busId: string;
  readonly #machine: UsbMachine;
  readonly #server: UsbipServer;
  #device: EmulatedDevice | undefined;

  /** The machine inside gives out places as devices come; `busId` is only the name under which they are offered. */
  constructor(machine: UsbMachine, server: UsbipServer, busId: string) {
    this.#machine = machine;
    this.#server = server;
    this.busId = busId;
  }

  get device(): EmulatedDevice | undefined {
    return this.#device;
  }

  async plug(device: EmulatedDevice): Promise<void> {
    this.#device = device;
    this.#server.offer(this.busId, device);
    const at = ["--tcp-port", `${this.#server.port}`, "attach", "-r", HOST, "-b", this.busId];
    const { code, stderr } = await this.#machine.run(["usbip", ...at]);
    if (code !== 0) throw new Error(`usbip attach: ${stderr}`);
  }

  async unplug(): Promise<void> {
    this.#device = undefined;
    this.#server.withdraw(this.busId);
  }

  close(): Promise<void> {
    return this.unplug();
  }
}
