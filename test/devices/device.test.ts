import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Device, joinDevices, looksLikeBoard } from "../../src/devices/device.js";
import { listDevices } from "../../src/devices/list.js";
import { nameOf, selectDevice } from "../../src/devices/select.js";
import { KNOWN_BOARDS } from "../../src/profiles/boards.js";
import { fromLibrary } from "../../src/transport/usb-devices.js";
import { cdc, recoveryBoard, type TreeDevice, UsbTree, zephyrBoard } from "../support/usb-tree.js";

let tree: UsbTree;
beforeEach(() => {
  tree = new UsbTree();
});
afterEach(() => tree.remove());

const list = () => listDevices({ roots: tree.roots });
const only = async (): Promise<Device> => {
  const devices = await list();
  expect(devices).toHaveLength(1);
  return devices[0]!;
};

test("a board with two serial ports is one device, and its interface names say which is which", async () => {
  tree.plug("1-1.4", zephyrBoard("SN1"));
  const device = await only();
  expect(device).toMatchObject({
    usbPort: "1-1.4",
    serialNumber: "SN1",
    product: "CDC ACM serial backend",
    state: "unknown",
  });
  expect(device.ports.map(({ path, role, usbInterface }) => [path, role, usbInterface])).toEqual([
    [tree.dev("ttyACM0"), "smp", 0],
    [tree.dev("ttyACM1"), "log", 2],
  ]);
});

test("two boards of a kind are two devices, each with its own ports", async () => {
  tree.plug("1-1", zephyrBoard("SN1", ["ttyACM0", "ttyACM1"]));
  tree.plug("1-2", zephyrBoard("SN2", ["ttyACM2", "ttyACM3"]));
  const devices = await list();
  expect(devices.map(({ usbPort, ports }) => [usbPort, ports.length])).toEqual([
    ["1-1", 2],
    ["1-2", 2],
  ]);
});

test("hubs and root hubs are no devices", async () => {
  tree.plug("1-1", { vendorId: "05e3", productId: "0610", deviceClass: "09" });
  tree.file("sys/bus/usb/devices/usb1/idVendor", "1d6b\n");
  tree.file("sys/bus/usb/devices/usb1/idProduct", "0002\n");
  expect(await list()).toEqual([]);
});

test("a port of the machine itself is a device without USB", async () => {
  tree.link("sys/class/tty/ttyS0/device", "sys/devices/pnp0/00:05");
  tree.file("dev/ttyS0");
  const device = await only();
  expect(device).toMatchObject({ path: tree.dev("ttyS0"), state: "unknown" });
  expect(nameOf(device)).toBe(tree.dev("ttyS0"));
});

describe("the state is told by looking", () => {
  const cases: { name: string; device: TreeDevice; state: Device["state"] }[] = [
    { name: "MCUboot's product name", device: recoveryBoard("SN1"), state: "mcuboot-recovery" },
    {
      name: "a DFU interface in DFU mode",
      device: { vendorId: "2fe3", productId: "ffff", interfaces: [{ number: 0, triple: "fe 01 02" }] },
      state: "usb-dfu",
    },
    {
      name: "ST's ROM",
      device: {
        vendorId: "0483",
        productId: "df11",
        product: "STM32  BOOTLOADER",
        interfaces: [{ number: 0, triple: "fe 01 02", name: "@Internal Flash  /0x08000000/04*016Kg" }],
      },
      state: "st-rom-dfu",
    },
    {
      name: "Nordic's own bootloader",
      device: {
        vendorId: "1915",
        productId: "521f",
        product: "Open DFU Bootloader",
        interfaces: cdc(0, "ttyACM0"),
      },
      state: "vendor-bootloader",
    },
    {
      name: "an application that carries the number of Nordic's bootloader",
      device: {
        vendorId: "1915",
        productId: "521f",
        product: "Treadmill Bridge",
        interfaces: cdc(0, "ttyACM0"),
      },
      state: "unknown",
    },
    {
      name: "an application that offers DFU",
      device: {
        vendorId: "2fe3",
        productId: "0005",
        interfaces: [{ number: 0, triple: "fe 01 01" }],
      },
      state: "application",
    },
    {
      name: "a Thingy by its serial number",
      device: {
        vendorId: "1915",
        productId: "53aa",
        serial: "THINGY53_C2E0AC7F599",
        interfaces: cdc(0, "ttyACM0"),
      },
      state: "application",
    },
    {
      name: "a probe, which shows nothing of what is behind it",
      device: { vendorId: "1366", productId: "1051", product: "J-Link", interfaces: cdc(0, "ttyACM0") },
      state: "unknown",
    },
  ];
  for (const { name, device, state } of cases) {
    test(name, async () => {
      tree.plug("1-1", device);
      expect((await only()).state).toBe(state);
    });
  }
});

