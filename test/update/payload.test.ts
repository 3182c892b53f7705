import { describe, expect, it } from "vitest";
import { concat, equal } from "../../src/bytes.js";
import { LAYOUT, slotOffset } from "../../src/emulator/layout.js";
import { type TrailerIntent, tailOf, withMadeTrailer } from "../../src/mcuboot/file-tail.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { BOOT_MAGIC_SIZE, parseTrailer, trailerLayout } from "../../src/mcuboot/trailer.js";
import type { BoardFacts } from "../../src/session/facts.js";
import { restart } from "../../src/session/restart.js";
import { run } from "../../src/session/run.js";
import { payloadFor } from "../../src/update/payload.js";
import { harm, patient, recoverTarget } from "../support/recovery-target.js";
import { bench, image, stands, tell, trustedKey } from "../support/workflow-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";

const SLOTS = [
  { address: 0, size: LAYOUT.slotSize },
  { address: LAYOUT.slotSize, size: LAYOUT.slotSize },
] as const;

/** The file that a build leaves beside the right one: padded to the slot, with a trailer. */
async function withTrailer(
  intent: TrailerIntent,
  id = "good-b",
): Promise<{ file: Uint8Array; size: number }> {
  const plain = await image(id);
  const parsed = parseImage(plain);
  return { file: withMadeTrailer(plain, parsed, { intent, slotSize: LAYOUT.slotSize }), size: parsed.size };
}

const trailerCheck = (checks: readonly { name: string }[]) => checks.find(({ name }) => name === "trailer");

describe("flash sends the image and not what follows it", () => {
  it.each(["test", "confirmed"] as const)("with a trailer that asks for %s", (intent) =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const { file, size } = await withTrailer(intent);
      const { result, steps } = await tell(session, file);
      expect(result).toMatchObject({ outcome: "confirmed", uploadedBytes: size });
      expect(steps).toContain("marked");
      expect(trailerCheck(result.preflight)).toMatchObject({
        result: intent === "test" ? "pass" : "warn",
        message: expect.stringContaining(`${file.length - size} bytes follow the image`),
      });
    }),
  );

  it("with padding, and with the bytes of another file", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const plain = await image("good-b");
      const dry = { dryRun: true };
      const padded = await tell(session, concat(plain, new Uint8Array(999).fill(0xff)), dry);
      expect(trailerCheck(padded.result.preflight)).toMatchObject({
        result: "pass",
        message: "999 bytes of padding follow the image; they are not sent.",
      });
      const { result } = await tell(session, concat(plain, await image("good-a")));
      expect(result).toMatchObject({ outcome: "confirmed", uploadedBytes: parseImage(plain).size });
      expect(trailerCheck(result.preflight)).toMatchObject({ result: "warn" });
    }));

  it("and refuses a trailer that makes permanent what shall be left on trial", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const { file, size } = await withTrailer("confirmed");
      const refused = await tell(session, file, { confirm: false });
      expect(refused.result).toMatchObject({
        outcome: "refused-by-preflight",
        message: expect.stringContaining("permanent without a trial boot"),
        hint: expect.stringContaining("--skip trailer"),
      });
      const { result } = await tell(session, file, { confirm: false, skip: ["trailer"] });
      expect(result).toMatchObject({ outcome: "on-trial", uploadedBytes: size });
      await run(restart(session));
      expect(await stands(session)).toMatchObject({ version: "1.0.0", confirmed: true });
    }));
});

describe("recover leaves no foreign trailer in the primary slot", () => {
  it.each(["test", "confirmed"] as const)("of a file that asks for %s", (intent) =>
    inVirtualTime(async () => {
      const { target, board } = await patient(harm.erasePrimary);
      const { file, size } = await withTrailer(intent, "good-a");
      const { result, events } = await recoverTarget(target, file);
      expect(result).toMatchObject({ outcome: "recovered", flash: { uploadedBytes: size } });
      const end = board.readFlash(slotOffset(0, 0) + LAYOUT.slotSize - 16, 16);
      expect(equal(end, new Uint8Array(16).fill(0xff))).toBe(true);
      const told = events.find((event) => event.step === "file");
      expect(told?.step === "file" && trailerCheck(told.checks)).toMatchObject({ result: "warn" });
    }),
  );
});

