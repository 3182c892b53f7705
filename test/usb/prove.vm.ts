import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { boardVariant, fixtureKeyPath } from "../../src/emulator/catalog.js";
import { signedFixture } from "../../src/emulator/signed-fixture.js";
import { startBoard } from "../../src/emulator/start.js";
import { MANY_STEPS_MS } from "../support/limits.js";
import { hubDevice, PowerHub } from "../support/usb/hub.js";
import { RedirPort } from "../support/usb/redir-port.js";
import { SMP_INTERFACE, UsbBoard } from "../support/usb/usb-board.js";
import { eventually, fileAppears } from "../support/usb-vm/eventually.js";
import { UsbMachine } from "../support/usb-vm/machine.js";

const why = inject("noUsbMachine");
const TTY = "/dev/serial/by-id/usb-Bootproof_Bootproof_board_LAB-1-if00";

/** A board on the desk as the README of hil describes one, behind USB, its power at a port of a hub. */
const BOARD_FILE = `boards:
  - name: desk-1
    kind: attached
    address: usb:2fe3:0004:LAB-1?interface=${SMP_INTERFACE}
    power: { hub: 1-5.2 }
    image: own.bin
    keys: { signing: key.pem }
    starts-within-ms: 20000
`;
const CASES = ["authenticity/unsigned", "integrity/flip-body-first"];

interface Report {
  boards: { cases: { id: string; verdict: string }[] }[];
}

describe.skipIf(why !== "")(`A board on USB is proven${why && `: ${why}`}`, () => {
  let machine: UsbMachine;
  const ports: RedirPort[] = [];
  beforeAll(async () => {
    machine = await UsbMachine.shared();
    ports.push(new RedirPort(machine, "4"), new RedirPort(machine, "5"));
    const variant = boardVariant("good");
    await machine.write("/tmp/own.bin", await signedFixture("good-a", "qemu", variant));
    await machine.write("/tmp/key.pem", readFileSync(fixtureKeyPath(variant.keys[0]!)));
    await machine.write("/tmp/boards.yaml", Buffer.from(BOARD_FILE));
  });
  afterAll(async () => {
    for (const port of ports) await port.close();
  });

  it("through the USB library, cut off at its hub's port, and gets its own image back", async () => {
    const usb = await UsbBoard.build(await startBoard({ machine: "qemu", variant: "good" }), ports[0]!, {
      serialNumber: "LAB-1",
    });
    const switched: string[] = [];
    const hub = new PowerHub(4);
    hub.onPower = (number, on) => {
      if (number !== 2) return;
      switched.push(on ? "on" : "off");
      void (on ? usb.board.powerOn().then(() => usb.plug()) : usb.board.powerOff());
    };
    try {
      await ports[1]!.plug(hubDevice(hub));
      await eventually("the hub's ports have power", () => hub.isOn(4) || undefined);
      await fileAppears(machine, TTY);
      switched.length = 0;
      const asked = CASES.flatMap((one) => ["--case", one]);
      const words = ["prove", "--boards", "/tmp/boards.yaml", "--board", "desk-1", ...asked, "--seed", "1"];
      const end = await machine.bootproof([...words, "--json"], { cwd: "/tmp", limitMs: MANY_STEPS_MS });
      expect(end.code, `${end.stderr.slice(-3000)}\n${end.stdout.slice(0, 3000)}`).toBe(0);
      const { boards } = JSON.parse(end.stdout) as Report;
      const verdicts = boards[0]!.cases.map(({ id, verdict }) => [id, verdict]);
      expect(Object.fromEntries(verdicts)).toMatchObject(
        Object.fromEntries(CASES.map((id) => [id, "holds"])),
      );
      // A run begins with a board that has just been given power.
      expect(switched.slice(0, 2)).toEqual(["off", "on"]);
      expect(end.stderr).toContain("own image runs again");
      expect(machine.uncaught.splice(0)).toEqual([]);
    } finally {
      await usb.close();
    }
  });
});
