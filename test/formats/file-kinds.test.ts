import { readdirSync, readFileSync } from "node:fs";
import { deflateRawSync, gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { concat, fromBase64, fromHex } from "../../src/bytes.js";
import { findVectors, otherCoreOf, vectorsAt } from "../../src/formats/cortex-m.js";
import { fileKindOf } from "../../src/formats/file-kinds.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { bodyWarnings } from "../../src/mcuboot/start.js";
import { vectorFile } from "../support/image-imgtool-args.js";
import { inputFile } from "../support/input-files.js";

const text = (content: string) => new TextEncoder().encode(content);
const prebuilt = new URL("../../firmware-fixtures/prebuilt/", import.meta.url);
const firmware = readdirSync(prebuilt)
  .filter((name) => name.endsWith(".bin"))
  .map((name) => [name, new Uint8Array(readFileSync(new URL(name, prebuilt)))] as const);

const image = inputFile("v2dep.bin");
/** The first bytes of an image after a program that took them for text. */
const asUtf8 = text(new TextDecoder("utf-8").decode(image));
const fromLatin1 = text(Buffer.from(image).toString("latin1"));
const asUtf16 = new Uint8Array(
  Buffer.concat([fromHex("fffe"), Buffer.from(Buffer.from(image).toString("latin1"), "utf16le")]),
);
const zipped = concat(
  fromHex("504b03041400000008000000000000000000"),
  deflateRawSync(image),
  text("manifest.json"),
);

describe("a file is named by its content", () => {
  it.each([
    ["an empty file", new Uint8Array(0)],
    ["an Intel HEX file", inputFile("two_slots.hex")],
    [
      "a Motorola S-record file",
      text("S00600004844521B\nS1130000285F245F2212226A000424290008237C2A\nS9030000FC\n"),
    ],
    ["a UF2 file", concat(fromHex("5546320a57515d9e00200000"), new Uint8Array(500))],
    ["a DfuSe file (STM32's .dfu)", concat(text("DfuSe"), new Uint8Array(300))],
    ["an update bundle (zip with a manifest)", zipped],
    ["a zip archive", zipped.subarray(0, -13)],
    ["a gzip archive", new Uint8Array(gzipSync(image))],
    ["a tar archive", concat(new Uint8Array(257).fill(0x61), text("ustar"), new Uint8Array(250))],
    ["an ESP32 image", concat(fromHex("e906022fe4223840ee000000"), new Uint8Array(100))],
    ["an image of MCUboot's format before 2017", concat(fromHex("3cb8f396"), new Uint8Array(100))],
    [
      "a Git LFS pointer, not the file itself",
      text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"),
    ],
    ["a web page", text("\n<!DOCTYPE html>\n<html><head><title>Sign in</title>")],
    ["a web page", text("\ufeff<html>")],
    ["a script", text("#!/bin/sh\necho hello\n")],
    ["a PEM file (a key or a certificate)", inputFile("pub.pem")],
    ["a JSON file", text('{"version": 1}')],
    ["an image that was read as UTF-8 text: its bytes are lost", asUtf8],
    ["an image that was converted to UTF-8", fromLatin1],
    ["an image that was converted to UTF-16", asUtf16],
    ["an image whose bytes lost their top bit", image.map((byte) => byte & 0x7f)],
    ["erased flash", new Uint8Array(64).fill(0xff)],
    ["nothing but zeros", new Uint8Array(64)],
  ])("%s", (name, bytes) => {
    expect(fileKindOf(bytes)).toMatchObject({ name, hint: expect.stringMatching(/^[A-Z].*\.$/) });
    expect(() => parseImage(bytes)).toThrow(
      expect.objectContaining({ message: expect.stringContaining(name), hint: fileKindOf(bytes)!.hint }),
    );
  });

  it("an ELF file, with the machine in ELF's own words", () => {
    const { rows } = JSON.parse(vectorFile("elf-files.json")) as { rows: { elf: string }[] };
    const names = rows.map(({ elf }) => fileKindOf(new Uint8Array(gunzipSync(fromBase64(elf))))!.name);
    expect(new Set(names)).toEqual(new Set(["an ELF file for Arm (32 bits)", "an ELF file for x86-64"]));
  });

  it.each(firmware)("%s, real firmware, is taken for nothing else", (_name, bytes) => {
    expect(fileKindOf(bytes)).toBeUndefined();
  });

  it("an image is no other kind either", () => expect(fileKindOf(image)).toBeUndefined());
});

describe("vectors of Cortex-M", () => {
  // The two parts are data for another slot.
  it.each(firmware.filter(([name]) => !name.startsWith("part-")))(
    "%s: those that its startup code has",
    (_name, bytes) => {
      const found = findVectors(bytes)!;
      expect(found.entry % 2).toBe(1);
      expect(vectorsAt(bytes, found.offset)).toEqual(found);
      expect(() => parseImage(bytes)).toThrow(/unsigned firmware for Cortex-M/);
    },
  );

  it("are not seen in chance, in counting bytes and in RISC-V code", () => {
    const riscv = fromHex("97020000938242029382c2ff73905230".repeat(20));
    for (const bytes of [riscv, Uint8Array.from({ length: 300 }, (_, index) => index)])
      expect([vectorsAt(bytes), findVectors(bytes)]).toEqual([undefined, undefined]);
  });

  it("those of a network core are named", () => {
    const { body } = parseImage(inputFile("net.bin"));
    const vectors = vectorsAt(body)!;
    expect(vectors).toEqual({ stack: 0x2101_0000, entry: 0x0100_8a01, offset: 0 });
    expect(otherCoreOf(vectors)).toBe("nRF5340's network core");
    expect(bodyWarnings(body)).toEqual([
      "Stack 0x21010000 and entry 0x01008a01 are those of nRF5340's network core: the firmware does not start on an application core.",
    ]);
  });

  it("a body that cannot start says why", () => {
    const [, plain] = firmware.find(([name]) => name === "boot.bin")!;
    const { offset, entry } = findVectors(plain)!;
    const bare = plain.subarray(offset);
    expect(bodyWarnings(bare)).toEqual([]);
    expect(bodyWarnings(concat(new Uint8Array(0x200), bare))[0]).toMatch(
      /begins with zeros .* vectors are 512 bytes further on: there is room for two headers/,
    );
    expect(bodyWarnings(new Uint8Array(4096))[0]).toMatch(/begins with zeros/);
    expect(bodyWarnings(bare, entry - 1)).toEqual([]);
    expect(bodyWarnings(bare, 0x0800_0000)[0]).toMatch(/outside of the body.*linked for another address/);
    expect(bodyWarnings(image)[0]).toMatch(/already a signed image/);
  });
});
