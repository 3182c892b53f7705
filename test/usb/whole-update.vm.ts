import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { boardVariant, fixtureKeyPath } from "../../src/emulator/catalog.js";
import { LAYOUT, slotOffset } from "../../src/emulator/layout.js";
import { signedFixture } from "../../src/emulator/signed-fixture.js";
import { startBoard } from "../../src/emulator/start.js";
import { MANY_STEPS_MS } from "../support/limits.js";
import { hubDevice, PowerHub } from "../support/usb/hub.js";
import { RedirPort } from "../support/usb/redir-port.js";
import { UsbBoard } from "../support/usb/usb-board.js";
import { eventually, fileAppears } from "../support/usb-vm/eventually.js";
import { UsbMachine } from "../support/usb-vm/machine.js";

const why = inject("noUsbMachine");
const TTY = "/dev/serial/by-id/usb-Bootproof_Bootproof_board_LAB-1-if00";
/** How long a cable stays out; the kernel needs half a second to see it. */
const OUT_MS = 1500;
const SOCKET = "1-5.2";

/** What `devices --watch --json` prints, a line each. */
interface Change {
  change: "plugged" | "unplugged" | "changed";
  device: { usbPort?: string; state: string; serialNumber?: string };
}

describe.skipIf(why !== "")(`One board's day on the desk${why && `: ${why}`}`, () => {
  let machine: UsbMachine;
  let ports: { board: RedirPort; hub: RedirPort };
  let board: UsbBoard;
  beforeAll(async () => {
    machine = await UsbMachine.shared();
    ports = { board: new RedirPort(machine, "4"), hub: new RedirPort(machine, "5") };
    const variant = boardVariant("good");
    await machine.write("/tmp/image.bin", await signedFixture("good-b", "qemu", variant));
    await machine.write(
      "/tmp/next.bin",
      await signedFixture("good-b", "qemu", variant, { version: "2.1.0" }),
    );
    await machine.write("/tmp/key.pem", readFileSync(fixtureKeyPath(variant.keys[0]!)));
    const started = await startBoard({ machine: "qemu", variant: "good", off: true });
    board = await UsbBoard.build(started, ports.board, { serialNumber: "LAB-1" });
  });
  afterAll(async () => {
    await board?.close();
    for (const port of Object.values(ports ?? {})) await port.close();
  });

  const bootproof = async (...words: string[]) => {
    const end = await machine.bootproof([...words, "--json"]);
    expect({ ...end, stderr: end.stderr.slice(-2000) }).toMatchObject({ code: 0 });
    return { told: JSON.parse(end.stdout) as Record<string, unknown>, stderr: end.stderr };
  };
  const changes = async (): Promise<Change[]> =>
    (await machine.run(["cat", "/tmp/watch.log"])).stdout
      .trim()
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Change)
      .filter(({ device }) => device.usbPort === "1-4");
  /** The last thing the watcher tells of the board. Ids that bootloaders share with applications do not say which it is. */
  const watcherSees = (state: string | "nothing") =>
    eventually(`the watcher sees: ${state}`, async () => {
      const last = (await changes()).at(-1);
      return (last?.change === "unplugged" ? "nothing" : last?.device.state) === state || undefined;
    });

  function pullAt(total: number): void {
    const begin = board.received;
    board.onReceived = (received) => {
      if (received - begin < total) return;
      board.onReceived = () => {};
      void board.unplug().then(() => setTimeout(() => void board.plug(), OUT_MS));
    };
  }

  it("is plugged in, updated over a loose cable, loses its image, is recovered, and power-cycled at its hub", async () => {
    const watch = "exec node /app/dist/cli/main.js devices --watch --json > /tmp/watch.log";
    const stop = new AbortController();
    const watching = machine
      .run(["sh", "-c", watch], { signal: stop.signal, limitMs: MANY_STEPS_MS })
      .catch(() => {});
    try {
      // It hangs on port 2 of a hub that can switch it, and has no other supply.
      const hub = new PowerHub(4);
      hub.onPower = (number, on) => {
        if (number === 2) void (on ? board.board.powerOn().then(() => board.plug()) : board.board.powerOff());
      };
      await ports.hub.plug(hubDevice(hub));
      await watcherSees("unknown");

      pullAt(20_000);
      const update = await bootproof("flash", "/tmp/image.bin", "--key", "/tmp/key.pem", "-d", "LAB-1");
      expect(update.told).toMatchObject({ outcome: "confirmed", version: "2.0.0" });
      expect(update.stderr).toContain("The link was lost");
      expect((await changes()).filter(({ change }) => change === "unplugged").length).toBeGreaterThan(0);

      await bootproof("power", "off", "--hub", SOCKET, "-d", "LAB-1");
      await watcherSees("nothing");
      await eventually("it is off", () => !board.board.isOn || undefined);
      board.board.writeFlash(slotOffset(0, 0), new Uint8Array(LAYOUT.slotSize).fill(0xff));
      await bootproof("power", "on", "--hub", SOCKET, "-d", "LAB-1", "--quiet");
      await watcherSees("mcuboot-recovery");

      pullAt(12_000);
      const rescue = await bootproof("recover", "/tmp/next.bin", "--key", "/tmp/key.pem", "-d", "LAB-1");
      expect(rescue.told).toMatchObject({ outcome: "recovered", method: "listen" });
      expect(rescue.stderr).toContain("The link was lost");
      await fileAppears(machine, TTY);

      const { told } = await bootproof("power", "test", "--hub", SOCKET, "-d", "LAB-1");
      expect(told).toMatchObject({ proved: true, switch: "port 2 of hub 1-5" });
      await fileAppears(machine, TTY);
      const { told: facts } = await bootproof("info", "-d", "LAB-1");
      expect(facts).toMatchObject({
        images: [{ slots: [{ content: { version: "2.1.0", active: true } }, {}] }],
      });
      await watcherSees("unknown");
      // Whoever watched saw it go and come in both its guises, under one serial number and in one place.
      const all = await changes();
      expect(new Set(all.map(({ device }) => device.serialNumber))).toEqual(new Set(["LAB-1"]));
      expect(machine.uncaught.splice(0)).toEqual([]);
    } finally {
      stop.abort();
      await watching;
    }
  });
});
