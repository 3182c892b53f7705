import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { UsbMachine } from "../usb-vm/machine.js";
import type { EmulatedDevice } from "./device.js";
import type { UsbPort } from "./port.js";
import { RedirSession } from "./redir-session.js";

/** QEMU takes a new device for a fault of the old one when it follows at once. */
const GAP_MS = 150;

let counter = 0;

/** A socket of the machine, or of a hub in it, into which emulated devices are plugged. */
export class RedirPort implements UsbPort {
  /** As QEMU numbers it: `4`, or `1.2` behind the hub on 1. The kernel inside says `1-4`, `1-1.2`. */
  readonly port: string;
  readonly #machine: UsbMachine;
  readonly #id = `redir${counter++}`;
  readonly #folder = mkdtempSync(join(tmpdir(), "usb-port-"));
  #session: RedirSession | undefined;
  #server: Server | undefined;
  #unpluggedAt = 0;

  constructor(machine: UsbMachine, port: string) {
    this.#machine = machine;
    this.port = port;
  }

  get device(): EmulatedDevice | undefined {
    return this.#session?.device;
  }

  async plug(device: EmulatedDevice): Promise<void> {
    this.#session ??= await this.#open();
    const wait = this.#unpluggedAt + GAP_MS - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    this.#session.connect(device);
  }

  /** Pulls the plug. Harmless when nothing is in it. */
  async unplug(): Promise<void> {
    if (!this.#session?.device) return;
    await this.#session.disconnect();
    this.#unpluggedAt = performance.now();
  }

  /** Takes the socket out of the machine, which stays for others. */
  async close(): Promise<void> {
    if (this.#session) {
      await this.unplug();
      await this.#machine.monitor.remove(this.#id);
      // QEMU keeps the socket's name, which nobody uses again: it lets go of it some time after the device.
      this.#session.close();
    }
    this.#server?.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #open(): Promise<RedirSession> {
    const path = join(this.#folder, "sock");
    const arrived = new Promise<Socket>((resolve) => {
      this.#server = createServer(resolve);
    });
    await new Promise<void>((resolve) => this.#server!.listen(path, resolve));
    const { monitor } = this.#machine;
    const data = { addr: { type: "unix", data: { path } }, server: false };
    await monitor.execute("chardev-add", { id: `${this.#id}c`, backend: { type: "socket", data } });
    const session = new RedirSession(await arrived);
    const words = { driver: "usb-redir", id: this.#id, chardev: `${this.#id}c`, bus: "xhci.0" };
    await monitor.execute("device_add", { ...words, port: this.port });
    await session.greeted;
    return session;
  }
}

/** Plugs QEMU's own hub of eight ports, which cannot switch power, into a root port. Returns how to pull it. */
export async function plugHub(machine: UsbMachine, port: string): Promise<() => Promise<void>> {
  const id = `hub${port}`;
  await machine.monitor.execute("device_add", { driver: "usb-hub", id, bus: "xhci.0", port });
  return () => machine.monitor.remove(id);
}
