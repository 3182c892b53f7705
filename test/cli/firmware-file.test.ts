import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { concat } from "../../src/bytes.js";
import { readBody, readFirmware, readImageFile } from "../../src/cli/firmware-file.js";
import { runImgtool } from "../../src/cli/imgtool/run.js";
import { formatIntelHex, parseIntelHex, type Segment } from "../../src/formats/intel-hex.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { bootproof, json, tempFolder } from "../support/cli-run.js";
import { inputFile, inputPath } from "../support/input-files.js";

const image = inputFile("v2dep.bin");
const bootloader = new Uint8Array(300).fill(0x42);
const uicr = { address: 0x1000_1014, bytes: Uint8Array.of(0, 0, 1, 0) };
const merged: Segment[] = [{ address: 0, bytes: bootloader }, { address: 0xc000, bytes: image }, uicr];

function file(name: string, content: string | Uint8Array): string {
  const path = join(tempFolder(), name);
  writeFileSync(path, content);
  return path;
}

const padded = concat(image, new Uint8Array(0x2000 - image.length - 16).fill(0xff));
const trailerMagic = inputFile("r0.bin").subarray(-16);

describe("the image in a file", () => {
  it.each(["merged.hex", "merged.ihex", "merged.txt"])("%s: found among bootloader and settings", (name) => {
    const found = readImageFile(file(name, formatIntelHex(merged)));
    expect(found.address).toBe(0xc000);
    expect(Buffer.compare(found.bytes, image)).toBe(0);
    expect(found.notes).toEqual([
      expect.stringMatching(/^The image is at 0xc000 of .*; 304 bytes elsewhere in the file/),
    ]);
  });

  it("keeps the trailer of its slot, as --confirm writes it into a HEX file of its own", () => {
    const segments = [
      { address: 0xc000, bytes: image },
      { address: 0xdff0, bytes: trailerMagic },
    ];
    const found = readImageFile(file("padded.hex", formatIntelHex(segments)));
    expect(Buffer.compare(found.bytes, concat(padded, trailerMagic))).toBe(0);
    expect(found.notes).toEqual([]);
  });

  it("refuses two images with their places, and firmware that is not signed", () => {
    expect(() => readImageFile(inputPath("two_slots.hex"))).toThrow(
      expect.objectContaining({ code: "several-images", message: expect.stringMatching(/0xc000, 0x8c000/) }),
    );
    const unsigned = formatIntelHex([{ address: 0x100, bytes: bootloader }]);
    expect(() => readImageFile(file("zephyr.hex", unsigned))).toThrow(
      expect.objectContaining({ code: "no-image", hint: expect.stringMatching(/bootproof sign/) }),
    );
  });

  it("a broken image is given to the parser, which says what is broken", () => {
    const cut = formatIntelHex([
      { address: 0, bytes: bootloader },
      { address: 0xc000, bytes: image.subarray(0, 3000) },
    ]);
    const { bytes } = readImageFile(file("cut.hex", cut));
    expect(() => parseImage(bytes)).toThrow(expect.objectContaining({ code: "image-truncated" }));
  });

  it("a HEX file that does not end as it should says so", () => {
    const text = formatIntelHex([{ address: 0xc000, bytes: image }]);
    expect(readFirmware(file("cut.hex", text.replace(":00000001FF\n", ""))).notes).toEqual([
      expect.stringMatching(/no end record/),
    ]);
    expect(readFirmware(file("more.hex", `${text}hello\n`)).notes).toEqual([
      expect.stringMatching(/1 lines after its end record/),
    ]);
  });
});

