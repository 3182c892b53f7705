import { describe, expect, test } from "vitest";
import { toHex } from "../../src/bytes.js";
import { DfuDevice } from "../../src/dfu-transfer/device.js";
import { type DownloadEvent, type DownloadOptions, download } from "../../src/dfu-transfer/download.js";
import { HUB_DESCRIPTOR_TYPES, readHubDescriptor } from "../../src/power/hub-descriptor.js";
import { run } from "../../src/session/run.js";
import { TransportError } from "../../src/transport/transport.js";
import type { UsbFound } from "../../src/transport/usb-handle.js";
import { EmulatedDevice } from "../support/usb/device.js";
import { DfuSe, PlainDfu } from "../support/usb/dfu.js";
import { directCable } from "../support/usb/direct-cable.js";
import { hubDevice, PowerHub } from "../support/usb/hub.js";
import { image } from "../support/workflow-board.js";

const ST_ROM = { vendorId: 0x0483, productId: 0xdf11, release: 0x2200, product: "STM32  BOOTLOADER" };
const ZEPHYR = { vendorId: 0x2fe3, productId: 0xffff, release: 0x0100, product: "DFU" };

/** Steps, repeats left out, and the result or the error. */
async function send(device: EmulatedDevice, file: Uint8Array, options: DownloadOptions = {}) {
  const steps: DownloadEvent["step"][] = [];
  const dfu = await DfuDevice.open(directCable(device));
  try {
    const result = await run(download(dfu, file, options), ({ step }) => {
      if (steps.at(-1) !== step) steps.push(step);
    });
    return { steps, result };
  } catch (error) {
    return { steps, error };
  } finally {
    await dfu.close();
  }
}

test("ST's flash is read back before the program in it is started", async () => {
  const rom = new DfuSe();
  const file = Uint8Array.from({ length: 5000 }, (_, index) => index * 3);
  const { steps, result } = await send(new EmulatedDevice(ST_ROM, [rom]), file);
  expect(steps).toEqual(["device", "plan", "erased", "sent", "compared", "leaving"]);
  expect(result).toMatchObject({ verified: true, left: true, bytes: 5000 });
  expect(toHex(rom.flash.subarray(0, 5000))).toBe(toHex(file));
  expect(rom.startedAt).toBe(DfuSe.ADDRESS);
});

describe("an image for a slot of ST's flash", () => {
  const file = new Uint8Array(5000).fill(0x5a);
  const slot = { address: DfuSe.ADDRESS + 0x4000, size: 0x4000 };

  test("takes its pages and the trailer's, and MCUboot is started, not the image", async () => {
    const rom = new DfuSe();
    rom.flash.fill(0);
    const { result } = await send(new EmulatedDevice(ST_ROM, [rom]), file, { slot });
    expect(result).toMatchObject({ verified: true, left: true, pagesErased: 3 });
    expect(rom.erasedPages).toEqual([0x0800_4000, 0x0800_5000, 0x0800_7000]);
    expect(rom.flash.subarray(0x4000, 0x4000 + file.length)).toEqual(file);
    expect(rom.startedAt).toBe(DfuSe.ADDRESS);
  });

  test.each([
    ["that it does not fit in", { ...slot, size: 0x1000 }, /5000 bytes do not fit in the slot of 4096/],
    [
      "that begins within a page",
      { ...slot, address: slot.address + 16 },
      /shares a page with its neighbours/,
    ],
    ["that ends within a page", { ...slot, size: slot.size - 16 }, /shares a page with its neighbours/],
    ["outside the memory", { ...slot, address: 0x0900_0000 }, /is not declared as memory/],
  ])("is refused before anything is erased: %s", async (_, where, message) => {
    const rom = new DfuSe();
    const { error } = await send(new EmulatedDevice(ST_ROM, [rom]), file, { slot: where });
    expect(error).toMatchObject({ code: "dfu-memory", message: expect.stringMatching(message) });
    expect(rom.erasedPages).toEqual([]);
  });
});

test("what does not read back as it was sent is not started, and the byte is named", async () => {
  const rom = new DfuSe();
  rom.wornAt = DfuSe.ADDRESS + 1234;
  const { error } = await send(new EmulatedDevice(ST_ROM, [rom]), new Uint8Array(3000));
  expect(error).toMatchObject({
    code: "dfu-verify",
    message: "The memory does not contain what was written: at 0x080004d2 there is 0x01, and 0x00 was sent.",
  });
  expect(rom.startedAt).toBeUndefined();
});

