import { type BootMode, largestImage, parseImage } from "bootproof";
import { acceptance, type Case, fails, holds, refusal, unjudged } from "../case.js";
import { imageHashOf } from "../evidence.js";
import { appendUnprotected, flipBit, hashAt, overflowTlv, SMALLEST_GROWTH } from "../forge.js";
import type { Stand } from "../stand.js";

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
      says: `An image with one bit turned over in ${where} does not start.`,
      what: `one bit turned over in ${where}`,
      ...(quick ? { quick } : {}),
      make: async (forge) => {
        const good = await forge.update();
        return flipBit(good, at(good), bit);
      },
    }),
  ),
  refusal({
    id: "integrity/flip-protected-tlv",
    claim,
    says: "An image with one bit turned over in its protected TLVs does not start.",
    what: "one bit turned over in the protected TLVs",
    needs: ["update", "counter"],
    make: async (forge) => {
      const good = await forge.update();
      return flipBit(good, parseImage(good).protectedArea!.offset + 4 + 4);
    },
  }),
  ...CUTS.map(({ name, where, keep }) =>
    refusal({
      id: `integrity/truncated-${name}`,
      claim,
      says: `An image that ends ${where} does not start.`,
      what: `the file ends ${where}`,
      ...(name === "body-middle" ? { quick: true } : {}),
      make: async (forge) => {
        const good = await forge.update();
        return good.subarray(0, keep(good));
      },
    }),
  ),
  {
    id: "integrity/trailing-garbage",
    supporting: true,
    claim,
    says: "Bytes behind the end of an image change nothing about what starts.",
    needs: ["secondary", "update"],
    risk: "secondary slot",
    expected: "What starts is the image with its own hash; refusing it would do as well.",
    steps: trailingGarbage,
  },
  refusal({
    id: "integrity/oversized",
    claim: "compatibility",
    says: "An image one byte larger than what fits does not start.",
    what: "an update one byte larger than fits",
    needs: ["key", "programmer"],
    control: "largest",
    make: (_forge, stand) => largestUpdate(stand, 1),
  }),
  refusal({
    id: "integrity/tlv-overflow",
    claim,
    says: "A TLV that claims more bytes than there are is found out.",
    what: "a TLV that claims 65535 bytes",
    quick: true,
    make: async (forge) => overflowTlv(await forge.update()),
  }),
  refusal({
    id: "integrity/unknown-unprotected-tlv",
    claim: "tlv-allow-list",
    says: "An unknown TLV added outside the signature makes the image invalid.",
    what: "an unknown TLV (0x00a0) added to the unprotected area",
    quick: true,
    make: async (forge) => appendUnprotected(await forge.update(), 0x00a0, Uint8Array.of(1, 2, 3, 4)),
  }),
  acceptance({
    id: "integrity/unknown-protected-tlv",
    claim: "tlv-allow-list",
    says: "A vendor's own TLV inside the signature does no harm.",
    what: "an unknown TLV (0x00a0) in the protected area, signed",
    needs: ["key"],
    make: (forge) =>
      forge.make({ options: { customTlvs: [{ type: 0x00a0, value: Uint8Array.of(1, 2, 3, 4) }] } }),
  }),
  {
    id: "integrity/two-uploads",
    claim,
    says: "A second upload without a restart between replaces the first one whole.",
    needs: ["secondary", "key"],
    risk: "secondary slot",
    expected: "What starts is exactly the second file.",
    steps: twoUploads,
  },
];

async function trailingGarbage(stand: Stand) {
  const good = await stand.forge.update();
  const longer = new Uint8Array(good.length + 256).fill(0xa5);
  longer.set(good);
  const { fate, shows, sight } = await stand.offer(longer, {
    what: "a good update with 256 bytes behind its end",
  });
  if (fate === "unclear") return unjudged(shows);
  if (fate === "stopped") return fails(`The board did not survive it: ${shows}.`);
  if (fate === "started" && sight.running?.hash !== imageHashOf(good))
    return fails(`Something else started: ${shows}.`);
  return holds(fate === "started" ? `It started with its own hash: ${shows}.` : `It was refused: ${shows}.`);
}

async function twoUploads(stand: Stand) {
  const first = await stand.forge.make({ version: stand.forge.version(2), grow: 600 });
  const second = await stand.forge.make({ version: stand.forge.version(1) });
  const how = { through: "smp" as const };
  const refusal = await stand.send(first, { ...how, what: "a first update, larger" });
  if (refusal !== undefined && !stand.picksByVersion)
    stand.note("the first one was refused, which is no fault here");
  // A slot that is asked for is not given away: the request has to go with a restart that nobody makes.
  const { fate, shows, sight } = await stand.offer(second, { ...how, what: "a second update" });
  if (fate === "started" && sight.running?.hash === imageHashOf(second))
    return holds(`The second one runs: ${shows}.`);
  if (fate === "refused-by-server") {
    const after = await stand.boot();
    return after.running?.hash === imageHashOf(first)
      ? holds(`The server keeps the first one until a restart (${shows}), and exactly that one ran.`)
      : fails(
          `The server refused the second one (${shows}), and then ${after.running?.version ?? "nothing"} ran.`,
        );
  }
  return fails(`Neither of the two runs whole: ${shows}.`);
}

/** An update of the largest size this board takes, and `more` bytes. */
export async function largestUpdate(stand: Stand, more: number): Promise<Uint8Array> {
  const { slotSize, sector, writeUnit, maxSectors } = stand.layout;
  const mode: BootMode = stand.mode ?? "swap-move";
  const geometry = { primarySize: slotSize, sectorSize: sector, writeSize: writeUnit, maxSectors };
  const target = largestImage(mode, geometry) + more;
  const small = await stand.forge.make({ grow: SMALLEST_GROWTH });
  return grownTo(stand, small.length, target);
}

/** ECDSA signatures differ by a byte or two from one to the next: other build numbers give others. */
const MOST_TRIES = 50;

async function grownTo(stand: Stand, smallSize: number, target: number): Promise<Uint8Array> {
  let grow = SMALLEST_GROWTH + target - smallSize;
  for (let build = 0; build < MOST_TRIES; build++) {
    const file = await stand.forge.make({ grow, version: `${stand.forge.version(1)}+${build}` });
    if (file.length === target) return file;
    grow += target - file.length;
  }
  throw stand.notJudged(`No image of exactly ${target} bytes could be made.`);
}
