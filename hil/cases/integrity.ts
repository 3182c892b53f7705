import { parseImage } from "bootproof";
import { largestImage, type UpgradeMode } from "bootproof/mcuboot";
import { acceptance, type Case, fails, holds, refusal, unjudged } from "../case.js";
import { imageHashOf } from "../evidence.js";
import { geometryOf } from "../flash-layout.js";
import type { Harness } from "../harness/harness.js";
import { NotJudged } from "../harness/not-judged.js";
import { appendUnprotected, flipBit, hashAt } from "../images/image-edits.js";
import { SMALLEST_GROWTH } from "../images/image-factory.js";
import { overflowTlv } from "../images/malformed-lengths.js";
import { describe } from "../snapshot.js";

const claim = "integrity";

/** Where a bit is turned over. Offsets of header fields: image.h, struct image_header. */
const FLIPS: readonly {
  name: string;
  where: string;
  quick?: boolean;
  at: (good: Uint8Array) => number;
  bit?: number;
}[] = [
  { name: "magic", where: "the magic", at: () => 0 },
  { name: "load-address", where: "the header's load address", at: () => 4 },
  { name: "header-size", where: "the header size", at: () => 8, bit: 5 },
  { name: "protected-size", where: "the header's size of the protected TLVs", at: () => 10 },
  { name: "image-size", where: "the image size", at: () => 12 },
  { name: "image-size-high", where: "the image size's highest bit", at: () => 15, bit: 7 },
  { name: "flags", where: "the flags", at: () => 19 },
  { name: "version", where: "the version", at: () => 22 },
  {
    name: "header-padding",
    where: "the padding behind the header",
    at: (good) => parseImage(good).header.headerSize - 1,
  },
  {
    name: "body-first",
    where: "the first byte of the body",
    quick: true,
    at: (good) => parseImage(good).header.headerSize,
  },
  {
    name: "body-last",
    where: "the last byte of the body",
    quick: true,
    at: (good) => parseImage(good).header.headerSize + parseImage(good).header.bodySize - 1,
  },
  { name: "hash", where: "the hash", quick: true, at: hashAt },
  { name: "hash-type", where: "the type of the hash TLV", at: (good) => hashAt(good) - 4, bit: 6 },
  {
    name: "tlv-magic",
    where: "the magic of the unprotected TLVs",
    at: (good) => parseImage(good).unprotectedArea.offset,
  },
  {
    name: "tlv-total",
    where: "the length of the unprotected TLVs",
    at: (good) => parseImage(good).unprotectedArea.offset + 3,
  },
];

/** Where a file ends too early, as a share of what it should have. */
const CUTS: readonly { name: string; where: string; keep: (good: Uint8Array) => number }[] = [
  { name: "header", where: "in the middle of the header", keep: () => 40 },
  { name: "body-middle", where: "in the middle of the body", keep: (good) => good.length >> 1 },
  { name: "body-end", where: "before the TLVs", keep: (good) => parseImage(good).unprotectedArea.offset },
  {
    name: "tlv",
    where: "in the middle of the TLVs",
    keep: (good) => parseImage(good).unprotectedArea.offset + 20,
  },
];

/** Is it whole? */
export const integrity: readonly Case[] = [
  ...FLIPS.map(({ name, where, at, bit, quick }) =>
    refusal({
      id: `integrity/flip-${name}`,
      claim,
      summary: `An image with one bit flipped in ${where} does not start.`,
      what: `one bit flipped in ${where}`,
      ...(quick ? { quick } : {}),
      make: async (factory) => {
        const good = await factory.update();
        return flipBit(good, at(good), bit);
      },
    }),
  ),
  refusal({
    id: "integrity/flip-protected-tlv",
    claim,
    summary: "An image with one bit flipped in its protected TLVs does not start.",
    what: "one bit flipped in the protected TLVs",
    needs: ["update", "counter"],
    make: async (factory) => {
      const good = await factory.update();
      return flipBit(good, parseImage(good).protectedArea!.offset + 4 + 4);
    },
  }),
  ...CUTS.map(({ name, where, keep }) =>
    refusal({
      id: `integrity/truncated-${name}`,
      claim,
      summary: `An image that ends ${where} does not start.`,
      what: `the file ends ${where}`,
      ...(name === "body-middle" ? { quick: true } : {}),
      make: async (factory) => {
        const good = await factory.update();
        return good.subarray(0, keep(good));
      },
    }),
  ),
  {
    id: "integrity/trailing-garbage",
    supporting: true,
    claim,
    summary: "Bytes after the end of an image do not change what starts.",
    needs: ["secondary", "update"],
    risk: "secondary slot",
    expected: "What starts is the image with its own hash; a refusal is correct too.",
    steps: trailingGarbage,
  },
  refusal({
    id: "integrity/oversized",
    claim: "compatibility",
    summary: "An image one byte larger than what fits does not start.",
    what: "an update one byte larger than fits",
    needs: ["key", "programmer"],
    control: "largest",
    make: (_forge, harness) => largestUpdate(harness, 1),
  }),
  refusal({
    id: "integrity/tlv-overflow",
    claim,
    summary: "A TLV that claims more bytes than there are is detected.",
    what: "a TLV that claims 65535 bytes",
    quick: true,
    make: async (factory) => overflowTlv(await factory.update()),
  }),
  refusal({
    id: "integrity/unknown-unprotected-tlv",
    claim: "tlv-allow-list",
    summary: "An unknown TLV added outside the signature makes the image invalid.",
    what: "an unknown TLV (0x00a0) added to the unprotected area",
    quick: true,
    make: async (factory) => appendUnprotected(await factory.update(), 0x00a0, Uint8Array.of(1, 2, 3, 4)),
  }),
  acceptance({
    id: "integrity/unknown-protected-tlv",
    claim: "tlv-allow-list",
    summary: "A vendor's own TLV inside the signature is accepted.",
    what: "an unknown TLV (0x00a0) in the protected area, signed",
    needs: ["key"],
    make: (factory) =>
      factory.make({ options: { customTlvs: [{ type: 0x00a0, value: Uint8Array.of(1, 2, 3, 4) }] } }),
  }),
  {
    id: "integrity/two-uploads",
    claim,
    summary: "A second upload without a restart in between replaces the first one completely.",
    needs: ["server-upload", "secondary", "key"],
    risk: "secondary slot",
    expected: "What starts is exactly the second file.",
    steps: twoUploads,
  },
];

