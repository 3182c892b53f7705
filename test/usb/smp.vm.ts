import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import { startBoard } from "../../src/emulator/start.js";
import { RedirPort } from "../support/usb/redir-port.js";
import { SMP_INTERFACE, UsbBoard } from "../support/usb/usb-board.js";
import { fileAppears } from "../support/usb-vm/eventually.js";
import { UsbMachine } from "../support/usb-vm/machine.js";

const why = inject("noUsbMachine");
const TTY = "/dev/serial/by-id/usb-Bootproof_Bootproof_board_LAB-1-if00";
const DIRECT = `usb:2fe3:0004:LAB-1?interface=${SMP_INTERFACE}`;

describe.skipIf(why !== "")(`SMP with a board behind a real USB stack${why && `: ${why}`}`, () => {
  let machine: UsbMachine;
  let board: UsbBoard;
  beforeAll(async () => {
    machine = await UsbMachine.shared();
    const port = new RedirPort(machine, "4");
    board = await UsbBoard.build(await startBoard({ machine: "qemu", variant: "good" }), port, {
      serialNumber: "LAB-1",
    });
    await board.plug();
    await fileAppears(machine, TTY);
  });
  afterAll(async () => {
    await board?.close();
    await board?.port.close();
  });
  afterEach(() => expect(machine.uncaught.splice(0)).toEqual([]));

  it.each([
    ["the kernel's driver", `serial:${TTY}`],
    ["the USB library", DIRECT],
    ["the kernel's driver again, which got its port back", `serial:${TTY}`],
  ])("speaks through %s", async (_, address) => {
    board.smp.history.length = 0;
    const end = await machine.bootproof(["info", "--json", "-d", address]);
    expect(end).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(end.stdout)).toMatchObject({ reportsTrust: true });
    expect(board.smp.lines).toEqual({ dtr: false, rts: false });
    expect(board.smp.history).toContain("baud 115200");
  });
});