test("a probe names every board it may sit on, and no one of them", async () => {
  tree.plug("1-1", { vendorId: "1366", productId: "1051", product: "J-Link", interfaces: cdc(0, "ttyACM0") });
  const device = await only();
  expect(device.isProbe).toBe(true);
  expect(device.profile).toBeUndefined();
  expect(device.maybe).toEqual(expect.arrayContaining(["nRF52840 DK", "nRF54L15 DK"]));
});

test("what the user says a probe sits on tells its ports apart", async () => {
  tree.plug("1-1", {
    vendorId: "1366",
    productId: "1051",
    serial: "001057700001",
    interfaces: [...cdc(0, "ttyACM0"), ...cdc(2, "ttyACM1")],
  });
  const profile = KNOWN_BOARDS.find(({ id }) => id === "nrf54l15dk")!;
  const [device] = await listDevices({
    roots: tree.roots,
    named: [{ name: "bench", device: "001057700001", profile }],
  });
  expect(nameOf(device!)).toBe("nRF54L15 DK 001057700001");
  expect(device!.ports.map(({ role }) => role)).toEqual(["other", "smp-and-log"]);
});

test.each([
  [
    "a keyboard",
    { vendorId: "046d", productId: "c31c", interfaces: [{ number: 0, triple: "03 01 01" }] },
    false,
  ],
  ["a disk", { vendorId: "0781", productId: "5581", interfaces: [{ number: 0, triple: "08 06 50" }] }, false],
  [
    "an unknown maker's serial device",
    { vendorId: "1d6b", productId: "0104", interfaces: cdc(0, undefined) },
    true,
  ],
  ["a probe", { vendorId: "1366", productId: "0101" }, true],
  [
    "a device in DFU mode",
    { vendorId: "1209", productId: "db42", interfaces: [{ number: 0, triple: "fe 01 02" }] },
    true,
  ],
] as [string, TreeDevice, boolean][])("%s: does it look like a board?", async (_, device, does) => {
  tree.plug("1-1", device);
  expect(looksLikeBoard(await only())).toBe(does);
});

