import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { boardVariant, fixtureKeyPath } from "../../src/emulator/catalog.js";
import { signedFixture } from "../../src/emulator/signed-fixture.js";
import { startBoard } from "../../src/emulator/start.js";
import { buildDfuBoard } from "../support/usb/dfu-board.js";
import { RedirPort } from "../support/usb/redir-port.js";
import type { UsbBoard } from "../support/usb/usb-board.js";
import { fileAppears } from "../support/usb-vm/eventually.js";
import { UsbMachine } from "../support/usb-vm/machine.js";

const why = inject("noUsbMachine");
const TTY = "/dev/serial/by-id/usb-Bootproof_Bootproof_board_LAB-1-if00";
const BOARD = "usb:2fe3:0004:LAB-1?interface=0";

describe.skipIf(why !== "")(`A board updated by USB DFU${why && `: ${why}`}`, () => {
  let machine: UsbMachine;
  let port: RedirPort;
  let usb: UsbBoard;
  beforeAll(async () => {
    machine = await UsbMachine.shared();
    port = new RedirPort(machine, "4");
    const board = await startBoard({ machine: "qemu", variant: "good" });
    usb = (await buildDfuBoard(board, port, { serialNumber: "LAB-1" })).usb;
    const variant = boardVariant("good");
    await machine.write("/tmp/good.bin", await signedFixture("good-b", "qemu", variant));
    await machine.write("/tmp/key.pem", readFileSync(fixtureKeyPath(variant.keys[0]!)));
    await machine.write(
      "/tmp/foreign.bin",
      await signedFixture("good-b", "qemu", variant, { key: "ed25519-2", version: "3.0.0" }),
    );
    await usb.plug();
    await fileAppears(machine, TTY);
  });
  afterAll(async () => {
    await usb?.close();
    await port?.close();
  });

  const runningVersion = async () => {
    await fileAppears(machine, TTY);
    const { stdout } = await machine.bootproof(["info", "--json", "-d", BOARD]);
    const { images } = JSON.parse(stdout) as { images: { slots: { content?: { version: string } }[] }[] };
    return images[0]?.slots[0]?.content?.version;
  };

  it("is not even asked to leave its firmware for an image signed by a stranger", async () => {
    const words = ["dfu", "download", "/tmp/foreign.bin", "--alt", "1", "-d", "usb:2fe3:0004:LAB-1"];
    const end = await machine.bootproof([...words, "--key", "/tmp/key.pem"]);
    expect(end).toMatchObject({ code: 21 });
    expect(end.stderr).toContain("This MCUboot image is not valid");
    expect(port.device).toBe(usb.device);
  });

  it("runs the new image after its firmware was asked to leave and took the download", async () => {
    const words = ["dfu", "download", "/tmp/good.bin", "--alt", "1", "--key", "/tmp/key.pem", "-d"];
    const end = await machine.bootproof([...words, "usb:2fe3:0004:LAB-1"]);
    expect(end).toMatchObject({ code: 0 });
    expect(await runningVersion()).toBe("2.0.0");
  });
});
