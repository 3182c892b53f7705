import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { listDevices } from "../../src/devices/list.js";
import { KNOWN_BOARDS } from "../../src/profiles/boards.js";
import {
  commandLine,
  type ProbeId,
  probeAt,
  usableTools,
  whyNoTool,
} from "../../src/recovery/debug-tools.js";
import { cdc, type TreeDevice, UsbTree } from "../support/usb-tree.js";

const board = (id: string) => KNOWN_BOARDS.find((profile) => profile.id === id);
const linesFor = (id: string, probe?: ProbeId) =>
  usableTools(board(id)).flatMap(({ tool, job }) =>
    tool.commands({ ...job, file: "/tmp/image.bin", probe }).map((args) => commandLine(tool.program, args)),
  );
const nrfutil =
  "--core Application --options chip_erase_mode=ERASE_RANGES_TOUCHED_BY_FIRMWARE,verify=VERIFY_READ,reset=RESET_SYSTEM";

test("a board whose chip is known gets command lines for its primary slot", () => {
  expect(linesFor("nrf52840dk")).toEqual([
    "probe-rs download --chip nRF52840_xxAA --binary-format bin --base-address 0xc000 --verify /tmp/image.bin",
    "probe-rs reset --chip nRF52840_xxAA",
    `nrfutil device program --firmware /tmp/image.bin ${nrfutil}`,
    "pyocd flash --target nrf52840 --no-wait --base-address 0xc000 --format bin /tmp/image.bin",
    "pyocd reset --target nrf52840 --no-wait",
  ]);
});

test("each tool is told which probe: it would take the first that it finds", () => {
  const jlink = { vendorId: "1366", productId: "1051", serialNumber: "000683001122" };
  expect(linesFor("nrf52840dk", jlink)).toEqual([
    "probe-rs download --chip nRF52840_xxAA --probe 1366:1051:000683001122 --binary-format bin --base-address 0xc000 --verify /tmp/image.bin",
    "probe-rs reset --chip nRF52840_xxAA --probe 1366:1051:000683001122",
    `nrfutil device program --firmware /tmp/image.bin ${nrfutil} --serial-number 683001122`,
    "pyocd flash --target nrf52840 --no-wait --uid 683001122 --base-address 0xc000 --format bin /tmp/image.bin",
    "pyocd reset --target nrf52840 --no-wait --uid 683001122",
  ]);
  const stlink = { vendorId: "0483", productId: "374b", serialNumber: "0670FF353433" };
  expect(linesFor("nucleo-f429zi", stlink).slice(-2)).toEqual([
    "openocd -f board/st_nucleo_f4.cfg -c 'adapter serial {0670FF353433}' -c 'program {/tmp/image.bin} 0x8020000 verify reset exit'",
    "STM32_Programmer_CLI -c port=SWD sn=0670FF353433 -w /tmp/image.bin 0x8020000 -v -rst",
  ]);
});

describe("the probe at a board", () => {
  let tree: UsbTree;
  beforeEach(() => {
    tree = new UsbTree();
  });
  afterEach(() => tree.remove());

  const jlink = (serial?: string): TreeDevice => ({
    vendorId: "1366",
    productId: "1051",
    product: "J-Link",
    ...(serial === undefined ? {} : { serial }),
    interfaces: [{ number: 2, triple: "ff ff ff" }],
  });
  const adapter: TreeDevice = {
    vendorId: "0403",
    productId: "6001",
    serial: "A5",
    interfaces: [{ number: 0, triple: "ff ff ff", driver: "ftdi_sio", tty: "ttyUSB0" }],
  };
  const at = async (usbPort: string) => {
    const devices = await listDevices({ roots: tree.roots });
    return probeAt(
      devices.find((device) => device.usbPort === usbPort),
      devices,
    );
  };

  test("is the device itself, whatever else is plugged in", async () => {
    tree.plug("1-1", jlink("1"));
    tree.plug("1-2", jlink("2"));
    expect(await at("1-2")).toMatchObject({ serialNumber: "2" });
  });

  test("is the only one there is, for a board that is reached another way", async () => {
    tree.plug("1-1", adapter);
    tree.plug("1-2", { ...jlink("C0"), vendorId: "0d28", productId: "0204", product: "DAPLink CMSIS-DAP" });
    tree.plug("1-3", { vendorId: "2fe3", productId: "0004", interfaces: cdc(0, "ttyACM0") });
    expect(await at("1-1")).toMatchObject({ vendorId: "0d28", serialNumber: "C0" });
  });

  test("is not guessed when there are two", async () => {
    tree.plug("1-1", adapter);
    tree.plug("1-2", jlink("1"));
    tree.plug("1-3", jlink("2"));
    expect(await at("1-1")).toBe("several");
  });

  test("cannot be named when it has no serial number, or one that no maker gives", async () => {
    tree.plug("1-1", jlink());
    expect(await at("1-1")).toBeUndefined();
    tree.plug("1-2", jlink("1} -c {shutdown"));
    expect(await at("1-2")).toBe("several");
  });

  test("is unknown where none is seen", async () => {
    tree.plug("1-1", adapter);
    expect(await at("1-1")).toBeUndefined();
  });
});

test("why no tool can be used is told by what is missing", () => {
  expect(whyNoTool(undefined)).toMatch(/which board this is.*--profile/);
  expect(whyNoTool(board("thingy53"))).toMatch(/primary slot of Nordic Thingy:53.*`slots`/);
  expect(whyNoTool({ ...board("nrf52840dk")!, chip: {} })).toMatch(/chip of nRF52840 DK.*`chip`/);
  expect(whyNoTool(board("nrf52840dk"))).toBeUndefined();
});

test("a board whose slots are not known gets none: a guessed address would destroy something", () => {
  expect(linesFor("nucleo")).toEqual([]);
  expect(linesFor("thingy53")).toEqual([]);
  expect(usableTools(undefined)).toEqual([]);
});

test("OpenOCD is given its files, and a path with spaces in one piece", () => {
  const [own] = usableTools({
    id: "own",
    name: "Own",
    slots: [
      { address: 0x0802_0000, size: 0x20000 },
      { address: 0x0804_0000, size: 0x20000 },
    ],
    chip: { openocd: "interface/stlink.cfg target/stm32f4x.cfg" },
    sources: {},
  });
  const [args] = own!.tool.commands({ ...own!.job, file: "/tmp/my image.bin" });
  expect(commandLine("openocd", args!)).toBe(
    "openocd -f interface/stlink.cfg -f target/stm32f4x.cfg -c 'program {/tmp/my image.bin} 0x8020000 verify reset exit'",
  );
});

test("a name with a quote cannot leave its quotes", () => {
  expect(commandLine("x", ["it's; rm -rf /"])).toBe("x 'it'\\''s; rm -rf /'");
});
