import type { Endian } from "../bytes.js";
import { ORDER } from "../bytes.js";
import { TLV, type Tlv } from "./tlv.js";
import { formatUuid } from "./uuid.js";
import { formatVersion } from "./version.js";

/**
 * A TLV's value as people write it: `5` for a security counter; undefined for types whose value is just bytes.
 *
 * @param tlv - type and value
 * @param endian - of the image
 * @returns one line
 */
export function tlvWords({ type, value }: Pick<Tlv, "type" | "value">, endian: Endian): string | undefined {
  const { u16, u32 } = ORDER[endian];
  switch (type) {
    case TLV.SEC_CNT:
    case TLV.DECOMP_SIZE:
    case TLV.COMP_DEC_SIZE:
      return value.length === 4 ? `${u32(value, 0)}` : undefined;
    case TLV.DEPENDENCY: {
      if (value.length !== 12) return undefined;
      const [major, minor] = [value[4]!, value[5]!];
      const version = { major, minor, revision: u16(value, 6), build: u32(value, 8) };
      return `image ${value[0]} >= ${formatVersion(version)}`;
    }
    case TLV.UUID_VID:
    case TLV.UUID_CID:
      return value.length === 16 ? formatUuid(value) : undefined;
    case TLV.BOOT_RECORD:
      return bootRecordWords(value);
    default:
      return undefined;
  }
}

/** Software type and version, where the record begins with them as imgtool writes it. */
function bootRecordWords(record: Uint8Array): string | undefined {
  const kind = shortText(record, 1, 1);
  const version = kind && shortText(record, kind.end, 4);
  return kind && version && `${kind.text} ${version.text}`;
}

/** Key and text of a CBOR map at this place, the text shorter than 24 bytes. */
function shortText(record: Uint8Array, at: number, key: number): { text: string; end: number } | undefined {
  const head = record[at + 1];
  if (record[at] !== key || head === undefined || head < 0x60 || head > 0x77) return undefined;
  const end = at + 2 + (head - 0x60);
  const bytes = record.subarray(at + 2, end);
  const isPlain = end <= record.length && bytes.every((byte) => byte >= 0x20 && byte < 0x7f);
  return isPlain ? { text: new TextDecoder().decode(bytes), end } : undefined;
}
