import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import { toHex } from "../../src/bytes.js";
import { boardVariant, fixtureKeyPath } from "../../src/emulator/catalog.js";
import { LAYOUT, slotOffset } from "../../src/emulator/layout.js";
import { signedFixture } from "../../src/emulator/signed-fixture.js";
import { startBoard } from "../../src/emulator/start.js";
import { Ftdi, ftdiDevice } from "../support/usb/ftdi.js";
import { hubDevice, PowerHub } from "../support/usb/hub.js";
import { RedirPort } from "../support/usb/redir-port.js";
import { UsbBoard, type UsbBoardOptions } from "../support/usb/usb-board.js";
import { eventually, fileAppears, fileDisappears } from "../support/usb-vm/eventually.js";
import { UsbMachine } from "../support/usb-vm/machine.js";

const why = inject("noUsbMachine");
/** How long a cable stays out; the kernel needs half a second to see it. */
const OUT_MS = 1500;
/** Longer than MCUboot's: the computer that has to see the bootloader is emulated. */
const WINDOW_MS = 4000;
const APPLICATION = (serialNumber: string) =>
  `/dev/serial/by-id/usb-Bootproof_Bootproof_board_${serialNumber}-if00`;

/** What the user's config file says of boards that are wired in their own ways. */
const CONFIG = {
  keys: ["/tmp/key.pem"],
  profiles: [
    {
      id: "touchy",
      name: "Touchy board",
      target: [{ vendorId: "2fe3", productId: "0004" }],
      enter: [{ baudRate: 1200 }, { close: true, waitMs: 100 }],
    },
    {
      id: "wired",
      name: "Wired board",
      lines: { reason: "DTR and RTS are wired to boot pin and reset, crosswise.", dtr: false, rts: false },
      enter: [{ dtr: false, rts: true, waitMs: 50 }, { dtr: true, rts: false, waitMs: 50 }, { dtr: false }],
    },
  ],
  boards: {
    touchy: { device: "LAB-3", profile: "touchy" },
    wired: { device: "FT7", profile: "wired" },
    hung: { device: "LAB-5", power: { hub: "1-5.2" } },
  },
};

