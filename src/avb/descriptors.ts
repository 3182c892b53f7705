import { u32be } from "../bytes.js";
import { AvbError } from "./error.js";
import { fixedText, part, size64, textOf, u64be } from "./fields.js";

/** What a descriptor says. Kinds that are not read are shown by name and size. */
export type Descriptor =
  | { readonly kind: "property"; readonly key: string; readonly value: Uint8Array }
  | HashDescriptor
  | {
      readonly kind: "chain";
      readonly partition: string;
      /** Where the chained partition's rollback index is kept. */
      readonly rollbackIndexLocation: number;
      readonly publicKey: Uint8Array;
    }
  | {
      readonly kind: "hashtree" | "kernel-command-line" | "unknown";
      readonly tag: number;
      readonly size: number;
    };

/** The digest of a whole partition's content. */
export interface HashDescriptor {
  readonly kind: "hash";
  readonly partition: string;
  readonly imageSize: number;
  /** As avbtool spells it. */
  readonly algorithm: string;
  readonly salt: Uint8Array;
  readonly digest: Uint8Array;
  /** Bit 0: the digest is not tied to one slot's partition. */
  readonly flags: number;
}

const TAG = { property: 0n, hashtree: 1n, hash: 2n, kernelCommandLine: 3n, chain: 4n } as const;
const HEADER = 16;
const MAX_DESCRIPTORS = 256;

/** Reads all descriptors. `base`: where they begin in the file, for error messages. Throws {@link AvbError}. */
export function parseDescriptors(bytes: Uint8Array, base: number): Descriptor[] {
  const found: Descriptor[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (found.length >= MAX_DESCRIPTORS)
      throw new AvbError("bad-vbmeta", base + at, `There are more than ${MAX_DESCRIPTORS} descriptors.`);
    const header = part(bytes, at, HEADER, "A descriptor's header");
    const following = size64(header, 8, "A descriptor");
    if (following % 8 !== 0)
      throw new AvbError(
        "bad-vbmeta",
        base + at,
        `The descriptor at offset ${base + at} has ${following} bytes, which is not a multiple of 8.`,
      );
    const body = part(bytes, at + HEADER, following, "A descriptor");
    found.push(parseDescriptor(u64be(header, 0), body, base + at + HEADER));
    at += HEADER + following;
  }
  return found;
}

function parseDescriptor(tag: bigint, body: Uint8Array, base: number): Descriptor {
  if (tag === TAG.property) return property(body, base);
  if (tag === TAG.hash) return hash(body, base);
  if (tag === TAG.chain) return chain(body, base);
  const kind =
    tag === TAG.hashtree ? "hashtree" : tag === TAG.kernelCommandLine ? "kernel-command-line" : "unknown";
  return { kind, tag: Number(tag), size: body.length };
}

/** Key and value, each with a NUL behind it that its length does not count. */
function property(body: Uint8Array, base: number): Descriptor {
  part(body, 0, 16, "A property");
  const keyLength = size64(body, 0, "A property's key");
  const valueLength = size64(body, 8, "A property's value");
  const key = part(body, 16, keyLength + 1, "A property's key");
  const value = part(body, 16 + keyLength + 1, valueLength + 1, "A property's value");
  if (key.at(-1) !== 0 || value.at(-1) !== 0)
    throw new AvbError("bad-vbmeta", base, `The property at offset ${base} does not end with NUL.`);
  return {
    kind: "property",
    key: textOf(key.subarray(0, -1), base + 16, "A property's key"),
    value: value.subarray(0, -1),
  };
}

const HASH_SIZE = 116;

function hash(body: Uint8Array, base: number): Descriptor {
  part(body, 0, HASH_SIZE, "A hash descriptor");
  const lengths = [u32be(body, 40), u32be(body, 44), u32be(body, 48)] as const;
  const [nameLength, saltLength, digestLength] = lengths;
  const name = part(body, HASH_SIZE, nameLength, "A partition's name");
  return {
    kind: "hash",
    partition: textOf(name, base + HASH_SIZE, "A partition's name"),
    imageSize: size64(body, 0, "The content of a partition"),
    algorithm: fixedText(body, 8, 32, "A hash algorithm"),
    salt: part(body, HASH_SIZE + nameLength, saltLength, "A salt"),
    digest: part(body, HASH_SIZE + nameLength + saltLength, digestLength, "A digest"),
    flags: u32be(body, 52),
  };
}

const CHAIN_SIZE = 76;

function chain(body: Uint8Array, base: number): Descriptor {
  part(body, 0, CHAIN_SIZE, "A chain descriptor");
  const nameLength = u32be(body, 4);
  const keyLength = u32be(body, 8);
  const name = part(body, CHAIN_SIZE, nameLength, "A partition's name");
  return {
    kind: "chain",
    partition: textOf(name, base + CHAIN_SIZE, "A partition's name"),
    rollbackIndexLocation: u32be(body, 0),
    publicKey: part(body, CHAIN_SIZE + nameLength, keyLength, "A chained partition's key"),
  };
}
