import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { fileAppears, fileDisappears } from "../support/usb-vm/eventually.js";
import { UsbMachine } from "../support/usb-vm/machine.js";

const why = inject("noUsbMachine");

/** The kernel's own serial gadget, on a host controller inside the machine: a CDC-ACM firmware that nobody here wrote. */
describe.skipIf(why !== "")(`The serial gadget of Linux${why && `: ${why}`}`, () => {
  let machine: UsbMachine;
  beforeAll(async () => {
    machine = await UsbMachine.shared();
    const end = await machine.run(["sh", "-c", "modprobe dummy_hcd && modprobe g_serial use_acm=1"]);
    expect(end).toMatchObject({ code: 0 });
    await fileAppears(machine, "/dev/ttyACM0");
    await fileAppears(machine, "/dev/ttyGS0");
  });
  afterAll(async () => {
    await machine?.run(["sh", "-c", "modprobe -r g_serial && modprobe -r dummy_hcd"]);
    if (machine) await fileDisappears(machine, "/dev/ttyACM0");
  });

  it.each(["serial:/dev/ttyACM0", "usb:0525:a4a7", "serial:/dev/ttyACM0"])(
    "speaks with %s",
    async (address) => {
      await fileAppears(machine, "/dev/ttyACM0");
      const text = Buffer.from("any bytes \u0000\u0001\r\n".repeat(150)).toString("hex");
      // The host begins: a gadget does not see whether anybody has opened the port, and what it says before is lost.
      const heard = machine.call<string>("serial", "send", ["serial:/dev/ttyGS0", "b0a4d0", text.length / 2]);
      expect(await machine.call("serial", "exchange", [address, text, 3])).toBe("b0a4d0");
      expect(await heard).toBe(text);
    },
  );
});
