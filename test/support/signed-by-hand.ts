import { concat } from "../../src/bytes.js";
import { HASHES } from "../../src/crypto/hashes.js";
import { type Key, secretOf, signatureAlgorithmOf } from "../../src/crypto/keys.js";
import { encodeHeader } from "../../src/mcuboot/header.js";
import {
  buildTlvArea,
  TLV,
  TLV_INFO_MAGIC,
  TLV_PROT_INFO_MAGIC,
  type TlvEntry,
  tlvAreaLength,
} from "../../src/mcuboot/tlv.js";

/** An image with these protected TLVs whatever they are, signed with an Ed25519 key: no signing tool writes odd ones. */
export async function signedByHand(
  key: Key,
  body: Uint8Array,
  tlvs: readonly TlvEntry[],
  flags = 0,
): Promise<Uint8Array> {
  const header = {
    loadAddress: 0,
    headerSize: 512,
    protectedSize: tlvAreaLength(tlvs),
    bodySize: body.length,
    flags,
    version: { major: 2, minor: 0, revision: 0, build: 0 },
    pad: 0,
  };
  const range = concat(
    encodeHeader(header),
    new Uint8Array(480),
    body,
    buildTlvArea(TLV_PROT_INFO_MAGIC, tlvs, "little"),
  );
  const digest = HASHES.sha256.digest(range);
  const signature = await signatureAlgorithmOf(key).sign(secretOf(key), { range, digest, pure: false });
  const entries = [
    { type: TLV.SHA256, value: digest },
    { type: TLV.KEYHASH, value: key.keyHash },
    { type: TLV.ED25519, value: signature },
  ];
  return concat(range, buildTlvArea(TLV_INFO_MAGIC, entries, "little"));
}
