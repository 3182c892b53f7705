import { concat, u32be } from "../bytes.js";
import { type Descriptor, parseDescriptors } from "./descriptors.js";
import { AvbError } from "./error.js";
import { fixedText, part, size64, u64be } from "./fields.js";
import { FOOTER, HEADER, isAvb, MAGIC, magic } from "./magic.js";

/** Signature algorithms by their number (avb_crypto.h). */
export const AVB_ALGORITHMS = [
  { name: "NONE" },
  { name: "SHA256_RSA2048", hash: "sha256", bits: 2048 },
  { name: "SHA256_RSA4096", hash: "sha256", bits: 4096 },
  { name: "SHA256_RSA8192", hash: "sha256", bits: 8192 },
  { name: "SHA512_RSA2048", hash: "sha512", bits: 2048 },
  { name: "SHA512_RSA4096", hash: "sha512", bits: 4096 },
  { name: "SHA512_RSA8192", hash: "sha512", bits: 8192 },
] as const;

export type AvbAlgorithm = (typeof AVB_ALGORITHMS)[number];

/** Flags of the header: what a bootloader leaves out. */
export const AVB_FLAG = { hashtreeDisabled: 1, verificationDisabled: 2 } as const;

/** A vbmeta structure: what is to be booted, and how it is vouched for. */
export interface Vbmeta {
  readonly requiredVersion: string;
  readonly algorithm: AvbAlgorithm;
  readonly rollbackIndex: bigint;
  /** Of 32 stored indexes the one that this is compared with. */
  readonly rollbackIndexLocation: number;
  readonly flags: number;
  readonly release: string;
  readonly descriptors: readonly Descriptor[];
  /** What hash and signature are over: header and auxiliary block. */
  readonly signed: Uint8Array;
  readonly hash: Uint8Array;
  readonly signature: Uint8Array;
  /** The key that the structure itself names; nothing is proven by it. */
  readonly publicKey: Uint8Array;
  /** Bytes of the whole structure. */
  readonly size: number;
  readonly sizes: { readonly authentication: number; readonly auxiliary: number };
}

/** A partition image whose metadata stands at its end. */
export interface Footer {
  readonly version: string;
  /** Bytes of content in front. */
  readonly originalSize: number;
  readonly vbmetaOffset: number;
  readonly vbmetaSize: number;
}

/** What a file with Android boot metadata holds. */
export interface AvbImage {
  readonly vbmeta: Vbmeta;
  /** Absent: the file is the structure alone. */
  readonly footer?: Footer;
  /** The content in front of the metadata; absent without a footer. */
  readonly content?: Uint8Array;
}

/** The newest libavb that is known here; later majors may mean anything by a field. */
const KNOWN_MAJOR = 1;

/**
 * Reads a vbmeta structure, alone or at the end of a partition image.
 *
 * @param bytes - a vbmeta file, or the image of a whole partition with a footer
 * @returns header, descriptors, and the footer when there is one; nothing is verified
 * @throws {@link AvbError}
 */
export function parseAvb(bytes: Uint8Array): AvbImage {
  if (!isAvb(bytes))
    throw new AvbError(
      "not-avb",
      0,
      "This file contains no Android boot metadata: neither AVB0 at its start nor AVBf near its end.",
    );
  if (magic(bytes, 0) === MAGIC) return { vbmeta: parseVbmeta(bytes, 0) };
  const footer = parseFooter(bytes);
  const vbmeta = parseVbmeta(
    part(bytes, footer.vbmetaOffset, footer.vbmetaSize, "The vbmeta structure"),
    footer.vbmetaOffset,
  );
  return { vbmeta, footer, content: bytes.subarray(0, footer.originalSize) };
}

function parseFooter(bytes: Uint8Array): Footer {
  const at = bytes.length - FOOTER;
  const footer = {
    version: `${u32be(bytes, at + 4)}.${u32be(bytes, at + 8)}`,
    originalSize: size64(bytes, at + 12, "The content"),
    vbmetaOffset: size64(bytes, at + 20, "The offset of the vbmeta structure"),
    vbmetaSize: size64(bytes, at + 28, "The vbmeta structure"),
  };
  if (u32be(bytes, at + 4) !== KNOWN_MAJOR)
    throw new AvbError(
      "bad-vbmeta",
      at,
      `The footer has version ${footer.version}; version ${KNOWN_MAJOR} is read.`,
    );
  if (footer.originalSize > footer.vbmetaOffset || footer.vbmetaOffset + footer.vbmetaSize > at)
    throw new AvbError("bad-vbmeta", at, "The footer's sizes and offsets overlap or leave the file.");
  return footer;
}

/** `base`: where the structure begins in the file, for error messages. */
function parseVbmeta(bytes: Uint8Array, base: number): Vbmeta {
  const header = part(bytes, 0, HEADER, "The header");
  if (magic(bytes, 0) !== MAGIC)
    throw new AvbError(
      "bad-vbmeta",
      base,
      `There is no vbmeta structure at offset ${base}, where the footer says.`,
    );
  const requiredVersion = `${u32be(header, 4)}.${u32be(header, 8)}`;
  if (u32be(header, 4) !== KNOWN_MAJOR)
    throw new AvbError(
      "bad-vbmeta",
      base + 4,
      `It needs libavb ${requiredVersion}; version ${KNOWN_MAJOR} is read.`,
    );
  const authentication = size64(header, 12, "The authentication block");
  const auxiliary = size64(header, 20, "The auxiliary block");
  if (authentication % 64 !== 0 || auxiliary % 64 !== 0)
    throw new AvbError(
      "bad-vbmeta",
      base + 12,
      `Blocks of ${authentication} and ${auxiliary} bytes: each is a multiple of 64.`,
    );
  const algorithm = AVB_ALGORITHMS[u32be(header, 28)];
  if (!algorithm)
    throw new AvbError("bad-vbmeta", base + 28, `There is no algorithm with number ${u32be(header, 28)}.`);
  const authBlock = part(bytes, HEADER, authentication, "The authentication block");
  const auxBlock = part(bytes, HEADER + authentication, auxiliary, "The auxiliary block");
  const inBlock = (block: Uint8Array, at: number, what: string) =>
    part(block, size64(header, at, `The offset of ${what}`), size64(header, at + 8, what), what);
  const descriptors = inBlock(auxBlock, 96, "The descriptors");
  return {
    requiredVersion,
    algorithm,
    rollbackIndex: u64be(header, 112),
    flags: u32be(header, 120),
    rollbackIndexLocation: u32be(header, 124),
    release: fixedText(header, 128, 48, "The release string"),
    descriptors: parseDescriptors(
      descriptors,
      base + HEADER + authentication + size64(header, 96, "The offset"),
    ),
    signed: concat(header, auxBlock),
    hash: inBlock(authBlock, 32, "The hash"),
    signature: inBlock(authBlock, 48, "The signature"),
    publicKey: inBlock(auxBlock, 64, "The public key"),
    size: HEADER + authentication + auxiliary,
    sizes: { authentication, auxiliary },
  };
}
