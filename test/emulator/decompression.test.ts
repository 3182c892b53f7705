import { createHash } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { concat, fromBase64, u32Bytes } from "../../src/bytes.js";
import { xzLzma2 } from "../../src/cli/signing/xz.js";
import { boardVariant, fixtureBody, fixtureKey } from "../../src/emulator/catalog.js";
import type { CutKind } from "../../src/emulator/flash.js";
import { LAYOUT, slotOffset } from "../../src/emulator/layout.js";
import { signedFixture } from "../../src/emulator/signed-fixture.js";
import type { CompressionKind } from "../../src/mcuboot/compression.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { nextBoot } from "../../src/mcuboot/next-boot.js";
import { type SignOptions, signImage } from "../../src/mcuboot/sign.js";
import { parseSlot } from "../../src/mcuboot/slot.js";
import { TLV, type TlvEntry } from "../../src/mcuboot/tlv.js";
import type { UpgradeMode } from "../../src/mcuboot/upgrade-modes.js";
import { verifyImage } from "../../src/mcuboot/verify.js";
import {
  type Bench,
  factoryBench,
  hashOf,
  primaryVersion,
  requestByTrailer,
  storedCounter,
  uploadBytes,
} from "../support/board-bench.js";
import { IMAGE_STATE } from "../support/board-frames.js";
import { payload, vectorFile } from "../support/image-imgtool-args.js";
import { signedByHand } from "../support/signed-by-hand.js";

/** Compressed images on the board that unpacks them: what becomes of a right one, and of each kind of wrong one. */

const KINDS = ["lzma2", "lzma2armthumb"] as const;

let fresh: Bench;
let plain: Uint8Array;
/** The same, made by the hand that makes the wrong ones. */
let byHand: Uint8Array;
const packed = {} as Record<CompressionKind, Uint8Array>;

beforeAll(async () => {
  fresh = await factoryBench("compressed");
  fresh.powerCycle();
  const variant = boardVariant("compressed");
  plain = await signedFixture("good-b", "wasm", variant);
  const counter = { type: TLV.SEC_CNT, value: u32Bytes(2, "little") };
  byHand = await signedByHand(await fixtureKey("ed25519-1"), parseImage(plain).body, [counter]);
  for (const kind of KINDS)
    packed[kind] = await signedFixture("good-b", "wasm", variant, {
      compression: { kind, compress: xzLzma2 },
    });
});

