import { equal, toHex } from "../bytes.js";
import { tlvWords } from "./describe-tlv.js";
import { flagNames } from "./header.js";
import type { Image } from "./image.js";
import { tlvName } from "./tlv.js";
import { formatVersion } from "./version.js";

/** One thing that differs between two images, in words of a person, or hex where there are none. `undefined`: not there. */
export interface Difference {
  readonly what: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

export interface ImageDiff {
  readonly differences: readonly Difference[];
  readonly body: {
    readonly sizeBefore: number;
    readonly sizeAfter: number;
    /** Bytes that differ where both have one. */
    readonly changed: number;
    /** Offset in the body of the first of them. */
    readonly first?: number;
  };
}

/**
 * What changed from one image to another: header, TLVs in both areas, and how much of the body.
 *
 * @param before - by {@link parseImage}
 * @param after - by {@link parseImage}
 * @returns fields that differ, as texts, and how many bytes of the body do
 */
export function diffImages(before: Image, after: Image): ImageDiff {
  const rows = [...headerRows(before, after), ...tlvRows(before, after)];
  return {
    differences: rows.filter((row) => row.before !== row.after),
    body: diffBodies(before.body, after.body),
  };
}

function headerRows(before: Image, after: Image): Difference[] {
  const row = (what: string, read: (image: Image) => string): Difference => ({
    what,
    before: read(before),
    after: read(after),
  });
  return [
    row("version", ({ version }) => formatVersion(version)),
    row("flags", ({ header }) => flagText(header.flags)),
    row("header size", ({ header }) => `${header.headerSize}`),
    row("load address", ({ header }) => `0x${header.loadAddress.toString(16)}`),
    row("byte order", ({ endian }) => endian),
  ];
}

function flagText(flags: number): string {
  const { names, unknown } = flagNames(flags);
  return [...names, ...(unknown === 0 ? [] : [`0x${unknown.toString(16)}`])].join(" ") || "none";
}

/** TLVs of one type are compared in the order they stand in: the first with the first. */
function tlvRows(before: Image, after: Image): Difference[] {
  const old = numbered(before);
  const now = numbered(after);
  return [...new Set([...old.keys(), ...now.keys()])].map((what) => ({
    what,
    before: old.get(what),
    after: now.get(what),
  }));
}

function numbered({ tlvs, endian }: Image): Map<string, string> {
  const values = new Map<string, string>();
  const seen = new Map<string, number>();
  for (const tlv of tlvs) {
    const name = `${tlvName(tlv.type)}${tlv.protected ? " (protected)" : ""}`;
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    values.set(count === 1 ? name : `${name} no. ${count}`, tlvWords(tlv, endian) ?? toHex(tlv.value));
  }
  return values;
}

function diffBodies(before: Uint8Array, after: Uint8Array): ImageDiff["body"] {
  const sizes = { sizeBefore: before.length, sizeAfter: after.length };
  const shared = Math.min(before.length, after.length);
  if (equal(before.subarray(0, shared), after.subarray(0, shared))) return { ...sizes, changed: 0 };
  let changed = 0;
  let first: number | undefined;
  for (let offset = 0; offset < shared; offset++) {
    if (before[offset] === after[offset]) continue;
    changed++;
    first ??= offset;
  }
  return { ...sizes, changed, ...(first !== undefined && { first }) };
}
