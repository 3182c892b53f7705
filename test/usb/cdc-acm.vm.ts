import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import { EchoDevice } from "../support/usb/echo.js";
import { RedirPort } from "../support/usb/redir-port.js";
import { eventually, fileAppears, fileDisappears, isQuiet } from "../support/usb-vm/eventually.js";
import { type GuestError, UsbMachine } from "../support/usb-vm/machine.js";

const why = inject("noUsbMachine");
const TTY = "/dev/serial/by-id/usb-Bootproof_Echo_E1-if00";

describe.skipIf(why !== "")(
  `CDC-ACM by Linux's own driver and by the USB library${why && `: ${why}`}`,
  () => {
    let machine: UsbMachine;
    let port: RedirPort;
    let second: RedirPort;
    beforeAll(async () => {
      machine = await UsbMachine.shared();
      port = new RedirPort(machine, "4");
      second = new RedirPort(machine, "5");
    });
    afterAll(async () => {
      await port?.close();
      await second?.close();
    });
    afterEach(async () => {
      await port.unplug();
      await second.unplug();
      await fileDisappears(machine, "/dev/ttyACM0");
      await fileDisappears(machine, "/dev/ttyACM1");
      expect(machine.uncaught.splice(0)).toEqual([]);
    });

    const failure = (work: Promise<unknown>) =>
      work.then(
        () => expect.fail("it worked"),
        (error: GuestError) => error,
      );
    const exchange = (address: string, bytes: Uint8Array) =>
      machine.call<string>("serial", "exchange", [address, Buffer.from(bytes).toString("hex"), bytes.length]);

    async function plugEcho(options: ConstructorParameters<typeof EchoDevice>[0] = {}): Promise<EchoDevice> {
      const echo = new EchoDevice({ serialNumber: "E1", ...options });
      await port.plug(echo);
      await fileAppears(machine, "/dev/ttyACM0");
      if (options.serialNumber === undefined) await fileAppears(machine, TTY);
      return echo;
    }

    it("returns every byte, whatever the length, on both ways", async () => {
      const echo = await plugEcho();
      for (const address of [`serial:${TTY}`, "usb:2fe3:0001:E1"]) {
        for (const length of [1, 63, 64, 65, 128, 5000]) {
          const bytes = Uint8Array.from({ length }, (_, index) => index * 7);
          expect(await exchange(address, bytes), `${address}, ${length} bytes`).toBe(
            Buffer.from(bytes).toString("hex"),
          );
        }
      }
      // Linux sends no empty packets, the library is told to: after 64 and after 128 bytes.
      expect(echo.acm.zeroLengthPackets).toBe(2);
    });

    it("hears a firmware that forgets the empty packet after a full one", async () => {
      await plugEcho({ forgetsZeroLengthPacket: true });
      const bytes = new Uint8Array(128).fill(0x55);
      expect(await exchange("usb:2fe3:0001:E1", bytes)).toBe(Buffer.from(bytes).toString("hex"));
    });

    it("sets baud, DTR and RTS on purpose, and lets them fall when it closes", async () => {
      const echo = await plugEcho();
      echo.acm.history.length = 0;
      await exchange("usb:2fe3:0001?baud=1000000&rts=off", Uint8Array.of(1));
      expect(echo.acm.history.slice(0, 3)).toEqual(["baud 1000000", "dtr on", "dtr off"]);
      // The driver is back, and sets what it found at first.
      await fileAppears(machine, TTY);
      expect(echo.acm.history.slice(3)).toEqual(["baud 9600"]);
    });

    it("refuses to guess between two boards without serial numbers, and takes the one on the port that is named", async () => {
      const here = new EchoDevice();
      const there = new EchoDevice();
      await port.plug(here);
      await second.plug(there);
      await fileAppears(machine, "/dev/ttyACM1");
      const error = await failure(exchange("usb:2fe3:0001", Uint8Array.of(1)));
      expect(error).toMatchObject({ code: "ambiguous-port" });
      expect(error.hint).toContain("on 1-4");
      expect(error.hint).toContain("on 1-5");
      expect(await exchange("usb:2fe3:0001?port=1-5", Uint8Array.of(7))).toBe("07");
      expect(here.acm.history).not.toContain("dtr on");
      expect(there.acm.history).toContain("dtr on");
    });

    it("does not take a port away from a program that uses it, and names the program", async () => {
      await plugEcho();
      const stop = new AbortController();
      const holder = machine.run(["sh", "-c", `exec sleep 60 < ${TTY}`], { signal: stop.signal });
      const ended = holder.catch(() => {});
      await eventually("the port is held", async () => {
        const error = await failure(exchange("usb:2fe3:0001:E1", Uint8Array.of(1))).catch(() => undefined);
        return error?.code === "busy" && error.message.includes("sleep") ? true : undefined;
      });
      stop.abort();
      await ended;
    });

    it("waits for a program that only glances at a new port, as udev does", async () => {
      await plugEcho();
      const glance = machine.run(["sh", "-c", `exec 3<${TTY}; touch /tmp/held; sleep 0.4`]);
      await fileAppears(machine, "/tmp/held");
      expect(await exchange("usb:2fe3:0001:E1", Uint8Array.of(7))).toBe("07");
      expect(await glance).toMatchObject({ code: 0 });
      await machine.run(["rm", "/tmp/held"]);
    });

    it("says who may not open it, and what to do", async () => {
      await plugEcho();
      const end = await machine.bootproof(["echo", "hi", "-d", "usb:2fe3:0001"], { uid: 1000 });
      expect(end).toMatchObject({ code: 13 });
      expect(end.stderr).toContain("setup-udev");
    });

    it.each([
      ["the driver, listening", "listenToTheEnd", `serial:${TTY}`],
      ["the driver, writing", "writeToTheEnd", `serial:${TTY}`],
      ["the library, listening", "listenToTheEnd", "usb:2fe3:0001"],
      ["the library, writing", "writeToTheEnd", "usb:2fe3:0001"],
    ])("notices that the cable is pulled: %s", async (_, how, address) => {
      const echo = await plugEcho();
      echo.acm.onData = () => {};
      const outcome = machine.call("serial", how, [address]);
      await eventually("the port is open", () => echo.acm.lines.dtr || undefined);
      await port.unplug();
      expect(await outcome).toBe("lost");
    });

    it.each([0, 1, 2, 3, 4])(
      "neither hangs nor spins when a device leaves the moment it was opened, trial %i",
      async () => {
        const echo = await plugEcho();
        const outcome = machine
          .call("serial", "listenToTheEnd", [`serial:${TTY}`])
          .catch((error) => error.code);
        await eventually("the port is open", () => echo.acm.history.includes("dtr on") || undefined);
        await port.unplug();
        expect(["lost", "not-found", "failed"]).toContain(await outcome);
        await isQuiet(machine);
      },
    );
  },
);
