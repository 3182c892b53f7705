import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { UsbMachine } from "../support/usb-vm/machine.js";

const why = inject("noUsbMachine");

describe.skipIf(why !== "")("the machine", () => {
  let machine: UsbMachine;
  beforeAll(async () => {
    machine = await UsbMachine.start();
  });
  afterAll(() => machine?.stop());

  it("boots a kernel with USB and runs our own package", async () => {
    const { stdout, code, stderr } = await machine.bootproof(["--version"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^\d+\.\d+\.\d+/);
    console.log(
      machine.bootMs,
      (await machine.run(["ls", "/sys/bus/usb/devices"])).stdout,
      machine.console(),
    );
  });
});