async function trailingGarbage(harness: Harness) {
  const good = await harness.factory.update();
  const longer = new Uint8Array(good.length + 256).fill(0xa5);
  longer.set(good);
  const { outcome, shows, snapshot } = await harness.offer(longer, {
    what: "a good update with 256 extra bytes at its end",
  });
  if (outcome === "unclear") return unjudged(shows);
  if (outcome === "stopped") return fails(`The board did not survive it: ${shows}.`);
  if (outcome === "started" && snapshot.running?.hash !== imageHashOf(good))
    return fails(`Something else started: ${shows}.`);
  return holds(
    outcome === "started" ? `It started with its own hash: ${shows}.` : `It was refused: ${shows}.`,
  );
}

async function twoUploads(harness: Harness) {
  const first = await harness.factory.make({ version: harness.factory.version(2), grow: 600 });
  const second = await harness.factory.make({ version: harness.factory.version(1) });
  const how = { through: "smp" as const };
  const refusal = await harness.delivery.send(first, { ...how, what: "a first update, larger" });
  if (refusal !== undefined && !harness.traits.picksByVersion)
    harness.note("the first one was refused, which is correct here");
  // A slot that is asked for is not given away: the request has to go with a restart that nobody makes.
  const { outcome, shows, snapshot } = await harness.offer(second, { ...how, what: "a second update" });
  if (outcome === "started" && snapshot.running?.hash === imageHashOf(second))
    return holds(`The second one runs: ${shows}.`);
  if (outcome === "refused-by-server") {
    const after = await harness.boot();
    return after.running?.hash === imageHashOf(first)
      ? holds(`The server keeps the first one until a restart (${shows}), and exactly that one ran.`)
      : fails(`The server refused the second one (${shows}), and then ${describe(after)}.`);
  }
  return fails(`Neither of the two runs intact: ${shows}.`);
}

/** An update of the largest size this board takes, and `more` bytes. */
export async function largestUpdate(harness: Harness, more: number): Promise<Uint8Array> {
  const mode: UpgradeMode = harness.traits.mode ?? "swap-move";
  const target = largestImage(mode, geometryOf(harness.traits.layout)) + more;
  if (harness.factory.encrypts) return filledTo(harness, target);
  const small = await harness.factory.make({ grow: SMALLEST_GROWTH });
  return grownTo(harness, small.length, target);
}

/** Encrypted bodies are whole blocks: what is missing then goes into a protected TLV. */
async function filledTo(harness: Harness, target: number): Promise<Uint8Array> {
  const make = (grow: number, filler: number) =>
    harness.factory.make({
      grow,
      options: { customTlvs: [{ type: 0x00a0, value: new Uint8Array(filler) }] },
    });
  const missing = target - (await make(AES_BLOCK, 1)).length;
  return make(AES_BLOCK + missing - (missing % AES_BLOCK), 1 + (missing % AES_BLOCK));
}

const AES_BLOCK = 16;

/** ECDSA signatures differ by a byte or two from one to the next: other build numbers give others. */
const MOST_TRIES = 50;

async function grownTo(harness: Harness, smallSize: number, target: number): Promise<Uint8Array> {
  let grow = SMALLEST_GROWTH + target - smallSize;
  for (let build = 0; build < MOST_TRIES; build++) {
    const file = await harness.factory.make({ grow, version: `${harness.factory.version(1)}+${build}` });
    if (file.length === target) return file;
    grow += target - file.length;
  }
  throw new NotJudged(`No image of exactly ${target} bytes could be made.`);
}
