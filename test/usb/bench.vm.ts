import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import { EchoDevice } from "../support/usb/echo.js";
import { Ftdi, ftdiDevice } from "../support/usb/ftdi.js";
import { hubDevice, PowerHub } from "../support/usb/hub.js";
import { deviceWithHostileTexts, LIES, LyingDevice } from "../support/usb/liar.js";
import { plugHub, RedirPort } from "../support/usb/redir-port.js";
import { eventually, fileAppears, fileDisappears, isQuiet } from "../support/usb-vm/eventually.js";
import { type GuestError, UsbMachine } from "../support/usb-vm/machine.js";

const why = inject("noUsbMachine");

describe.skipIf(why !== "")(`A bench of USB devices${why && `: ${why}`}`, () => {
  let machine: UsbMachine;
  let port: RedirPort;
  let hubPort: RedirPort;
  beforeAll(async () => {
    machine = await UsbMachine.shared();
    port = new RedirPort(machine, "4");
    hubPort = new RedirPort(machine, "5");
  });
  afterAll(async () => {
    await port?.close();
    await hubPort?.close();
  });
  afterEach(async () => {
    await port.unplug();
    await hubPort.unplug();
    await gone("1-4");
    expect(machine.uncaught.splice(0)).toEqual([]);
  });

  const gone = (name: string) => fileDisappears(machine, `/sys/bus/usb/devices/${name}`);
  const there = (name: string) => fileAppears(machine, `/sys/bus/usb/devices/${name}/idVendor`);
  const exchange = (address: string, hex: string) =>
    machine.call<string>("serial", "exchange", [address, hex, hex.length / 2]);

  it("an FTDI adapter shows baud and lines as ftdi_sio sets them", async () => {
    const ftdi = new Ftdi();
    ftdi.onData = (bytes) => ftdi.send(bytes);
    await port.plug(ftdiDevice(ftdi, "FT1"));
    const tty = "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_FT1-if00-port0";
    await fileAppears(machine, tty);
    const bytes = Buffer.from(
      "seventy bytes and more through the adapter that everybody has on the desk",
    ).toString("hex");
    expect(await exchange(`serial:${tty}`, bytes)).toBe(bytes);
    // 3 MHz cannot be divided to 115200 exactly.
    expect(ftdi.history).toContain("baud 115385");
    expect(ftdi.history.slice(-2).sort()).toEqual(["dtr off", "rts off"]);
    ftdi.history.length = 0;
    expect(await exchange(`serial:${tty}?dtr=off&rts=on`, "01")).toBe("01");
    // DTR was let go on purpose, RTS only when the port closed.
    const [dtrOff, rtsOff] = [ftdi.history.indexOf("dtr off"), ftdi.history.lastIndexOf("rts off")];
    expect(dtrOff).toBeGreaterThan(ftdi.history.indexOf("dtr on"));
    expect(dtrOff).toBeLessThan(rtsOff);
  });

  describe("a hub", () => {
    /** The echo device hangs on port 2, as far as its power goes. */
    async function plugHubOf(switching: "per-port" | "ganged" | "none"): Promise<string[]> {
      const hub = new PowerHub(4, switching);
      const switched: string[] = [];
      hub.onPower = (number, on) => {
        switched.push(`${number} ${on ? "on" : "off"}`);
        if (number === 2) void (on ? port.plug(new EchoDevice({ serialNumber: "E1" })) : port.unplug());
      };
      await hubPort.plug(hubDevice(hub));
      await fileAppears(machine, "/dev/ttyACM0");
      await eventually("all ports have power", () => hub.isOn(4) || undefined);
      switched.length = 0;
      return switched;
    }
    const power = (...words: string[]) =>
      machine.bootproof(["power", ...words, "--hub", "1-5.2", "-d", "1-4"]);
    const uhubctl = async (...words: string[]) =>
      (await machine.run(["uhubctl", "-l", "1-5", "-p", "2", ...words])).stdout;

    it("switches the power of each port, by uhubctl's judgement and by our command", async () => {
      const switched = await plugHubOf("per-port");
      expect(await uhubctl("-a", "off")).toContain("ppps");
      await fileDisappears(machine, "/dev/ttyACM0");
      await uhubctl("-a", "on");
      await fileAppears(machine, "/dev/ttyACM0");
      expect(await power("off")).toMatchObject({ code: 0 });
      await fileDisappears(machine, "/dev/ttyACM0");
      expect(await uhubctl()).toMatch(/Port 2: 0000 off/);
      expect(await power("on", "--quiet")).toMatchObject({ code: 0 });
      await fileAppears(machine, "/dev/ttyACM0");
      expect(await uhubctl()).toMatch(/Port 2: 0100 power/);
      expect(await power("cycle", "--off-for", "300")).toMatchObject({ code: 0 });
      await fileAppears(machine, "/dev/ttyACM0");
      expect(switched).toEqual(["2 off", "2 on", "2 off", "2 on", "2 off", "2 on"]);
    });

    it.each([
      ["ganged", "ganged", "switches its 4 ports together"],
      ["none", "nops", "cannot switch the power"],
    ] as const)("that switches otherwise (%s) is not asked to", async (switching, judged, message) => {
      const switched = await plugHubOf(switching);
      expect(await uhubctl("-f")).toContain(judged);
      const end = await power("off");
      expect(end.code).not.toBe(0);
      expect(end.stderr).toContain(message);
      expect(switched).toEqual([]);
    });

    it("that nobody here wrote is understood: QEMU's own switches nothing", async () => {
      const pull = await plugHub(machine, "1");
      try {
        await there("1-1");
        const end = await machine.bootproof(["power", "off", "--hub", "1-1.2", "-d", "tcp:127.0.0.1:9"]);
        expect(end.stderr).toContain("Hub 1-1 reports that it cannot switch");
      } finally {
        await pull();
        await gone("1-1");
      }
    });
  });

  it("finds a board behind a hub by its place", async () => {
    const pull = await plugHub(machine, "1");
    await there("1-1");
    const behind = new RedirPort(machine, "1.3");
    try {
      await behind.plug(new EchoDevice());
      await there("1-1.3");
      await fileAppears(machine, "/dev/ttyACM0");
      expect(await exchange("usb:2fe3:0001?port=1-1.3", "cafe")).toBe("cafe");
    } finally {
      await behind.unplug();
      await behind.close();
      await pull();
      await gone("1-1");
    }
  });

  it.each(Object.entries(LIES))("survives a device that declares %s", async (_, lie) => {
    await port.plug(new LyingDevice(lie));
    await there("1-4");
    const error = await exchange("usb:2fe3:0001:L1", "01").then(
      () => undefined,
      (caught: GuestError) => caught,
    );
    // A kernel that mends the lie leaves a port that works; every other way ends in one of our own words.
    if (error) expect(["not-found", "failed", "lost", "busy"]).toContain(error.code);
    expect(await machine.bootproof(["devices"])).toMatchObject({ code: 0 });
  });

  it("shows hostile texts without obeying them", async () => {
    await port.plug(deviceWithHostileTexts());
    await there("1-4");
    await fileAppears(machine, "/dev/ttyACM0");
    const { stdout, code } = await machine.bootproof(["devices"]);
    expect(code).toBe(0);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is what is tested
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
    const error = await exchange("usb:2fe3:0009", "01").catch((caught: GuestError) => caught);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is what is tested
    expect((error as GuestError).hint).not.toMatch(/[\u0000-\u001f\u202e]/);
  });

  it("is itself after a storm of plugging", async () => {
    for (let round = 0; round < 12; round++) {
      await port.plug(new EchoDevice({ serialNumber: "E1" }));
      const opening = exchange("usb:2fe3:0001:E1", "0102").catch((error: GuestError) => error.code);
      if (round % 3 !== 0) await new Promise((resolve) => setTimeout(resolve, round * 40));
      await port.unplug();
      expect(["0102", "not-found", "lost", "failed", "stalled", "timed-out", "busy"]).toContain(
        await opening,
      );
    }
    await gone("1-4");
    await port.plug(new EchoDevice({ serialNumber: "E1" }));
    await fileAppears(machine, "/dev/ttyACM0");
    await eventually(
      "it answers",
      async () => (await exchange("usb:2fe3:0001:E1", "0a0b")) === "0a0b" || undefined,
    );
    await isQuiet(machine);
  });
});