describe("firmware to be signed", () => {
  it("leaves settings in another memory out and says so; code there is not lost in silence", () => {
    const { bytes, address, notes } = readBody(file("app.hex", formatIntelHex([merged[0]!, uicr])));
    expect([address, bytes.length]).toEqual([0, 300]);
    expect(notes).toEqual(["4 bytes at 0x10001014 are outside the firmware and were omitted."]);
    const far = formatIntelHex([
      { address: 0, bytes: new Uint8Array(8192).fill(1) },
      { address: 0x7000_0000, bytes: new Uint8Array(8192).fill(2) },
    ]);
    expect(() => readBody(file("far.hex", far))).toThrow(expect.objectContaining({ code: "hex-too-large" }));
  });

  it("containers are not taken for it, whatever they are called; Intel HEX is read under every name", () => {
    const srec = "S1130000285F245F2212226A000424290008237C2A\nS9030000FC\n";
    expect(() => readBody(file("app.bin", srec))).toThrow(
      expect.objectContaining({ code: "not-firmware", message: expect.stringMatching(/S-record/) }),
    );
    expect(readBody(file("model.bin", '{"layers": []}')).notes).toEqual([
      expect.stringMatching(/is a JSON file; its bytes are signed as they are/),
    ]);
    const hex = formatIntelHex([{ address: 0x8000, bytes: bootloader }]);
    expect(readBody(file("app.txt", hex))).toMatchObject({ address: 0x8000, bytes: bootloader });
  });

  it("what is odd about it is said before it is signed, by sign and by imgtool's sign", async () => {
    const folder = tempFolder();
    const zeros = join(folder, "zeros.bin");
    writeFileSync(zeros, new Uint8Array(2048));
    const said: string[] = [];
    const io = { out: () => {}, err: (line: string) => said.push(line) };
    const how = [
      "-H",
      "0x20",
      "--pad-header",
      "-S",
      "0x4000",
      "-v",
      "1.0.0",
      "--overwrite-only",
      "--confirm",
    ];
    expect(await runImgtool(["sign", ...how, "--align", "8", zeros, join(folder, "out.bin")], io)).toBe(0);
    expect(said.join("\n")).toMatch(/begins with zeros where a Cortex-M has stack and entry/);
    expect(said.join("\n")).toMatch(/no image_ok: the image is not confirmed, despite --confirm/);
    said.length = 0;
    const again = ["sign", "-H", "0x20", "--pad-header", "-S", "0x4000", "-v", "1.0.0", "--align", "8"];
    expect(await runImgtool([...again, inputPath("net.bin"), join(folder, "twice.bin")], io)).toBe(0);
    expect(said.join("\n")).toMatch(/is already a signed image, and is signed a second time/);
  });
});

describe("inspect", () => {
  it("shows both images of a HEX file at their addresses, and its slots by them", async () => {
    const hex = inputPath("two_slots.hex");
    const { value } = await json(["inspect", hex]);
    expect((value.images as { offset: number }[]).map(({ offset }) => offset)).toEqual([0xc000, 0x8c000]);
    const slots = ["--slots", "0xc000:0x80000", "--slots", "0x8c000:0x80000", "--mode", "swap-move"];
    const { value: both } = await json(["inspect", hex, ...slots]);
    expect(both.slots).toMatchObject([
      { role: "primary", version: "2.0.0", size: 0x8_0000, empty: false },
      { role: "secondary", version: "2.0.0", size: 0x8_0000, empty: false },
    ]);
  });

  it("finds the image beside UICR, with its address", async () => {
    const path = file("app.hex", formatIntelHex([merged[1]!, uicr]));
    const { value, stderr } = await json(["inspect", path]);
    expect(value).toMatchObject({ address: 0xc000, imageSize: image.length });
    expect(stderr).toMatch(/Besides the image: 4 bytes at 0x10001014/);
  });

  it("shows where firmware starts, and a slot of a chip that erases to 0", async () => {
    const net = await bootproof(["inspect", inputPath("net.bin")]);
    expect(net.stdout).toMatch(/stack 0x21010000, entry 0x01008a01/);
    expect(net.stdout).toMatch(/nRF5340's network core/);
    const { value } = await json(["inspect", inputPath("r0.bin")]);
    expect(value.slots).toMatchObject([
      { version: "1.2.3", trailer: { magic: "good", imageOk: "set", copyDone: "unset" } },
    ]);
    expect((value.slots as { map: { kind: string }[] }[])[0]!.map.map(({ kind }) => kind)).toContain("free");
  });
});

it("what is written as HEX is what verify and flash read", async () => {
  const path = file("image.hex", formatIntelHex(merged));
  const verified = await json(["verify", path, "--key", inputPath("pub.pem")]);
  expect(verified.value).toMatchObject({ result: "good" });
  expect(parseIntelHex(formatIntelHex(merged))).toHaveLength(3);
  const { stderr, status } = await bootproof(["flash", inputPath("two_slots.hex"), "-d", "wasm:good"]);
  expect([status, stderr]).toEqual([21, expect.stringMatching(/holds 2 images, at 0xc000, 0x8c000/)]);
});