describe("why something cannot be opened", () => {
  test("a serial port that another program holds names the program", async () => {
    tree.plug("1-1", recoveryBoard("SN1"));
    tree.file("proc/4242/comm", "picocom\n");
    mkdirSync(join(tree.roots.proc, "4242/fd"), { recursive: true });
    symlinkSync(tree.dev("ttyACM0"), join(tree.roots.proc, "4242/fd/3"));
    expect((await only()).ports[0]?.problem?.message).toContain("picocom (process 4242)");
  });

  test("a USB device that may not be opened says how to get the rights", async () => {
    tree.plug("1-1", { vendorId: "0483", productId: "df11" });
    // Root may open anything; a path that cannot be walked is denied to root too.
    rmSync(join(tree.roots.dev, "bus/usb/001"), { recursive: true });
    tree.file("dev/bus/usb/001");
    const device = await only();
    expect(device.problem?.code).toBe("permission");
    expect(device.problem?.hint).toContain("setup-udev");
  });

  test("a board without a serial driver has no port, and is listed all the same", async () => {
    tree.plug("1-1", { ...zephyrBoard("SN1"), interfaces: cdc(0, undefined) });
    const device = await only();
    expect(device.ports).toEqual([]);
    expect(device.interfaces[0]?.driver).toBeUndefined();
    expect(device.problem).toMatchObject({
      code: "driver",
      message: expect.stringContaining("cdc_acm"),
      hint: expect.stringContaining("sudo modprobe cdc_acm"),
    });
  });

  test("an adapter without its driver names that driver", async () => {
    const interfaces = [{ number: 0, triple: "ff 01 02" }];
    tree.plug("1-1", { vendorId: "1a86", productId: "7523", interfaces });
    expect((await only()).problem).toMatchObject({
      code: "driver",
      message: expect.stringContaining("ch341"),
    });
  });

  test("a device that a program holds past the drivers names the program", async () => {
    const interfaces = [{ number: 0, triple: "fe 01 02", driver: "usbfs" }];
    tree.plug("1-1", { vendorId: "0483", productId: "df11", interfaces });
    tree.file("proc/4242/comm", "dfu-util\n");
    mkdirSync(join(tree.roots.proc, "4242/fd"), { recursive: true });
    symlinkSync(tree.dev("bus/usb/001/002"), join(tree.roots.proc, "4242/fd/7"));
    expect((await only()).problem).toMatchObject({
      code: "busy",
      message: expect.stringContaining("dfu-util (process 4242)"),
    });
  });
});

test("a device that lies in its descriptors is listed, bounded and cleaned", async () => {
  const interfaces = Array.from({ length: 200 }, (_, number) => ({ number, triple: "zz 99 fe" }));
  tree.plug("1-1", {
    vendorId: "2fe3",
    productId: "0004",
    product: `\u001b[2J${"x".repeat(9000)}`,
    serial: "\u0000",
    interfaces: [...interfaces, ...cdc(300, "ttyACM0")],
  });
  const device = await only();
  expect(device.product!.length).toBeLessThanOrEqual(256);
  expect(device.product).not.toContain("\u001b");
  expect(device.serialNumber).toBeUndefined();
  expect(device.interfaces.length).toBeLessThanOrEqual(32);
});

describe("where the system tells less than Linux", () => {
  const found = {
    vendorId: 0x0483,
    productId: 0x374b,
    release: 0x0100,
    product: "STM32 STLink",
    serialNumber: "0670FF353433",
  };
  const port = { vendorId: "0483", productId: "374b", serialNumber: "0670FF353433", usbInterface: 2 };
  const usb = (usbPort: string, more: object = {}) =>
    fromLibrary({ ...found, usbPort, ...more }, "0483:374b");

  test("Windows: a port without a place joins the one USB device with its ids and serial number", () => {
    const devices = joinDevices([{ ...port, path: "COM5" }], [usb("1-3")], KNOWN_BOARDS);
    expect(devices).toMatchObject([
      { usbPort: "1-3", isProbe: true, ports: [{ path: "COM5", usbInterface: 2 }] },
    ]);
    expect(devices).toHaveLength(1);
  });

  test("two with the same ids and serial number are not guessed between", () => {
    const devices = joinDevices([{ ...port, path: "COM5" }], [usb("1-3"), usb("1-4")], KNOWN_BOARDS);
    expect(devices.map(({ ports }) => ports.length).sort()).toEqual([0, 0, 1]);
  });

  test("macOS: port and device name the same place", () => {
    const here = { ...port, path: "/dev/cu.usbmodem14203", usbPort: "14-2" };
    const devices = joinDevices([here], [usb("14-2")], KNOWN_BOARDS);
    expect(devices).toHaveLength(1);
    expect(selectDevice("/dev/tty.usbmodem14203", devices).device).toBe(devices[0]);
  });

  test("a board in a USB bootloader is there, though it has no port", () => {
    const rom = fromLibrary(
      { vendorId: 0x0483, productId: 0xdf11, release: 0x2200, product: "STM32  BOOTLOADER", usbPort: "1-3" },
      "0483:df11",
    );
    expect(joinDevices([], [rom], KNOWN_BOARDS)).toMatchObject([{ state: "st-rom-dfu", ports: [] }]);
  });
});
