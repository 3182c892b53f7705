import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { CdcAcm } from "../support/usb/cdc-acm.js";
import { EmulatedDevice } from "../support/usb/device.js";
import { RedirPort } from "../support/usb/redir-port.js";
import { UsbMachine } from "../support/usb-vm/machine.js";

const why = inject("noUsbMachine");

describe.skipIf(why !== "")("a CDC-ACM port behind the kernel's own driver", () => {
  let machine: UsbMachine;
  let port: RedirPort;
  beforeAll(async () => {
    machine = await UsbMachine.start();
    port = new RedirPort(machine, "4");
  });
  afterAll(async () => {
    port?.close();
    await machine?.stop();
  });

  it("is found and carries bytes both ways", async () => {
    const acm = new CdcAcm({ firstInterface: 0, firstEndpoint: 1 });
    acm.onData = (bytes) => acm.send(bytes);
    const device = new EmulatedDevice(
      {
        vendorId: 0x2fe3,
        productId: 4,
        release: 0x0300,
        manufacturer: "Bootproof",
        product: "Echo",
        serialNumber: "E1",
      },
      [acm],
    );
    await port.plug(device);
    await new Promise((resolve) => setTimeout(resolve, 3000));
    console.log(await machine.run(["ls", "-l", "/dev/serial/by-id"]), machine.console(), acm.history);
    const hex = Buffer.from("hello over usb ".repeat(20)).toString("hex");
    expect(await machine.call("serial", "exchange", ["/dev/ttyACM0", hex, hex.length / 2])).toBe(hex);
    console.log(acm.history);
    await port.unplug();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    console.log(await machine.run(["ls", "-l", "/dev/serial/by-id"]), machine.console(), acm.history);
  });
});
