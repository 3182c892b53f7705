import { beforeAll, describe, expect, it } from "vitest";
import { concat, fromHex } from "../../src/bytes.js";
import { keyFromSecret } from "../../src/crypto/keys.js";
import { type CheckedSlot, nextBoot } from "../../src/mcuboot/next-boot.js";
import { signImage } from "../../src/mcuboot/sign.js";
import { parseSlot, type SlotOptions } from "../../src/mcuboot/slot.js";
import { decideSwapType } from "../../src/mcuboot/swap-type.js";
import { bootMagic, trailerLayout } from "../../src/mcuboot/trailer.js";
import type { SwapMode } from "../../src/mcuboot/upgrade-modes.js";
import { verifyImage } from "../../src/mcuboot/verify.js";
import { payload, vectorFile } from "../support/image-imgtool-args.js";
import { throwAwayKeys } from "../support/image-keys.js";
import { buildRecorded, type Part } from "../support/image-recorded.js";

const SLOT = 0x20000;
const MODES: readonly SwapMode[] = ["swap-move", "swap-offset", "swap-scratch", "overwrite-only"];
const layout = trailerLayout(8);
const keys = await throwAwayKeys();
let old: Uint8Array;
let next: Uint8Array;

beforeAll(async () => {
  const options = { headerSize: 32, padHeader: true, slotSize: 0, key: keys.ed25519 };
  old = (await signImage(payload("p3000"), { ...options, version: "1.0.0" })).bytes;
  next = (await signImage(payload("p3000"), { ...options, version: "2.0.0" })).bytes;
});

interface Trailer {
  magic?: "good" | "bad";
  imageOk?: number;
  copyDone?: number;
  swapInfo?: number;
}

/** A whole slot: an image at an offset, and a trailer. */
function slotBytes(image: Uint8Array | undefined, trailer: Trailer = {}, offset = 0): Uint8Array {
  const bytes = new Uint8Array(SLOT).fill(0xff);
  if (image) bytes.set(image, offset);
  const put = (distance: number, value: number | undefined) => {
    if (value !== undefined) bytes[SLOT - distance] = value;
  };
  if (trailer.magic) bytes.set(trailer.magic === "good" ? bootMagic(8) : new Uint8Array(16), SLOT - 16);
  put(layout.imageOk, trailer.imageOk);
  put(layout.copyDone, trailer.copyDone);
  put(layout.swapInfo, trailer.swapInfo);
  return bytes;
}

async function checked(bytes: Uint8Array, options: SlotOptions = {}): Promise<CheckedSlot> {
  const slot = parseSlot(bytes, options);
  if (!slot.image) return { slot };
  const verdict = await verifyImage(bytes.subarray(slot.imageOffset), { keys: [keys.ed25519.publicKey] });
  return { slot, verdict };
}

const TEST = { magic: "good" } as const;

describe("the four requests, in every mode", () => {
  it.each(MODES)("%s", async (mode) => {
    const offset = mode === "swap-offset" ? { mode, sectorSize: 4096 } : {};
    const at = mode === "swap-offset" ? 4096 : 0;
    const say = async (primary: Trailer, secondary: Trailer) =>
      nextBoot(
        mode,
        await checked(slotBytes(old, primary)),
        await checked(slotBytes(next, secondary, at), offset),
      );
    expect(await say({}, {})).toMatchObject({ swapType: "none", outcome: "keep" });
    const test = await say({}, TEST);
    expect(test).toMatchObject({ swapType: "test", outcome: "swap", resumed: false });
    expect(test.steps.join(" ")).toContain("2.0.0");
    expect(test.steps.join(" ")).toContain(
      mode === "overwrite-only" ? "cannot be reverted" : "brings the old image back",
    );
    expect(await say({}, { magic: "good", imageOk: 1 })).toMatchObject({ swapType: "perm", outcome: "swap" });
    expect(await say({ magic: "good", copyDone: 1 }, {})).toMatchObject({
      swapType: "revert",
      outcome: "swap",
    });
    expect(await say({ magic: "good", copyDone: 1, imageOk: 1 }, {})).toMatchObject({ outcome: "keep" });
  });
});

