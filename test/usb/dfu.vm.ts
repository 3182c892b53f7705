import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import { concat, fromHex, toHex } from "../../src/bytes.js";
import { boardVariant } from "../../src/emulator/catalog.js";
import { signedFixture } from "../../src/emulator/signed-fixture.js";
import { EmulatedDevice } from "../support/usb/device.js";
import { DfuRuntime, DfuSe, PlainDfu } from "../support/usb/dfu.js";
import { EchoDevice } from "../support/usb/echo.js";
import { RedirPort } from "../support/usb/redir-port.js";
import { eventually } from "../support/usb-vm/eventually.js";
import { type GuestError, UsbMachine } from "../support/usb-vm/machine.js";

const why = inject("noUsbMachine");
const ZEPHYR = {
  vendorId: 0x2fe3,
  productId: 0xffff,
  release: 0x0100,
  manufacturer: "ZEPHYR",
  product: "DFU",
};
const ST_ROM = { vendorId: 0x0483, productId: 0xdf11, release: 0x2200, manufacturer: "STMicroelectronics" };

describe.skipIf(why !== "")(`USB DFU and DfuSe${why && `: ${why}`}`, () => {
  let machine: UsbMachine;
  let port: RedirPort;
  let second: RedirPort;
  let image: Uint8Array;
  beforeAll(async () => {
    machine = await UsbMachine.shared();
    port = new RedirPort(machine, "4");
    second = new RedirPort(machine, "5");
    image = await signedFixture("good-b", "qemu", boardVariant("good"));
    await machine.write("/tmp/image.bin", image);
  });
  afterAll(async () => {
    await port?.close();
    await second?.close();
  });
  afterEach(async () => {
    await port.unplug();
    await second.unplug();
    await eventually("everything is unplugged", async () => (await plugged()).length === 0 || undefined);
    expect(machine.uncaught.splice(0)).toEqual([]);
  });

  const plugged = async () =>
    (await machine.run(["sh", "-c", "ls /sys/bus/usb/devices | grep -x '1-[0-9]*' || true"])).stdout
      .split("\n")
      .filter(Boolean);

  async function plug(at: RedirPort, device: EmulatedDevice): Promise<void> {
    await at.plug(device);
    await eventually("it is plugged in", async () => (await plugged()).includes(`1-${at.port}`) || undefined);
  }

  function zephyr(serialNumber = "Z1", isTolerant = false): { dfu: PlainDfu; device: EmulatedDevice } {
    const names = ["image 0", "image 1"];
    const dfu = new PlainDfu({ interfaceNumber: 0, transferSize: 1024, names, isTolerant });
    return { dfu, device: new EmulatedDevice({ ...ZEPHYR, serialNumber }, [dfu]) };
  }

  function stRom(serialNumber = "S1"): { dfu: DfuSe; device: EmulatedDevice } {
    const dfu = new DfuSe();
    const shape = { ...ST_ROM, product: "STM32  BOOTLOADER", serialNumber };
    return { dfu, device: new EmulatedDevice(shape, [dfu]) };
  }

  const download = (selector: object, file: Uint8Array, options: object = {}) =>
    machine.call<string[]>("dfu", "downloadTo", [selector, toHex(file), options]);

  describe("judged by dfu-util", () => {
    it("the emulated Zephyr device is one", async () => {
      const { dfu, device } = zephyr();
      await plug(port, device);
      const listed = await machine.run(["dfu-util", "-l"]);
      expect(listed.stdout).toContain("Found DFU: [2fe3:ffff] ver=0100");
      expect(listed.stdout).toContain('name="image 1"');
      const end = await machine.run(["dfu-util", "-a", "1", "-D", "/tmp/image.bin", "-R"]);
      expect(end.stdout).toContain("Download done.");
      expect(toHex(dfu.memories[1]!)).toBe(toHex(image));
    });

    it("the emulated ST ROM is one", async () => {
      const { dfu, device } = stRom();
      await plug(port, device);
      const end = await machine.run([
        "dfu-util",
        "-a",
        "0",
        "-s",
        "0x08001000:leave",
        "-D",
        "/tmp/image.bin",
      ]);
      expect(end.stdout).toContain("File downloaded successfully");
      expect(toHex(dfu.flash.subarray(0x1000, 0x1000 + image.length))).toBe(toHex(image));
      expect(dfu.startedAt).toBe(0x08001000);
    });
  });

  it("lists devices, modes and memories in words, without touching them", async () => {
    const rom = stRom();
    await plug(port, rom.device);
    await plug(second, zephyr().device);
    const { stdout, stderr, code } = await machine.bootproof(["dfu", "list"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain('0483:df11 "STM32  BOOTLOADER" serial number S1 on 1-4');
    expect(stdout).toContain("Internal Flash: 0x08000000 to 0x0800ffff (64 KiB)");
    expect(stdout).toContain("image 1");
    expect(rom.dfu.history).toEqual([]);
  });

  it("downloads a signed image, has the device start it, and reads it back", async () => {
    const { dfu, device } = zephyr();
    let finished = 0;
    dfu.onFinish = () => void finished++;
    await plug(port, device);
    const sent = await machine.bootproof(["dfu", "download", "/tmp/image.bin", "--alt", "1"]);
    expect(sent).toMatchObject({ code: 0 });
    expect(sent.stderr).toContain('Writing to 2fe3:ffff "DFU" serial number Z1 on 1-4.');
    expect(finished).toBe(1);
    expect(toHex(dfu.memories[1]!)).toBe(toHex(image));
    const read = await machine.bootproof(["dfu", "upload", "/tmp/back.bin", "--alt", "1"]);
    expect(read).toMatchObject({ code: 0 });
    expect(await machine.call("files", "read", ["/tmp/back.bin"])).toBe(toHex(image));
  });

  it("sends no file that is not an image, and names the memories when it is not said which", async () => {
    const { dfu, device } = zephyr();
    await plug(port, device);
    const broken = image.slice();
    broken[600]! ^= 1;
    expect(await download({}, broken, { alternate: 1 })).toMatchObject([
      "device",
      "dfu-file",
      expect.any(String),
    ]);
    expect(await download({}, image)).toMatchObject([
      "device",
      "dfu-cannot",
      "The device has several memories.",
    ]);
    expect(dfu.history).toEqual([]);
  });

  it("writes ST's flash: erases each page that is touched once and no other, and starts the program", async () => {
    const { dfu, device } = stRom();
    dfu.flash.fill(0x11);
    await plug(port, device);
    const raw = Uint8Array.from({ length: 5000 }, (_, index) => index);
    const address = 0x08002800;
    expect(await download({}, raw, { address })).toEqual([
      "device",
      "plan",
      "erased",
      "sent",
      "compared",
      "leaving",
      "done",
    ]);
    expect(dfu.erasedPages).toEqual([0x08002000, 0x08003000]);
    expect(toHex(dfu.flash.subarray(0x2800, 0x2800 + 5000))).toBe(toHex(raw));
    expect(dfu.flash[0x1fff]).toBe(0x11);
    expect(dfu.startedAt).toBe(address);
  });

  it("does not start what does not read back as it was sent", async () => {
    const { dfu, device } = stRom();
    dfu.wornAt = DfuSe.ADDRESS + 1234;
    await plug(port, device);
    expect((await download({}, new Uint8Array(3000))).slice(-2)).toEqual([
      "dfu-verify",
      "The memory does not contain what was written: at 0x080004d2 there is 0x01, and 0x00 was sent.",
    ]);
    expect(dfu.startedAt).toBeUndefined();
  });

  it("starts what was written to a chip that is protected against reading, and says so", async () => {
    const { dfu, device } = stRom();
    dfu.isProtected = true;
    await plug(port, device);
    expect((await download({}, new Uint8Array(3000))).slice(-3)).toEqual(["unverified", "leaving", "done"]);
    expect(dfu.startedAt).toBe(DfuSe.ADDRESS);
  });

  it("reads back from a device that waits for it before it is reset", async () => {
    const { dfu, device } = zephyr("Z1", true);
    await plug(port, device);
    expect(await download({}, image, { alternate: 1 })).toEqual([
      ...["device", "plan", "sent", "leaving", "compared", "done"],
    ]);
    expect(toHex(dfu.memories[1]!)).toBe(toHex(image));
  });

  it("writes a DfuSe file's elements where they belong", async () => {
    const { dfu, device } = stRom();
    await plug(port, device);
    expect((await download({}, DFUSE_FILE)).at(-1)).toBe("done");
    expect(Buffer.from(dfu.flash.subarray(0, 8)).toString()).toBe("ABCDEFGH");
    expect(Buffer.from(dfu.flash.subarray(0x4000, 0x4003)).toString()).toBe("xyz");
    expect(dfu.erasedPages).toEqual([0x08000000, 0x08004000]);
  });

  it.each([
    ["beyond the end", 0x0800f000, 5000],
    ["before the beginning", 0x07fff000, 16],
    ["in option bytes that are not declared", 0x1fff7800, 16],
  ])("touches nothing when a byte would fall %s", async (_, address, length) => {
    const { dfu, device } = stRom();
    await plug(port, device);
    const outcome = await download({}, new Uint8Array(length), { address });
    expect(outcome).toMatchObject(["device", "dfu-memory", expect.any(String)]);
    expect(dfu.history).toEqual([]);
  });

  it("says a device's fault in words", async () => {
    const { dfu, device } = stRom();
    dfu.failAt = { count: 1, status: 3 };
    await plug(port, device);
    const outcome = await download({}, new Uint8Array(100));
    expect(outcome.slice(-2)).toEqual([
      "dfu-status",
      "The device reports errWRITE: the memory cannot be written (state dfuERROR).",
    ]);
    // What a session left behind is cleared by the next one.
    dfu.failAt = undefined;
    expect((await download({}, new Uint8Array(100))).at(-1)).toBe("done");
  });

  it.each([0, 1, 5, 20])(
    "survives that the cable is pulled after request %i, and starts over when it is back",
    async (count) => {
      const { dfu, device } = zephyr();
      await plug(port, device);
      const unplugged = new Promise<void>((resolve, reject) => {
        dfu.onDownload = () => {
          if (dfu.history.length <= count) return;
          dfu.onDownload = () => {};
          // Its answer is on the way first.
          setImmediate(() => port.unplug().then(resolve, reject));
        };
      });
      const outcome = download({}, image, { alternate: 1 });
      await unplugged;
      expect((await outcome).at(-2)).toBe("lost");
      const again = zephyr();
      await plug(port, again.device);
      expect((await download({}, image, { alternate: 1 })).at(-1)).toBe("done");
      expect(toHex(again.dfu.memories[1]!)).toBe(toHex(image));
    },
  );

  it("refuses to guess between two devices, and writes the one that is named", async () => {
    const one = zephyr("Z1");
    const two = zephyr("Z2");
    await plug(port, one.device);
    await plug(second, two.device);
    const error = await download({}, image, { alternate: 1 }).catch((caught: GuestError) => caught);
    expect(error).toMatchObject({ code: "ambiguous-port" });
    expect((await download({ serialNumber: "Z2" }, image, { alternate: 1 })).at(-1)).toBe("done");
    expect(one.dfu.history).toEqual([]);
    expect(toHex(two.dfu.memories[1]!)).toBe(toHex(image));
  });

  it("asks a running firmware to leave, and follows it into DFU mode on the same port", async () => {
    const runtime = new DfuRuntime(0);
    const firmware = new EmulatedDevice({ ...ZEPHYR, productId: 5, serialNumber: "Z1" }, [runtime]);
    const { dfu, device } = zephyr();
    runtime.onDetach = () => void swap(device);
    dfu.onFinish = () => void swap(firmware);
    await plug(port, firmware);
    // Another device of the same kind is in DFU mode all the while.
    const other = zephyr("Z2");
    await plug(second, other.device);
    const outcome = await download({ usbPort: "1-4" }, image, { alternate: 1 });
    expect(outcome).toEqual(["device", "plan", "sent", "leaving", "done"]);
    expect(toHex(dfu.memories[1]!)).toBe(toHex(image));
    expect(other.dfu.history).toEqual([]);
    await eventually("the firmware is back", () => port.device === firmware || undefined);
  });

  /** What a device does by itself: off the bus, and after a moment back as another. */
  async function swap(next: EmulatedDevice): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 700));
    await port.unplug();
    await port.plug(next);
  }

  it("does not follow into another device that took its place", async () => {
    const runtime = new DfuRuntime(0);
    const firmware = new EmulatedDevice({ ...ZEPHYR, productId: 5, serialNumber: "Z1" }, [runtime]);
    const stranger = zephyr("Z9");
    runtime.onDetach = () => void swap(stranger.device);
    await plug(port, firmware);
    const error = await download({}, image, { alternate: 1 }).catch((caught: GuestError) => caught);
    expect(error).toMatchObject({
      code: "dfu-stuck",
      message: expect.stringContaining("this is a different device"),
    });
    expect(stranger.dfu.history).toEqual([]);
  });

  it("leaves other boards alone when there is no DFU device", async () => {
    const echo = new EchoDevice();
    await plug(port, echo);
    const error = await download({}, image).catch((caught: GuestError) => caught);
    expect(error).toMatchObject({ code: "not-found" });
  });
});

/** Made by dfuse-pack of dfu-util 0.11: "ABCDEFGH" at 0x08000000, "xyz" at 0x08004000, for 0483:df11. */
const DFUSE_FILE = concat(
  fromHex("4466755365014801000001546172676574000100000053542e2e2e"),
  new Uint8Array(249),
  fromHex("001b0000000200000000000008080000004142434445464748004000080300000078797a"),
  fromHex("000011df83041a01554644104762fb6c"),
);
