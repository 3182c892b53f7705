import { describe, expect, test } from "vitest";
import { fixtureKey } from "../../src/emulator/catalog.js";
import { beforeCrlf } from "../../src/formats/text-damage.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { signImage } from "../../src/mcuboot/sign.js";
import { verifyImage } from "../../src/mcuboot/verify.js";

/** As a copy in text mode leaves it. */
const copied = (bytes: Uint8Array) =>
  new Uint8Array(Buffer.from(Buffer.from(bytes).toString("latin1").replaceAll("\n", "\r\n"), "latin1"));

const body = Uint8Array.from({ length: 8192 }, (_, index) => (index * 7 + (index >> 8)) & 0xff);
const image = async () => {
  const key = await fixtureKey("ed25519-1");
  const options = { key, version: "1.10.0", headerSize: 512, padHeader: true, slotSize: 0x20000 };
  return (await signImage(body, options)).image;
};

describe("a file copied in text mode", () => {
  test("is known by the carriage return before each line feed, and becomes what it was", async () => {
    const whole = await image();
    expect(beforeCrlf(copied(whole))).toEqual(whole);
    expect(beforeCrlf(whole)).toBeUndefined();
    expect(beforeCrlf(body)).toBeUndefined();
    expect(beforeCrlf(Uint8Array.of(0x0d, 0x0a))).toBeUndefined();
  });

  test("is told as that, with the way on, by whatever takes an image", async () => {
    const damaged = copied(await image());
    expect(() => parseImage(damaged)).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(/^Copied in text mode/),
        hint: expect.stringContaining("binary mode"),
      }),
    );
    const { result, checks } = await verifyImage(damaged, {});
    expect(result).toBe("bad");
    expect(checks.find(({ name }) => name === "structure")?.sentence).toMatch(/^Copied in text mode/);
  });

  test("is no excuse for an image that is broken otherwise", async () => {
    const damaged = copied((await image()).subarray(0, 4000));
    expect(() => parseImage(damaged)).toThrow(/^(?!Copied in text mode)/);
  });
});
