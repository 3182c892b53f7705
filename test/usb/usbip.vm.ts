import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import { boardVariant, fixtureKeyPath } from "../../src/emulator/catalog.js";
import { signedFixture } from "../../src/emulator/signed-fixture.js";
import { startBoard } from "../../src/emulator/start.js";
import { EchoDevice } from "../support/usb/echo.js";
import { hubDevice, PowerHub } from "../support/usb/hub.js";
import { SMP_INTERFACE, UsbBoard } from "../support/usb/usb-board.js";
import { UsbipPort } from "../support/usb/usbip-port.js";
import { UsbipServer } from "../support/usb/usbip-server.js";
import { eventually, fileAppears, fileDisappears } from "../support/usb-vm/eventually.js";
import { HOST, UsbMachine } from "../support/usb-vm/machine.js";

const why = inject("noUsbMachine");
const TTY = "/dev/serial/by-id/usb-Bootproof_Echo_E1-if00";
const BOARD = "/dev/serial/by-id/usb-Bootproof_Bootproof_board_LAB-1-if00";
/** Real chips are gone from the bus this soon; by usbredir QEMU's controller does not survive it. */
const AT_ONCE_MS = 30;

/** The same devices by the other way in: the kernel's own USB/IP host controller and Debian's usbip tool judge our server. */
describe.skipIf(why !== "")(`Devices over USB/IP${why && `: ${why}`}`, () => {
  let machine: UsbMachine;
  let server: UsbipServer;
  const ports: UsbipPort[] = [];
  beforeAll(async () => {
    machine = await UsbMachine.shared();
    server = await UsbipServer.listen();
    expect(await machine.run(["modprobe", "vhci_hcd"])).toMatchObject({ code: 0 });
  });
  afterEach(async () => {
    for (const port of ports.splice(0)) await port.close();
    await eventually("nothing is attached", async () => (await attached()) === "" || undefined);
    expect(machine.uncaught.splice(0)).toEqual([]);
  });
  afterAll(async () => {
    await server?.close();
    await machine?.run(["modprobe", "-r", "vhci_hcd"]);
  });

  const tool = (...words: string[]) =>
    machine.run(["usbip", "--tcp-port", `${server.port}`, ...words, "-r", HOST]);
  /** Devices on the buses of vhci_hcd, which are those after the first two; the root hubs are its own. */
  const attached = async () =>
    (await machine.run(["sh", "-c", "ls /sys/bus/usb/devices | grep -E '^([3-9]|1[0-9])-[0-9]+$'"])).stdout;
  const exchange = (address: string, bytes: Uint8Array) =>
    machine.call<string>("serial", "exchange", [address, Buffer.from(bytes).toString("hex"), bytes.length]);

  function port(busId: string): UsbipPort {
    const made = new UsbipPort(machine, server, busId);
    ports.push(made);
    return made;
  }

  it("lists them for the usbip tool, and says no to one that is not there", async () => {
    server.offer("1-1", new EchoDevice({ serialNumber: "E1" }));
    const { stdout } = await tool("list");
    expect(stdout).toMatch(/1-1: .*2fe3:0001/);
    expect(stdout).toContain("0 - "); // its interfaces, by their classes
    expect((await tool("attach", "-b", "7-7")).code).not.toBe(0);
    server.withdraw("1-1");
  });

  it("returns every byte through the kernel's driver and through the USB library, and can be pulled", async () => {
    const echo = new EchoDevice({ serialNumber: "E1" });
    const socket = port("1-1");
    await socket.plug(echo);
    await fileAppears(machine, TTY);
    for (const address of [`serial:${TTY}`, "usb:2fe3:0001:E1"])
      for (const length of [1, 63, 64, 65, 3000]) {
        const bytes = Uint8Array.from({ length }, (_, index) => index * 7);
        const heard = await exchange(address, bytes);
        expect(heard, `${address}, ${length} bytes`).toBe(Buffer.from(bytes).toString("hex"));
      }
    await fileAppears(machine, TTY);
    const outcome = machine.call("serial", "listenToTheEnd", [`serial:${TTY}`]);
    await eventually("the port is open", () => echo.acm.lines.dtr || undefined);
    await socket.unplug();
    expect(await outcome).toBe("lost");
    expect(echo.acm.lines.dtr).toBe(false);
    await fileDisappears(machine, TTY);
  });

  it("updates a board that is gone from the bus the moment it restarts", async () => {
    const variant = boardVariant("good");
    await machine.write("/tmp/image.bin", await signedFixture("good-b", "qemu", variant));
    await machine.write("/tmp/key.pem", readFileSync(fixtureKeyPath(variant.keys[0]!)));
    const board = await UsbBoard.build(await startBoard({ machine: "qemu", variant: "good" }), port("1-1"), {
      serialNumber: "LAB-1",
      restartMs: AT_ONCE_MS,
    });
    try {
      await board.plug();
      await fileAppears(machine, BOARD);
      const address = `usb:2fe3:0004:LAB-1?interface=${SMP_INTERFACE}`;
      const words = ["flash", "/tmp/image.bin", "--key", "/tmp/key.pem", "--json", "-d", address];
      const end = await machine.bootproof(words);
      expect({ ...end, stderr: end.stderr.slice(-2000) }).toMatchObject({ code: 0 });
      expect(JSON.parse(end.stdout)).toMatchObject({ outcome: "confirmed" });
    } finally {
      await board.close();
    }
  });

  it("switches both halves of a USB 3 hub together, by uhubctl's judgement", async () => {
    const halves = { full: new PowerHub(4, "per-port", "full"), super: new PowerHub(4, "per-port", "super") };
    const switched: string[] = [];
    for (const half of Object.values(halves))
      half.onPower = (number, on) => switched.push(`${half.speed} ${number} ${on ? "on" : "off"}`);
    await port("1-1").plug(hubDevice(halves.full));
    await port("1-2").plug(hubDevice(halves.super));
    for (const half of Object.values(halves))
      await eventually("all ports have power", () => half.isOn(4) || undefined);
    // The kernel gave both the same place, and knows them for one box by that.
    const hubs = (await attached()).trim().split("\n");
    // Bus numbers are those that were free.
    expect(hubs).toEqual([expect.stringMatching(/^\d+-1$/), expect.stringMatching(/^\d+-1$/)]);
    const [usb2] = hubs;
    await fileAppears(machine, `/sys/bus/usb/devices/${usb2}:1.0/${usb2}-port2/peer`);
    switched.length = 0;
    const power = (...words: string[]) =>
      machine.bootproof(["power", ...words, "--hub", `${usb2}.2`, "-d", "tcp:127.0.0.1:9"]);
    expect(await power("off")).toMatchObject({ code: 0 });
    expect(switched.splice(0).sort()).toEqual(["full 2 off", "super 2 off"]);
    for (const hub of hubs)
      expect((await machine.run(["uhubctl", "-e", "-l", hub, "-p", "2"])).stdout).toMatch(/Port 2: 0\d+ off/);
    expect(await power("on")).toMatchObject({ code: 0 });
    expect(switched.sort()).toEqual(["full 2 on", "super 2 on"]);
  });
});