describe("a trailer is made on purpose", () => {
  const facts = (server: BoardFacts["server"], mode?: number): BoardFacts => ({
    ...{ name: "a board", server, bufSize: 1024, bufSizeFrom: "server", reportsTrust: false },
    ...(mode === undefined ? {} : { bootloader: { mode } }),
    images: [{ image: 0, slots: [0, 1].map((slot) => ({ image: 0, slot, size: LAYOUT.slotSize })) }],
  });

  it.each([
    ["direct-XIP with revert", 5, true, "confirmed"],
    ["direct-XIP with revert, on trial", 5, false, "test"],
    ["RAM load, which may revert", 6, true, "confirmed"],
    ["direct-XIP without revert", 4, true, undefined],
    ["swap using move", 3, true, undefined],
    ["a mode that is not told", undefined, true, undefined],
  ] as const)("in serial recovery of %s", async (_, mode, confirm, made) => {
    const plain = await image("good-b");
    const payload = payloadFor(plain, parseImage(plain), facts("recovery", mode), { confirm });
    expect(payload.made).toBe(made);
    if (made === undefined) return expect(payload.bytes).toHaveLength(parseImage(plain).size);
    expect(payload.check).toMatchObject({
      result: "warn",
      message: expect.stringContaining("trailer is made"),
    });
    expect(payload.bytes).toHaveLength(LAYOUT.slotSize);
    expect(tailOf(payload.bytes, parseImage(plain))).toMatchObject({ kind: "trailer", intent: made });
  });

  it("is left to an application, which writes it when it marks the image", async () => {
    const plain = await image("good-b");
    expect(payloadFor(plain, parseImage(plain), facts("application", 5)).made).toBeUndefined();
  });

  it("needs the slot's size, of the board or of a padded file", async () => {
    const { file } = await withTrailer("test");
    const unknown = { ...facts("recovery", 5), images: [] };
    const plain = await image("good-b");
    expect(payloadFor(plain, parseImage(plain), unknown).check).toMatchObject({ result: "fail" });
    const payload = payloadFor(file, parseImage(file), unknown);
    expect(payload).toMatchObject({ made: "confirmed", check: { result: "warn" } });
    expect(payload.bytes).toHaveLength(file.length);
  });

  it("when it is asked for, and the board boots what it gets so", () =>
    inVirtualTime(async () => {
      const { target, board } = await patient(harm.erasePrimary);
      const asked = { trailer: "confirmed" } as const;
      // Without the slot's size nothing is made, and nothing is done.
      const unsized = await recoverTarget(target, await image("good-a"), asked);
      expect(unsized.result).toMatchObject({
        outcome: "refused-by-preflight",
        message: expect.stringContaining("does not report the slot's size"),
      });
      const { result } = await recoverTarget(target, (await withTrailer("test", "good-a")).file, asked);
      expect(result.outcome).toBe("recovered");
      const slot = board.readFlash(slotOffset(0, 0), LAYOUT.slotSize);
      expect(tailOf(slot, parseImage(slot))).toMatchObject({ kind: "trailer", intent: "confirmed" });
    }));

  it("is filled with what erased flash reads as: told, or as the file's own padding", async () => {
    const plain = await image("good-b");
    const parsed = parseImage(plain);
    const wish = { trailer: "confirmed", slotSize: LAYOUT.slotSize } as const;
    const padded = withMadeTrailer(plain, parsed, {
      intent: "test",
      slotSize: LAYOUT.slotSize,
      erasedValue: 0,
    });
    for (const [file, more] of [
      [plain, { erasedValue: 0 }],
      [padded, {}],
    ] as const) {
      const { bytes, check } = payloadFor(file, parseImage(file), undefined, { ...wish, ...more });
      const magicAt = bytes.length - BOOT_MAGIC_SIZE;
      const imageOk = bytes.length - trailerLayout(8).imageOk;
      const behind = bytes.subarray(parsed.size, magicAt);
      expect([...behind].flatMap((byte, at) => (byte === 0 ? [] : [at + parsed.size]))).toEqual([imageOk]);
      expect(check.message).toContain("erased flash is 0");
    }
    const usual = payloadFor(plain, parsed, undefined, wish).bytes;
    expect(usual.subarray(parsed.size).filter((byte) => byte === 0)).toHaveLength(0);
  });

  it("for a board that erases to 0, where 0xff is a flag that was written wrongly", () =>
    inVirtualTime(async () => {
      const variant = "erased-0";
      const { target, board } = await patient(harm.erasePrimary, { variant });
      const keys = [await trustedKey(variant)];
      const asked = { keys, trailer: "confirmed", erasedValue: 0 } as const;
      const profile = { id: "l0", name: "L0", slots: SLOTS, sources: {} };
      const { result } = await recoverTarget(
        { ...target, profile },
        await image("good-a", { variant }),
        asked,
      );
      expect(result.outcome).toBe("recovered");
      const slot = board.readFlash(slotOffset(0, 0), LAYOUT.slotSize);
      expect(parseTrailer(slot, { erasedValue: 0 })).toMatchObject({
        magic: "good",
        imageOk: "set",
        copyDone: "unset",
      });
    }));
});