test("a chip that is protected against reading is started unread, and that is said", async () => {
  const rom = new DfuSe();
  rom.isProtected = true;
  const { steps, result } = await send(new EmulatedDevice(ST_ROM, [rom]), new Uint8Array(3000));
  expect(steps.slice(-2)).toEqual(["unverified", "leaving"]);
  expect(result).toMatchObject({ verified: false, left: true });
  expect(rom.startedAt).toBe(DfuSe.ADDRESS);
});

test("a fault is told when it happens, and to whoever asks later, until the next download", async () => {
  const rom = new DfuSe();
  const device = new EmulatedDevice(ST_ROM, [rom]);
  rom.failAt = { count: 3, status: 3 };
  // Opened anew it would be configured anew, which clears the fault.
  const dfu = await DfuDevice.open(directCable(device));
  const file = new Uint8Array(9000);
  await expect(run(download(dfu, file))).rejects.toMatchObject({
    code: "dfu-status",
    message: expect.stringContaining("errWRITE"),
  });
  for (const _asked of [1, 2])
    expect(await dfu.status()).toMatchObject({ name: "errWRITE", state: "dfuERROR" });
  expect(await run(download(dfu, file))).toMatchObject({ verified: true });
  await dfu.close();
});

test("nothing is read back when nobody wants it", async () => {
  const rom = new DfuSe();
  const { steps } = await send(new EmulatedDevice(ST_ROM, [rom]), new Uint8Array(3000), { verify: false });
  expect(steps).not.toContain("compared");
});

test.each([
  ["waits for its reset is read back", true, ["sent", "leaving", "compared"]],
  ["leaves by itself is not", false, ["sent", "leaving"]],
] as const)("a device without addresses that %s", async (_, isTolerant, last) => {
  const dfu = new PlainDfu({ interfaceNumber: 0, transferSize: 1024, names: ["image 1"], isTolerant });
  const file = await image("good-b");
  const { steps, result } = await send(new EmulatedDevice(ZEPHYR, [dfu]), file);
  expect(steps).toEqual(["device", "plan", ...last]);
  expect(result).toMatchObject({ verified: isTolerant });
  expect(toHex(dfu.memories[0]!)).toBe(toHex(file));
});

test.each(["per-port", "ganged", "none"] as const)(
  "an emulated hub says how it switches: %s",
  async (switching) => {
    const handle = await directCable(hubDevice(new PowerHub(4, switching))).open();
    const ask = {
      type: "class",
      recipient: "device",
      request: 6,
      value: HUB_DESCRIPTOR_TYPES[0] << 8,
      index: 0,
    } as const;
    expect(readHubDescriptor(await handle.controlIn(ask, 71))).toEqual({ ports: 4, switching });
  },
);

/** The device at the end of a cable that is pulled at the given request. */
function pulledAt(device: EmulatedDevice, request: number): UsbFound {
  let count = 0;
  const pulled = <T>(ask: () => Promise<T>): Promise<T> =>
    count++ < request ? ask() : Promise.reject(new TransportError("lost", "1-4", "It went away."));
  const found = directCable(device);
  return {
    ...found,
    open: async () => {
      const handle = await found.open();
      return {
        ...handle,
        controlIn: (...words) => pulled(() => handle.controlIn(...words)),
        controlOut: (...words) => pulled(() => handle.controlOut(...words)),
      };
    },
  };
}

test("a cable pulled at any request ends the download with that, and the next one finishes it", async () => {
  const file = Uint8Array.from({ length: 9000 }, (_, index) => index * 7);
  const slot = { address: DfuSe.ADDRESS + 0x4000, size: 0x8000 };
  const wanted = { result: { verified: true, left: true } };
  let at = 0;
  for (; ; at++) {
    const rom = new DfuSe();
    const device = new EmulatedDevice(ST_ROM, [rom]);
    const ended = await DfuDevice.open(pulledAt(device, at))
      .then((dfu) => run(download(dfu, file, { slot })))
      .catch((error: unknown) => error as TransportError);
    if (!(ended instanceof TransportError)) break;
    expect(ended.code).toBe("lost");
    expect(await send(device, file, { slot })).toMatchObject(wanted);
    expect(toHex(rom.flash.subarray(0x4000, 0x4000 + file.length))).toBe(toHex(file));
    expect(rom.startedAt).toBe(DfuSe.ADDRESS);
  }
  expect(at).toBeGreaterThan(50);
});
