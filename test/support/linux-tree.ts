import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { LinuxRoots } from "../../src/transport/linux.js";

/** A temporary folder with the kernel's trees in it, for boards that are not there. */
export class LinuxTree {
  readonly home = mkdtempSync(join(tmpdir(), "ports-"));
  readonly roots: LinuxRoots = {
    sys: join(this.home, "sys"),
    dev: join(this.home, "dev"),
    proc: join(this.home, "proc"),
    etc: join(this.home, "etc"),
  };

  file(path: string, content = ""): void {
    mkdirSync(dirname(join(this.home, path)), { recursive: true });
    writeFileSync(join(this.home, path), content);
  }

  folderLink(path: string, target: string): void {
    mkdirSync(dirname(join(this.home, path)), { recursive: true });
    mkdirSync(join(this.home, target), { recursive: true });
    symlinkSync(join(this.home, target), join(this.home, path));
  }

  /** The link that udev makes from what the board calls itself. */
  linkById(name: string, tty: string): void {
    mkdirSync(join(this.home, "dev/serial/by-id"), { recursive: true });
    symlinkSync(`../../${tty}`, join(this.home, "dev/serial/by-id", name));
  }

  /** As the kernel lays out a CDC-ACM interface: the tty's device is the interface folder, its parent the USB device. */
  plugBoard(tty: string, usbPort: string, strings: Record<string, string>, usbInterface = "00"): void {
    const device = `sys/devices/pci0000:00/0000:00:14.0/usb1/${usbPort}`;
    const part = `${device}/${usbPort}:1.${Number.parseInt(usbInterface, 16)}`;
    this.folderLink(`sys/class/tty/${tty}/device`, part);
    this.file(`${part}/bInterfaceNumber`, `${usbInterface}\n`);
    for (const [name, value] of Object.entries(strings)) this.file(`${device}/${name}`, `${value}\n`);
    this.file(`dev/${tty}`);
  }

  remove(): void {
    rmSync(this.home, { recursive: true });
  }
}