describe.skipIf(why !== "")(`A board that does not boot, on USB${why && `: ${why}`}`, () => {
  let machine: UsbMachine;
  let ports: RedirPort[];
  const plugged: UsbBoard[] = [];
  beforeAll(async () => {
    machine = await UsbMachine.shared();
    ports = [new RedirPort(machine, "4"), new RedirPort(machine, "5")];
    const variant = boardVariant("good");
    await machine.write("/tmp/image.bin", await signedFixture("good-b", "qemu", variant));
    await machine.write("/tmp/key.pem", readFileSync(fixtureKeyPath(variant.keys[0]!)));
    await machine.write("/tmp/.bootproof.json", Buffer.from(JSON.stringify(CONFIG)));
    await machine.bootproof(["allow"], { cwd: "/tmp" });
  });
  afterEach(async () => {
    for (const board of plugged.splice(0)) await board.close();
    for (const port of ports) await port.unplug();
    for (const name of ["1-4", "1-5"]) await fileDisappears(machine, `/sys/bus/usb/devices/${name}`);
    expect(machine.uncaught.splice(0)).toEqual([]);
  });
  afterAll(async () => {
    await machine?.run(["rm", "-f", "/tmp/.bootproof.json"]);
    for (const port of ports ?? []) await port.close();
  });

  /** A board with power, plugged in. `bricked`: nothing that could be started is in its primary slot. */
  async function plug(at: number, options: UsbBoardOptions & { bricked?: boolean } = {}): Promise<UsbBoard> {
    const { bricked = false, ...rest } = options;
    const board = await startBoard({ machine: "qemu", variant: "good", off: true });
    if (bricked) board.writeFlash(slotOffset(0, 0), new Uint8Array(LAYOUT.slotSize).fill(0xff));
    const usb = await UsbBoard.build(board, ports[at]!, rest);
    plugged.push(usb);
    await board.powerOn();
    if (bricked) await board.log.waitFor(/: recovery, value/, { from: 0 });
    await usb.plug();
    return usb;
  }

  /** The board hangs on port 2 of it and has no other supply. What it switches from now on. */
  async function plugHubUnder(usb: UsbBoard): Promise<string[]> {
    const hub = new PowerHub(4);
    const switched: string[] = [];
    hub.onPower = (number, on) => {
      if (number !== 2) return;
      switched.push(on ? "on" : "off");
      void (on ? usb.board.powerOn().then(() => usb.plug()) : usb.board.powerOff());
    };
    await ports[1]!.plug(hubDevice(hub));
    await eventually("the hub's ports have power", () => hub.isOn(4) || undefined);
    switched.length = 0;
    return switched;
  }

  const bootproof = (words: readonly string[]) => machine.bootproof(words, { cwd: "/tmp" });
  const recover = (...words: string[]) => bootproof(["recover", "/tmp/image.bin", "--json", ...words]);
  const states = async () => {
    const { stdout } = await bootproof(["devices", "--json"]);
    const { devices } = JSON.parse(stdout) as { devices: { usbPort?: string; state: string }[] };
    // The machine's own UART is a device as well.
    return Object.fromEntries(
      devices.flatMap(({ usbPort, state }) => (usbPort === undefined ? [] : [[usbPort, state]])),
    );
  };
  const flashOf = (one: UsbBoard) => toHex(one.board.readFlash(0, LAYOUT.flashSize));

  it.each([
    ["the kernel's driver", `serial:${APPLICATION("LAB-1")}`],
    ["the USB library", "usb:2fe3:0004:LAB-1?interface=0"],
  ])(
    "restarts into a bootloader that is another device on the bus, and comes back with the image: %s",
    async (_, address) => {
      const usb = await plug(0, { serialNumber: "LAB-1" });
      await fileAppears(machine, APPLICATION("LAB-1"));
      const modes: string[] = [];
      usb.onReceived = () => void (modes.at(-1) !== usb.mode && modes.push(usb.mode));
      const end = await recover("-d", address, "--yes", "--although-alive");
      expect({ ...end, stderr: end.stderr.slice(-2000) }).toMatchObject({ code: 0 });
      expect(JSON.parse(end.stdout)).toMatchObject({
        outcome: "recovered",
        method: "smp-reset",
        flash: { outcome: "running" },
      });
      // It was asked as the application, written as the bootloader, and answered as the application again.
      expect(modes).toEqual(["application", "recovery", "application"]);
    },
  );

  it("is told apart from its twin by its place, and goes on when the cable is pulled in the middle", async () => {
    const board = await plug(0, { serialNumber: "LAB-1", anonymousInRecovery: true, bricked: true });
    const twin = await plug(1, { serialNumber: "LAB-2", anonymousInRecovery: true, bricked: true });
    await fileAppears(machine, "/dev/ttyACM1");
    expect(await states()).toEqual({ "1-4": "mcuboot-recovery", "1-5": "mcuboot-recovery" });
    const before = flashOf(twin);
    const guess = await recover("-d", "2fe3:0100");
    expect(guess.code).not.toBe(0);
    expect(guess.stderr).toContain("2 devices match");
    board.onReceived = (total) => {
      if (total < 12_000) return;
      board.onReceived = () => {};
      void board.unplug().then(() => setTimeout(() => void board.plug(), OUT_MS));
    };
    const end = await recover("-d", "1-4");
    expect({ ...end, stderr: end.stderr.slice(-2000) }).toMatchObject({ code: 0 });
    expect(JSON.parse(end.stdout)).toMatchObject({ outcome: "recovered", method: "listen" });
    expect(end.stderr).toContain("The link was lost");
    // It shows its own name again; whoever had followed the serial number of before would have lost it.
    await fileAppears(machine, APPLICATION("LAB-1"));
    expect(twin.received).toBe(0);
    expect(flashOf(twin)).toBe(before);
  });

  it("leaves a deaf application when its port is touched at 1200 baud", async () => {
    const usb = await plug(0, { serialNumber: "LAB-3", bricked: true, isDeaf: true });
    usb.smp.onTouch = () => usb.enterRecovery();
    await fileAppears(machine, APPLICATION("LAB-3"));
    const end = await recover("-d", "touchy", "--timeout", "300");
    expect({ ...end, stderr: end.stderr.slice(-2000) }).toMatchObject({ code: 0 });
    expect(JSON.parse(end.stdout)).toMatchObject({ outcome: "recovered", method: "touch-1200" });
  });

  it("is reset with its boot pin held by an adapter's DTR and RTS", async () => {
    const board = await startBoard({ machine: "qemu", variant: "good", off: true });
    board.writeFlash(slotOffset(0, 0), new Uint8Array(LAYOUT.slotSize).fill(0xff));
    await board.powerOn();
    const uart = await board.connect();
    const ftdi = new Ftdi();
    let bootPinAtReset: boolean | undefined;
    let inReset = false;
    ftdi.onLines = ({ dtr, rts }) => {
      const reset = rts && !dtr;
      if (inReset && !reset) {
        bootPinAtReset = dtr && !rts;
        void board.reset();
      }
      inReset = reset;
    };
    // Started in any other way it hangs before it listens to anybody.
    ftdi.onData = (bytes) => (bootPinAtReset ? uart.write(bytes) : undefined);
    const forward = (async () => {
      for await (const chunk of uart.chunks) if (bootPinAtReset) ftdi.send(chunk);
    })().catch(() => {});
    try {
      await ports[0]!.plug(ftdiDevice(ftdi, "FT7"));
      await fileAppears(machine, "/dev/ttyUSB0");
      const end = await recover("-d", "wired", "--timeout", "300");
      expect({ ...end, stderr: end.stderr.slice(-2000) }).toMatchObject({ code: 0 });
      expect(JSON.parse(end.stdout)).toMatchObject({ outcome: "recovered", method: "lines" });
      expect(bootPinAtReset).toBe(true);
    } finally {
      await board.close();
      await forward;
    }
  });

  it("is caught in its bootloader's window after its hub's port was switched off and on", async () => {
    const usb = await plug(0, { serialNumber: "LAB-5", bricked: true, isDeaf: true, windowMs: WINDOW_MS });
    const switched = await plugHubUnder(usb);
    // Nobody knocks at its first start, so what hangs is running.
    await fileAppears(machine, APPLICATION("LAB-5"));
    expect(await states()).toMatchObject({ "1-4": "application" });
    const end = await recover("-d", "hung", "--timeout", "300");
    expect({ ...end, stderr: end.stderr.slice(-2000) }).toMatchObject({ code: 0 });
    expect(JSON.parse(end.stdout)).toMatchObject({ outcome: "recovered", method: "power-cycle" });
    expect(end.stderr).toContain("port 2 of hub 1-5");
    expect(switched).toEqual(["off", "on"]);
  });

  it("loses its power at a hub's port, which is proved by the board, and comes back", async () => {
    const usb = await plug(0, { serialNumber: "LAB-1" });
    await plugHubUnder(usb);
    await fileAppears(machine, APPLICATION("LAB-1"));
    // The button: its count of starts since it got power tells the loss of power from a mere absence.
    const number = async () => (await machine.run(["cat", "/sys/bus/usb/devices/1-4/devnum"])).stdout;
    const before = await number();
    await usb.board.reset();
    // It is gone for less than a look may take; what stays is that it is another device on the bus.
    await eventually("the board was enumerated again", async () => {
      const now = await number();
      return (now !== "" && now !== before) || undefined;
    });
    await machine.run(["udevadm", "settle"]);
    await fileAppears(machine, APPLICATION("LAB-1"));
    const end = await bootproof(["power", "test", "--hub", "1-5.2", "-d", "LAB-1", "--json"]);
    expect({ ...end, stderr: end.stderr.slice(-2000) }).toMatchObject({ code: 0 });
    expect(JSON.parse(end.stdout)).toMatchObject({
      ...{ proved: true, restarted: true, switch: "port 2 of hub 1-5" },
    });
  });
});