describe("what stands between a request and its swap", () => {
  const of = async (mode: SwapMode, primary: Uint8Array, secondary: Uint8Array, options: SlotOptions = {}) =>
    nextBoot(mode, await checked(primary), await checked(secondary, options));
  const changed = (image: Uint8Array, at: number) => {
    const copy = image.slice();
    copy[at]! ^= 1;
    return copy;
  };

  it.each(MODES)("%s: nothing in the secondary", async (mode) => {
    const { outcome, steps } = await of(mode, slotBytes(old), slotBytes(undefined, TEST));
    expect(outcome).toBe("drop");
    // Recorded: overwrite-only leaves the request where it is.
    expect(steps[0]).toContain(mode === "overwrite-only" ? "stays and waits" : "is erased");
    expect(steps[1]).toContain("1.0.0 continues to run");
  });

  it.each(["swap-move", "swap-scratch", "overwrite-only"] as const)("%s: a damaged image", async (mode) => {
    const damaged = changed(next, 2000);
    expect(await of(mode, slotBytes(old), slotBytes(damaged, TEST))).toMatchObject({ outcome: "erase" });
  });

  it("an image flagged NON_BOOTABLE", async () => {
    const { bytes } = await signImage(payload("p64"), {
      version: "3.0.0",
      headerSize: 32,
      padHeader: true,
      slotSize: 0,
      key: keys.ed25519,
      nonBootable: true,
    });
    expect(await of("swap-move", slotBytes(old), slotBytes(bytes, TEST))).toMatchObject({ outcome: "drop" });
  });

  it("swap-offset: the image where backups are", async () => {
    const options = { mode: "swap-offset", sectorSize: 4096 } as const;
    const secondary = slotBytes(next, TEST);
    expect(await of("swap-offset", slotBytes(old), secondary, options)).toMatchObject({ outcome: "erase" });
  });

  it.each([
    ["swap-move", "stuck"],
    ["swap-offset", "stuck"],
    ["swap-scratch", "swap"],
    ["overwrite-only", "swap"],
  ] as const)("%s with an empty primary: %s", async (mode, outcome) => {
    const at = mode === "swap-offset" ? 4096 : 0;
    const options = mode === "swap-offset" ? { mode, sectorSize: 4096 } : {};
    const result = await of(mode, slotBytes(undefined), slotBytes(next, TEST, at), options);
    expect(result.outcome).toBe(outcome);
  });

  it("nothing asked and a damaged primary: nothing starts", async () => {
    const result = await of("swap-move", slotBytes(changed(old, 2000)), slotBytes(next));
    expect(result).toMatchObject({ swapType: "none", outcome: "stuck" });
    expect(result.steps[0]).toContain("no fallback");
  });

  it("a swap that was cut short goes on", async () => {
    const primary = slotBytes(old, { magic: "good", swapInfo: 2 });
    expect(await of("swap-move", primary, slotBytes(next))).toMatchObject({
      resumed: true,
      swapType: "test",
    });
    // A padded image programmed into the primary has the magic too, but no swap is noted.
    const padded = slotBytes(old, { magic: "good" });
    expect(await of("swap-move", padded, slotBytes(next))).toMatchObject({ resumed: false, outcome: "keep" });
  });
});

it("agrees with the swap tables on all 729 trailers in each mode", () => {
  const flags = [0xff, 1, 0x55];
  const magics = [undefined, "good", "bad"] as const;
  let seen = 0;
  for (const mode of MODES)
    for (const secondaryMagic of magics)
      for (const magic of magics)
        for (const a of flags)
          for (const b of flags)
            for (const c of flags)
              for (const d of flags) {
                const trailer = (which: typeof magic, imageOk: number, copyDone: number): Trailer => ({
                  ...(which && { magic: which }),
                  imageOk,
                  copyDone,
                });
                const primary = parseSlot(slotBytes(old, trailer(magic, a, b)).subarray(SLOT - 4096));
                const secondary = parseSlot(
                  slotBytes(next, trailer(secondaryMagic, c, d)).subarray(SLOT - 4096),
                );
                const { swapType } = nextBoot(mode, { slot: primary }, { slot: secondary });
                expect(swapType).toBe(decideSwapType(mode, primary.trailer, secondary.trailer).type);
                seen++;
              }
  expect(seen).toBe(4 * 729);
});

