import { createHash } from "node:crypto";
import { parseImage } from "bootproof";
import { IMAGE_F, TLV } from "bootproof/mcuboot";
import type { ImageFactory } from "./images/image-factory.js";

/** Compressed images of a board that unpacks them: good ones, and ones that are wrong inside though all outside is right. */

/** Dictionary of 128 KiB; pb 2, lp 1, lc 3: what imgtool writes in front of a stream. */
const SETTINGS = [0x0a, 0x66];

/** LZMA2 chunks that hold bytes as they are: a stream that every decoder takes, and that needs no compressor. */
export function storedStream(bytes: Uint8Array): Uint8Array {
  const chunks: Uint8Array[] = [Uint8Array.from(SETTINGS)];
  for (let at = 0; at < bytes.length; at += 0x10000) {
    const part = bytes.subarray(at, at + 0x10000);
    chunks.push(Uint8Array.of(at === 0 ? 1 : 2, (part.length - 1) >> 8, (part.length - 1) & 0xff), part);
  }
  return new Uint8Array(Buffer.concat([...chunks, Uint8Array.of(0)]));
}

/** One LZMA2 chunk that needs nothing before it and becomes 64 KiB of zeros. */
const ZEROS = Buffer.from(
  "e0ffff004c6600006ffdffffa3b7ff473e481572396151b89228e6a38607f9eee41e82d32fc53a3c014bb17ec98a8a4d2fa30dd97fa6e38c231153e05918c5758ae277f8b6947f0c6ac0de7449645c9e3ad100",
  "hex",
);
const ZEROS_LENGTH = 0x10000;

/** So many times 64 KiB of zeros. */
export function bombStream(count: number): Uint8Array {
  const chunks = Array.from({ length: count }, () => ZEROS);
  return new Uint8Array(Buffer.concat([Buffer.from(SETTINGS), ...chunks, Buffer.of(0)]));
}

/** More than any slot of a microcontroller holds. */
const BOMB_CHUNKS = 64;

/** A good update, compressed. */
export async function compressedUpdate(factory: ImageFactory): Promise<Uint8Array> {
  const { body } = factory.model;
  return compressed(factory, { stream: storedStream(body), becomes: body });
}

/** The same with another hash inside, or with a signature that is not of what it becomes. */
export async function wrongInside(factory: ImageFactory, what: "hash" | "signature"): Promise<Uint8Array> {
  const { body } = factory.model;
  return compressed(factory, { stream: storedStream(body), becomes: body, wrong: what });
}

/** A few kilobytes that become megabytes; hash and signature are right. `states`: the size it admits to. */
export async function bomb(factory: ImageFactory, states: "all of it" | "a usual size"): Promise<Uint8Array> {
  const becomes = new Uint8Array(BOMB_CHUNKS * ZEROS_LENGTH);
  return compressed(factory, {
    stream: bombStream(BOMB_CHUNKS),
    becomes,
    size: states === "all of it" ? becomes.length : factory.model.body.length,
  });
}

interface Inside {
  readonly stream: Uint8Array;
  /** What it unpacks to. */
  readonly becomes: Uint8Array;
  /** What it states as the size of that. */
  readonly size?: number;
  readonly wrong?: "hash" | "signature";
}

/** What is stated stands in these TLVs until the image is signed, since no signing tool lets them be chosen. */
const PLACEHOLDERS: Readonly<Record<number, number>> = {
  240: TLV.DECOMP_SIZE,
  241: TLV.DECOMP_SHA,
  242: TLV.DECOMP_SIGNATURE,
};

async function compressed(
  factory: ImageFactory,
  { stream, becomes, size = becomes.length, wrong }: Inside,
): Promise<Uint8Array> {
  const plain = parseImage(await factory.make({}));
  const range = Buffer.concat([
    plain.hashedRange.subarray(0, plain.header.headerSize),
    becomes,
    plain.hashedRange.subarray(plain.header.headerSize + plain.header.bodySize),
  ]);
  range.writeUInt32LE(size, 12);
  const digest = createHash(plain.imageHash!.algorithm).update(range).digest();
  const signature = await factory.signatureOver(range, digest);
  const flipped = (value: Uint8Array) => value.map((byte, index) => (index === 8 ? byte ^ 1 : byte));
  const sizeBytes = Buffer.alloc(4);
  sizeBytes.writeUInt32LE(size);
  const stated = [
    { type: 0xf0, value: new Uint8Array(sizeBytes) },
    { type: 0xf1, value: wrong === "hash" ? flipped(digest) : new Uint8Array(digest) },
    ...(signature ? [{ type: 0xf2, value: wrong === "signature" ? flipped(signature) : signature }] : []),
  ];
  const customTlvs = [...factory.customTlvs, ...stated];
  const change = (file: Uint8Array) => {
    const view = new DataView(file.buffer, file.byteOffset);
    view.setUint32(16, view.getUint32(16, true) | IMAGE_F.COMPRESSED_LZMA2, true);
    for (const { type, offset, protected: isProtected } of parseImage(file).tlvs) {
      const real = PLACEHOLDERS[type];
      if (isProtected && real !== undefined) view.setUint16(offset, real, true);
    }
  };
  return factory.make({ body: stream, options: { customTlvs } }, { change });
}
