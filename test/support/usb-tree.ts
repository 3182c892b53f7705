import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { LinuxRoots } from "../../src/transport/linux.js";

/** One interface as the kernel shows it; `tty` when a serial driver has taken it. */
export interface TreeInterface {
  number: number;
  /** Class, subclass, protocol in hex: "02 02 00". */
  triple: string;
  name?: string;
  driver?: string;
  /** ttyACM names sit at the interface, ttyUSB names one folder deeper. */
  tty?: string;
}

export interface TreeDevice {
  vendorId: string;
  productId: string;
  product?: string;
  manufacturer?: string;
  serial?: string;
  deviceClass?: string;
  interfaces?: TreeInterface[];
}

/** A machine's sysfs, /dev, /proc and /etc in a temporary folder, laid out as Linux 6.1 does. */
export class UsbTree {
  readonly home = mkdtempSync(join(tmpdir(), "usb-tree-"));
  readonly roots: LinuxRoots = {
    sys: join(this.home, "sys"),
    dev: join(this.home, "dev"),
    proc: join(this.home, "proc"),
    etc: join(this.home, "etc"),
  };
  #devnum = 1;
  readonly #plugged = new Map<string, TreeDevice>();

  /** Plugs a device into a port such as `1-1.4`; each time the kernel gives it a new number. */
  plug(usbPort: string, device: TreeDevice): void {
    const bus = usbPort.split("-")[0]!;
    const devnum = ++this.#devnum;
    const folder = `sys/devices/pci0000:00/usb${bus}/${usbPort}`;
    this.#plugged.set(usbPort, device);
    const facts = {
      idVendor: device.vendorId,
      idProduct: device.productId,
      product: device.product,
      manufacturer: device.manufacturer,
      serial: device.serial,
      bDeviceClass: device.deviceClass ?? "ef",
      busnum: bus,
      devnum: `${devnum}`,
    };
    for (const [name, value] of Object.entries(facts))
      if (value !== undefined) this.file(`${folder}/${name}`, `${value}\n`);
    for (const one of device.interfaces ?? []) this.#plugInterface(folder, usbPort, one);
    this.link(`sys/bus/usb/devices/${usbPort}`, folder);
    this.file(`dev/bus/usb/${bus.padStart(3, "0")}/${`${devnum}`.padStart(3, "0")}`);
  }

  unplug(usbPort: string): void {
    const device = this.#plugged.get(usbPort);
    const folder = join(this.home, `sys/devices/pci0000:00/usb${usbPort.split("-")[0]}/${usbPort}`);
    for (const { tty } of device?.interfaces ?? []) {
      if (tty === undefined) continue;
      rmSync(join(this.home, "dev", tty), { force: true });
      rmSync(join(this.home, "sys/class/tty", tty), { recursive: true, force: true });
    }
    rmSync(join(this.roots.sys, "bus/usb/devices", usbPort), { force: true });
    rmSync(folder, { recursive: true, force: true });
    this.#plugged.delete(usbPort);
  }

  file(path: string, content = ""): void {
    mkdirSync(dirname(join(this.home, path)), { recursive: true });
    writeFileSync(join(this.home, path), content);
  }

  link(path: string, target: string): void {
    mkdirSync(dirname(join(this.home, path)), { recursive: true });
    mkdirSync(join(this.home, target), { recursive: true });
    symlinkSync(join(this.home, target), join(this.home, path));
  }

  dev(name: string): string {
    return join(this.roots.dev, name);
  }

  remove(): void {
    rmSync(this.home, { recursive: true, force: true });
  }

  #plugInterface(device: string, usbPort: string, one: TreeInterface): void {
    const folder = `${device}/${usbPort}:1.${one.number}`;
    const [classCode, subclass, protocol] = one.triple.split(" ");
    const facts = {
      bInterfaceNumber: one.number.toString(16).padStart(2, "0"),
      bInterfaceClass: classCode,
      bInterfaceSubClass: subclass,
      bInterfaceProtocol: protocol,
      interface: one.name,
    };
    for (const [name, value] of Object.entries(facts))
      if (value !== undefined) this.file(`${folder}/${name}`, `${value}\n`);
    if (one.driver !== undefined) this.link(`${folder}/driver`, `sys/bus/usb/drivers/${one.driver}`);
    if (one.tty === undefined) return;
    const place = one.tty.startsWith("ttyUSB") ? `${folder}/${one.tty}` : folder;
    this.link(`sys/class/tty/${one.tty}/device`, place);
    this.file(`dev/${one.tty}`);
  }
}

/** A CDC-ACM pair: control interface with the tty, data interface behind it. */
export function cdc(number: number, tty: string | undefined, name?: string): TreeInterface[] {
  const named = name === undefined ? {} : { name };
  return [
    {
      number,
      triple: "02 02 00",
      ...named,
      ...(tty === undefined ? {} : { driver: "cdc_acm", tty }),
    },
    { number: number + 1, triple: "0a 00 00", ...(tty === undefined ? {} : { driver: "cdc_acm" }) },
  ];
}

/** A board with Zephyr's USB stack and two serial ports. */
export const zephyrBoard = (serial: string, ttys: [string, string] = ["ttyACM0", "ttyACM1"]): TreeDevice => ({
  vendorId: "2fe3",
  productId: "0004",
  product: "CDC ACM serial backend",
  manufacturer: "Zephyr Project",
  serial,
  interfaces: [...cdc(0, ttys[0], "SMP"), ...cdc(2, ttys[1], "Log console")],
});

/** The same board in MCUboot's recovery: another product, one port. */
export const recoveryBoard = (serial: string | undefined, tty = "ttyACM0"): TreeDevice => ({
  vendorId: "2fe3",
  productId: "0100",
  product: "MCUBOOT",
  manufacturer: "ZEPHYR",
  ...(serial === undefined ? {} : { serial }),
  interfaces: cdc(0, tty),
});