describe("recorded: which odd images MCUboot swapped in when a test was asked for", () => {
  type Row = [name: string, sha256: string, update: boolean | null, primary: boolean | null, parts: Part[]];
  const recorded = JSON.parse(vectorFile("mcuboot-odd-images.json")) as {
    keys: { name: string; private: string }[];
    images: Row[];
    stored_counter: number;
    slot_size: number;
  };
  const key = (name: string) => fromHex(recorded.keys.find((row) => row.name === name)!.private);
  const trusted = {
    ed25519: keyFromSecret("ed25519", key("ed25519.1")),
    p256: keyFromSecret("ecdsa-p256", key("p256.1")),
  };
  const tried = recorded.images.filter(([, , update]) => update !== null);

  it("there are some of both", () => {
    expect(tried.filter(([, , update]) => update).length).toBeGreaterThan(20);
    expect(tried.filter(([, , update]) => !update).length).toBeGreaterThan(100);
  });

  it.each(tried)("%s", async (name, sha256, update, _primary, parts) => {
    const isP256 = name.endsWith(".p256");
    const size = recorded.slot_size;
    const image = buildRecorded(parts, sha256);
    const bytes = new Uint8Array(Math.max(size, image.length + 4096)).fill(0xff);
    bytes.set(image);
    bytes.set(bootMagic(8), bytes.length - 16);
    const slot = parseSlot(bytes);
    const geometry = { primarySize: size, sectorSize: 4096, writeSize: isP256 ? 8 : 4, maxSectors: 32 };
    const verdict = await verifyImage(image, {
      keys: [isP256 ? trusted.p256 : trusted.ed25519],
      hash: "sha256",
      mode: "swap-move",
      geometry,
      storedCounter: recorded.stored_counter,
      supports: { encryption: false, compression: false },
      toBoot: true,
    });
    const { outcome } = nextBoot("swap-move", await checked(slotBytes(old)), { slot, verdict });
    expect(outcome === "swap").toBe(update);
  });
});

it("a slot's parts put together are the slot", () => {
  const { map } = parseSlot(slotBytes(old, TEST));
  expect(map.reduce((sum, { length }) => sum + length, 0)).toBe(SLOT);
  expect(
    concat(...map.map(({ offset, length }) => slotBytes(old, TEST).subarray(offset, offset + length))),
  ).toEqual(slotBytes(old, TEST));
});

describe("what a bootloader was built with", () => {
  const signed = async (options: Partial<Parameters<typeof signImage>[1]>, body = payload("p3000")) =>
    (
      await signImage(body, {
        headerSize: 32,
        padHeader: true,
        slotSize: 0,
        key: keys.ed25519,
        version: "1.0.0",
        ...options,
      })
    ).image;
  const lower = () => signed({ version: "0.9.0" });

  it("a primary that is flagged NON_BOOTABLE starts nothing, except unchecked", async () => {
    const primary = await checked(slotBytes(await signed({ nonBootable: true })));
    const empty = await checked(slotBytes(undefined));
    expect(nextBoot("swap-move", primary, empty)).toMatchObject({ outcome: "stuck", starts: "none" });
    expect(nextBoot("swap-move", primary, empty, { validatesPrimary: false })).toMatchObject({
      outcome: "keep",
    });
  });

  it("bootstrap replaces what cannot start", async () => {
    const secondary = await checked(slotBytes(next));
    for (const primary of [slotBytes(undefined), slotBytes(await signed({ nonBootable: true }))]) {
      const pair = [await checked(primary), secondary] as const;
      expect(nextBoot("swap-move", ...pair)).toMatchObject({ outcome: "stuck" });
      expect(nextBoot("swap-move", ...pair, { bootstraps: true })).toMatchObject({
        outcome: "swap",
        starts: "primary",
      });
    }
  });

  it("downgrade prevention erases a lower version; untold, the prediction depends on it", async () => {
    const pair = [await checked(slotBytes(old)), await checked(slotBytes(await lower(), TEST))] as const;
    expect(nextBoot("swap-move", ...pair, { preventsDowngrade: true })).toMatchObject({ outcome: "erase" });
    expect(nextBoot("swap-move", ...pair, { preventsDowngrade: false })).toMatchObject({ outcome: "swap" });
    const untold = nextBoot("swap-move", ...pair);
    expect(untold.dependsOn.join()).toMatch(/--prevent-downgrade/);
  });

  it("a primary that is too large for the mode is not told as swapped out", async () => {
    const large = await signed({}, new Uint8Array(0x1f000).fill(1));
    const pair = [
      await checked(slotBytes(large)),
      await checked(slotBytes(next, { ...TEST, imageOk: 1 })),
    ] as const;
    const geometry = { primarySize: SLOT, sectorSize: 4096, maxSectors: 32 };
    expect(nextBoot("swap-move", ...pair, { geometry })).toMatchObject({ outcome: "stuck", starts: "none" });
    expect(nextBoot("swap-move", ...pair).dependsOn.join()).toMatch(/--sector-size/);
  });

  it("a firmware loader's application is started, whatever the trailers ask for", async () => {
    const pair = [await checked(slotBytes(old)), await checked(slotBytes(next, TEST))] as const;
    const { swapType, starts, steps } = nextBoot("firmware-loader", ...pair);
    expect({ swapType, starts }).toEqual({ swapType: "none", starts: "primary" });
    expect(steps.join(" ")).toMatch(
      /The loader 2\.0\.0 in the secondary is started instead when its entrance/,
    );
  });
});
