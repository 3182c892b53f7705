import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { boardVariant, fixtureKeyPath, signedFixture } from "../../src/board/catalog.js";
import { LAYOUT } from "../../src/board/layout.js";
import { startBoard } from "../../src/board/start.js";
import { toHex } from "../../src/bytes.js";
import { RedirPort } from "../support/usb/redir-port.js";
import { SMP_INTERFACE, UsbBoard } from "../support/usb/usb-board.js";
import { fileAppears, fileDisappears } from "../support/usb-vm/eventually.js";
import { UsbMachine } from "../support/usb-vm/machine.js";

const why = inject("noUsbMachine");
const tty = (serialNumber: string) => `/dev/serial/by-id/usb-Bootproof_Bootproof_board_${serialNumber}-if00`;
const ADDRESSES = [
  ["the kernel's driver", `serial:${tty("LAB-1")}`],
  ["the USB library", `usb:2fe3:0004:LAB-1?interface=${SMP_INTERFACE}`],
] as const;
/** How long a cable stays out; the kernel needs half a second to see it. */
const OUT_MS = 1500;

describe.skipIf(why !== "")(`A board on USB, from plug-in to a confirmed image${why && `: ${why}`}`, () => {
  let machine: UsbMachine;
  let ports: RedirPort[];
  let board: UsbBoard;
  let neighbour: UsbBoard;
  beforeAll(async () => {
    machine = await UsbMachine.shared();
    ports = [new RedirPort(machine, "4"), new RedirPort(machine, "5")];
    const variant = boardVariant("good");
    await machine.write("/tmp/image.bin", await signedFixture("good-b", "qemu", variant));
    await machine.write("/tmp/key.pem", readFileSync(fixtureKeyPath(variant.keys[0]!)));
  });
  beforeEach(async () => {
    [board, neighbour] = (await Promise.all(
      ["LAB-1", "LAB-2"].map(async (serialNumber, index) =>
        UsbBoard.build(await startBoard({ machine: "qemu", variant: "good" }), ports[index]!, {
          serialNumber,
        }),
      ),
    )) as [UsbBoard, UsbBoard];
    await board.plug();
    await neighbour.plug();
    await fileAppears(machine, tty("LAB-1"));
    await fileAppears(machine, tty("LAB-2"));
  });
  afterEach(async () => {
    await board.close();
    await neighbour.close();
    await fileDisappears(machine, tty("LAB-1"));
    await fileDisappears(machine, tty("LAB-2"));
    expect(machine.uncaught.splice(0)).toEqual([]);
  });
  afterAll(async () => {
    for (const port of ports ?? []) await port.close();
  });

  const flashOf = (one: UsbBoard) => toHex(one.board.readFlash(0, LAYOUT.flashSize));
  const flash = (address: string) =>
    machine.bootproof(["flash", "/tmp/image.bin", "--key", "/tmp/key.pem", "--json", "-d", address], {
      limitMs: 110_000,
    });

  /** Pulls the cable when the board has received so many bytes, and puts it back after a while. */
  function pullAfter(bytes: number): void {
    board.onReceived = (total) => {
      if (total < bytes) return;
      board.onReceived = () => {};
      void board.unplug().then(() => setTimeout(() => void board.plug(), OUT_MS));
    };
  }

  it.each(ADDRESSES)(
    "flashes through %s; the board with the same name beside it stays as it was",
    async (_, address) => {
      const before = flashOf(neighbour);
      const end = await flash(address);
      expect(end).toMatchObject({ code: 0 });
      expect(JSON.parse(end.stdout)).toMatchObject({ outcome: "confirmed" });
      // The first start, the test boot; the board went away and came back by itself.
      expect(board.enumerations).toBeGreaterThanOrEqual(2);
      expect(neighbour.received).toBe(0);
      expect(flashOf(neighbour)).toBe(before);
    },
  );

  it.each([
    [2_000, ADDRESSES[0]],
    [15_000, ADDRESSES[1]],
    [40_000, ADDRESSES[0]],
  ] as const)("goes on where it was when the cable is pulled after %i bytes", async (bytes, [, address]) => {
    pullAfter(bytes);
    const end = await flash(address);
    expect(end).toMatchObject({ code: 0 });
    expect(JSON.parse(end.stdout)).toMatchObject({ outcome: "confirmed" });
    expect(end.stderr).toContain("The link was lost");
    expect(neighbour.received).toBe(0);
  });
});