/** A stretch of the primary as its hash: pages of numbers tell nobody anything. */
function primaryHash(bench: Bench, length: number = LAYOUT.slotSize, from = 0): string {
  const start = slotOffset(0, 0) + from;
  return sha256(bench.flash.bytes.subarray(start, start + length));
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** What `inspect` says of the next boot of a board. */
async function foretold(bench: Bench, mode: UpgradeMode = "overwrite-only", decompresses?: boolean) {
  const keys = [(await fixtureKey("ed25519-1")).publicKey];
  const geometry = { primarySize: LAYOUT.slotSize, sectorSize: LAYOUT.sector };
  const look = async (index: 0 | 1) => {
    const start = slotOffset(0, index);
    const bytes = bench.flash.bytes.slice(start, start + LAYOUT.slotSize);
    const slot = parseSlot(bytes, { mode, geometry });
    const how = { keys, mode, geometry, storedCounter: 1 };
    return slot.image ? { slot, verdict: await verifyImage(bytes, how) } : { slot };
  };
  return nextBoot(mode, await look(0), await look(1), { decompresses, geometry });
}

function withUpdate(image: Uint8Array): Bench {
  const bench = fresh.copy();
  uploadBytes(bench, image);
  requestByTrailer(bench, true);
  return bench;
}

describe.each(KINDS)("an image packed with %s", (kind) => {
  it("is smaller by more than a third, and becomes the very image that was not compressed", async () => {
    expect(packed[kind].length).toBeLessThan(0.65 * plain.length);
    const bench = withUpdate(packed[kind]);
    const { outcome, steps } = await foretold(bench, "overwrite-only", true);
    expect([outcome, ...steps]).toEqual([
      "swap",
      "The image 2.0.0 is decompressed into the primary and runs. It cannot be reverted.",
    ]);
    expect(bench.powerCycle().kind, bench.log).toBe("start-image");
    expect(primaryHash(bench, plain.length)).toBe(sha256(plain));
    expect(storedCounter(bench)).toBe(2);
    expect(bench.powerCycle().kind, bench.log).toBe("start-image");
    expect(primaryVersion(bench)).toBe("2.0.0");
  });

  it("is listed as it is, and as what it became afterwards", () => {
    const bench = withUpdate(packed[kind]);
    const hashes = () =>
      (bench.ask(IMAGE_STATE) as { images: { slot: number; hash: Uint8Array }[] }).images.map(
        ({ slot, hash }) => [slot, Buffer.from(hash).toString("hex")],
      );
    bench.flash.program(slotOffset(0, 1) + LAYOUT.slotSize - 40, new Uint8Array(40).fill(0xff));
    bench.powerCycle();
    expect(hashes()).toContainEqual([1, Buffer.from(hashOf(packed[kind])).toString("hex")]);
    requestByTrailer(bench, false);
    bench.powerCycle();
    expect(hashes()).toEqual([[0, Buffer.from(hashOf(plain)).toString("hex")]]);
  });
});

it("power may fail at every flash operation of the overwriting: the next boot begins again", () => {
  for (const kind of ["before", "half-done"] as const) sweep(withUpdate(packed.lzma2), kind);
});

function sweep(start: Bench, kind: CutKind): void {
  const uncut = start.copy();
  uncut.powerCycle();
  const last = uncut.flash.operations;
  expect(last).toBeGreaterThan(40);
  for (let operation = 1; operation <= last; operation++) {
    const bench = start.copy();
    bench.flash.cutAt(operation, kind);
    bench.powerCycle();
    expect(bench.flash.operations, "the cut happened").toBe(operation);
    const where = `power failed (${kind}) at operation ${operation} of ${last}`;
    expect(bench.powerCycle().kind, where).toBe("start-image");
    expect(primaryHash(bench, plain.length), where).toBe(sha256(plain));
    expect(storedCounter(bench), where).toBe(2);
  }
}

interface Packed {
  readonly of: string;
  readonly thumb: boolean;
  readonly packed: string;
  readonly sha256?: string;
}

describe("streams that imgtool's library made", () => {
  const { rows } = JSON.parse(vectorFile("lzma2.json")) as { rows: Packed[] };
  const fitting = rows.filter(
    ({ sha256, packed: stream, of }) =>
      sha256 === undefined && stream.length < 100_000 && payload(of).length < 100_000,
  );

  it.each(fitting)(
    "$of, Thumb filter $thumb: unpacked byte for byte",
    async ({ of, thumb, packed: stream }) => {
      const body = payload(of);
      const kind = thumb ? "lzma2armthumb" : "lzma2";
      const image = await sign(body, { compression: { kind, compress: async () => fromBase64(stream) } });
      // What does not get smaller is not compressed.
      if ((parseImage(image).header.flags & 0x400) === 0) return;
      const bench = withUpdate(image);
      bench.powerCycle();
      expect(primaryHash(bench, body.length, LAYOUT.imageHeaderSize)).toBe(sha256(body));
    },
  );

  it("are among these rows", () => {
    expect(fitting.length).toBeGreaterThan(4);
  });
});

async function sign(body: Uint8Array, options: Partial<SignOptions> = {}): Promise<Uint8Array> {
  const { image } = await signImage(body, {
    key: await fixtureKey("ed25519-1"),
    version: "2.0.0",
    securityCounter: 2,
    headerSize: LAYOUT.imageHeaderSize,
    padHeader: true,
    slotSize: 0,
    ...options,
  });
  return image;
}

const LZMA2 = 0x400;
const THUMB = 0x800;
const SETTINGS = Uint8Array.of(0x0a, 0x66);

/** What a right compressed image of good-b states, as TLVs that can be left out or replaced. */
function statements(): Record<"counter" | "size" | "hash" | "signature", TlvEntry> {
  const { body, imageHash, signatures } = parseImage(byHand);
  return {
    counter: { type: TLV.SEC_CNT, value: u32Bytes(2, "little") },
    size: { type: TLV.DECOMP_SIZE, value: u32Bytes(body.length, "little") },
    hash: { type: TLV.DECOMP_SHA, value: imageHash!.value },
    signature: { type: TLV.DECOMP_SIGNATURE, value: signatures[0]!.value },
  };
}

interface Wrong {
  readonly what: string;
  readonly reason: string;
  readonly flags?: number;
  readonly state?: (right: ReturnType<typeof statements>) => {
    [Name in keyof ReturnType<typeof statements>]?: TlvEntry | undefined;
  };
  readonly body?: (right: Uint8Array) => Uint8Array;
}

const flipped = (tlv: TlvEntry, at = 0): TlvEntry => ({
  type: tlv.type,
  value: tlv.value.map((byte, index) => (index === at ? byte ^ 1 : byte)),
});
const size = (bytes: number): TlvEntry => ({ type: TLV.DECOMP_SIZE, value: u32Bytes(bytes, "little") });
/** Two megabytes of zeros and a little more, in a few hundred bytes. */
const bomb = () => {
  const { rows } = JSON.parse(vectorFile("lzma2.json")) as { rows: Packed[] };
  return concat(SETTINGS, fromBase64(rows.find(({ of, thumb }) => of === "z2200000+p64" && !thumb)!.packed));
};

const WRONG: readonly Wrong[] = [
  { what: "another hash", reason: "hash", state: ({ hash }) => ({ hash: flipped(hash) }) },
  {
    what: "another signature",
    reason: "signature",
    state: ({ signature }) => ({ signature: flipped(signature, 5) }),
  },
  { what: "no size", reason: "tlv", state: () => ({ size: { type: 0xa0, value: new Uint8Array(4) } }) },
  {
    what: "a size of three bytes",
    reason: "tlv",
    state: () => ({ size: { type: TLV.DECOMP_SIZE, value: new Uint8Array(3) } }),
  },
  { what: "no hash", reason: "tlv", state: () => ({ hash: { type: 0xa0, value: new Uint8Array(32) } }) },
  {
    what: "a short hash",
    reason: "tlv",
    state: ({ hash }) => ({ hash: { type: hash.type, value: hash.value.subarray(1) } }),
  },
  {
    what: "no signature",
    reason: "signature",
    state: () => ({ signature: undefined }),
  },
  {
    what: "one byte too few stated",
    reason: "size",
    state: () => ({ size: size(parseImage(plain).body.length - 1) }),
  },
  {
    what: "one byte too many stated",
    reason: "size",
    state: () => ({ size: size(parseImage(plain).body.length + 1) }),
  },
  { what: "nothing stated", reason: "size", state: () => ({ size: size(0) }) },
  { what: "more than the slot stated", reason: "size", state: () => ({ size: size(LAYOUT.slotSize) }) },
  { what: "all that a number can say", reason: "size", state: () => ({ size: size(0xffff_ffff) }) },
  {
    what: "a bomb that states what it becomes",
    reason: "size",
    body: bomb,
    state: () => ({ size: size(2_200_064) }),
  },
  { what: "a bomb that states less", reason: "size", body: bomb, state: () => ({ size: size(1000) }) },
  {
    what: "a stream cut short",
    reason: "decompression",
    body: (right) => right.subarray(0, right.length - 1000),
  },
  {
    what: "a stream of noise",
    reason: "decompression",
    body: () => concat(SETTINGS, new Uint8Array(500).fill(0xa5)),
  },
  { what: "settings alone", reason: "decompression", body: () => SETTINGS },
  {
    what: "a dictionary of a gigabyte",
    reason: "decompression",
    body: (right) => concat(Uint8Array.of(0x24, 0x66), right.subarray(2)),
  },
  {
    what: "the Thumb filter flagged and not used",
    reason: "hash",
    flags: LZMA2 | THUMB,
    body: () => withCall(),
  },
  { what: "LZMA1", reason: "flags", flags: 0x200 },
  { what: "both kinds at once", reason: "flags", flags: 0x600 },
  { what: "the filter alone", reason: "flags", flags: THUMB },
  { what: "encrypted as well", reason: "flags", flags: LZMA2 | 0x4 },
];

/** What other bootloaders may take. */
const LIMITS_OF_ITS_OWN: readonly string[] = ["a dictionary of a gigabyte"];

/** The right body in chunks that are not packed, with what looks like a call of a function in it. */
function withCall(): Uint8Array {
  const body = parseImage(plain).body.slice();
  body.set([0x00, 0xf0, 0x00, 0xf8], 1024);
  return stored(body);
}

/** LZMA2 chunks that hold bytes as they are. */
function stored(bytes: Uint8Array): Uint8Array {
  const chunks: Uint8Array[] = [SETTINGS];
  for (let at = 0; at < bytes.length; at += 0x10000) {
    const part = bytes.subarray(at, at + 0x10000);
    chunks.push(Uint8Array.of(at === 0 ? 1 : 2, (part.length - 1) >> 8, (part.length - 1) & 0xff), part);
  }
  return concat(...chunks, Uint8Array.of(0));
}

async function made({ flags = LZMA2, state, body }: Omit<Wrong, "what" | "reason">): Promise<Uint8Array> {
  const right = statements();
  const tlvs = Object.values({ ...right, ...state?.(right) }).filter((tlv) => tlv !== undefined);
  const inside = parseImage(packed.lzma2).body;
  return signedByHand(await fixtureKey("ed25519-1"), body?.(inside) ?? inside, tlvs, flags);
}

describe("a signed image that is wrong inside", () => {
  it("is made by hand like a right one", async () => {
    for (const body of [undefined, () => stored(parseImage(plain).body)]) {
      const bench = withUpdate(await made(body ? { body } : {}));
      expect(bench.powerCycle().kind, bench.log).toBe("start-image");
      expect(primaryHash(bench, byHand.length)).toBe(sha256(byHand));
    }
  });

  it.each(WRONG)(
    "$what: refused for its $reason before the old image is touched",
    async ({ what, reason, ...how }) => {
      const bench = withUpdate(await made(how));
      const before = primaryHash(bench);
      const { outcome } = await foretold(bench, "overwrite-only", true);
      expect(outcome).toBe(LIMITS_OF_ITS_OWN.includes(what) ? "swap" : "erase");
      expect(bench.powerCycle().kind, bench.log).toBe("start-image");
      expect(bench.log).toContain(`slot 1: verify-failed, reason ${reason}`);
      expect(primaryHash(bench)).toBe(before);
      expect(primaryVersion(bench)).toBe("1.0.0");
    },
  );

  it("whichever bit of the stream is turned, the old image runs or the right one does", async () => {
    const stream = parseImage(packed.lzma2).body;
    for (let at = 0; at < stream.length; at += 397) {
      const body = stream.slice();
      body[at]! ^= 1 << (at % 8);
      const bench = withUpdate(await made({ body: () => body }));
      expect(bench.powerCycle().kind, `byte ${at}: ${bench.log}`).toBe("start-image");
      if (at > 0) expect(primaryVersion(bench), `byte ${at}`).toBe(at === 1 ? "2.0.0" : "1.0.0");
    }
  });
});

it("compressed images are for the secondary slot alone, and for no other board", async () => {
  const primary = fresh.copy();
  primary.flash.program(slotOffset(0, 0), packed.lzma2);
  expect(await foretold(primary, "overwrite-only", true)).toMatchObject({
    starts: "none",
    steps: [
      "No image starts: the primary's image is compressed, and bootloaders unpack only what lies in the secondary. There is no fallback to the secondary.",
    ],
  });
  expect(primary.powerCycle().kind, primary.log).toBe("idle");
  for (const variant of ["overwrite", "good", "scratch"]) {
    const other = await factoryBench(variant);
    uploadBytes(other, packed.lzma2);
    requestByTrailer(other, true);
    const { outcome, starts } = await foretold(other, boardVariant(variant).mode, false);
    expect([outcome, starts]).toEqual(["erase", "primary"]);
    expect(other.powerCycle().kind, other.log).toBe("start-image");
    expect(other.log).toContain("slot 1: verify-failed, reason flags");
    expect(primaryVersion(other)).toBe("1.0.0");
  }
});

it("the machine code of the QEMU board gets smaller with the filter for Thumb code", async () => {
  const body = fixtureBody("good-b", "qemu");
  const lengths = await Promise.all(
    KINDS.map(async (kind) => (await sign(body, { compression: { kind, compress: xzLzma2 } })).length),
  );
  expect(lengths[1]).toBeLessThan(lengths[0]!);
});

it.each(["xip", "ramload"])("on the %s board a compressed image is passed over", async (variant) => {
  const row = boardVariant(variant);
  const bench = await factoryBench(variant);
  bench.flash.program(slotOffset(0, 1), await signedFixture("good-b", "wasm", row, AS_PACKED));
  const { starts, steps } = await foretold(bench, row.mode);
  expect(starts).toBe("primary");
  expect(steps[0]).toMatch(/^The secondary is passed over: its image is compressed/);
  bench.powerCycle();
  expect(bench.log).toMatch(/slot 0: started/);
});

it("on a board with one slot it depends on the bootloader: ours refuses what MCUboot would start", async () => {
  const row = boardVariant("single");
  const bench = await factoryBench("single");
  bench.flash.erase(slotOffset(0, 0), LAYOUT.slotSize);
  bench.flash.program(slotOffset(0, 0), await signedFixture("good-b", "wasm", row, AS_PACKED));
  const { starts, dependsOn } = await foretold(bench, row.mode);
  expect(starts).toBe("primary");
  expect(dependsOn).toContain(
    "whether the bootloader refuses a compressed image: MCUboot itself starts it here as it is",
  );
  expect(bench.powerCycle().kind, bench.log).toBe("idle");
});

const AS_PACKED = { compression: { kind: "lzma2", compress: xzLzma2 } } as const;
