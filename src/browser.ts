/**
 * The part of the library that needs nothing of Node: images, keys and SMP messages as pure functions. `bootproof/browser`
 * for a page; the whole library gives all of it out as well.
 */

export { BootproofError } from "./errors.js";
// The cargo: images and keys. Pure; works in a browser too.
export type { KeyType } from "./image/algorithms.js";
export type { CompressionKind, Lzma2Compressor } from "./image/compression.js";
export { type Difference, diffImages, type ImageDiff } from "./image/diff.js";
export { type DumpedImage, dumpImage } from "./image/dumpinfo.js";
export { ElfError, isElf, parseElf } from "./image/elf.js";
export { type DecryptionKey, decryptRange, EncryptionError } from "./image/encryption.js";
export { type DumpFindings, findImages } from "./image/find-images.js";
export { type Digest, type HashName, hashWith } from "./image/hashes.js";
export { IMAGE_F, ImageError, type ImageErrorCode, type ImageHeader, parseHeader } from "./image/header.js";
export { type Dependency, type Image, parseImage } from "./image/image.js";
export { formatIntelHex, HexError, joinSegments, parseIntelHex, type Segment } from "./image/intel-hex.js";
export { KeyError } from "./image/key-error.js";
export { generateKey, Key, parseKey, toPem } from "./image/keys.js";
export { type BootMode, largestImage, type SlotGeometry, trailerSize } from "./image/largest-image.js";
export { LzmaError } from "./image/lzma2.js";
export { type CheckedSlot, type NextBoot, nextBoot } from "./image/next-boot.js";
export { publishedKeyName } from "./image/published-keys.js";
export { type ResignOptions, resignImage } from "./image/resign.js";
export {
  acceptance,
  type KeySet,
  type Named,
  rotationStages,
  type Signatories,
  whoSigned,
} from "./image/rotation.js";
export { decideSetNext, type SetNextRule, type SetNextTarget } from "./image/set-next.js";
export {
  type EncryptOptions,
  finishImage,
  keySigner,
  type PreparedImage,
  prepareImage,
  SignError,
  type SignedImage,
  type Signer,
  type SigningRequest,
  type SignOptions,
  signImage,
} from "./image/sign.js";
export type { SignatureResult, SignatureTrial } from "./image/signatures.js";
export {
  type OpenedRequest,
  openSigningRequest,
  type RequestCircumstances,
  type SigningFacts,
  SigningRequestError,
  type SigningRequestFile,
  type SigningResponseFile,
  signatureFromResponse,
  signingRequestFile,
  signingResponseFile,
} from "./image/signing-request.js";
export { parseSlot, type Region, type Slot, type SlotOptions } from "./image/slot.js";
export { decideSwapType, isConfirmed, type SwapMode, type SwapType } from "./image/swap-type.js";
export { TLV, type Tlv, type TlvEntry, tlvKind, tlvName } from "./image/tlv.js";
export { tlvWords } from "./image/tlv-words.js";
export { type MaxAlign, parseTrailer, type Trailer, type TrailerState } from "./image/trailer.js";
export {
  type Check,
  type CheckName,
  type Verdict,
  type VerifyOptions,
  verifyImage,
} from "./image/verify.js";
export {
  compareVersions,
  formatVersion,
  parseVersion,
  securityCounterOf,
  type Version,
  VersionError,
} from "./image/version.js";
export { parseWrappingKey, type WrappingKey } from "./image/wrapping-key.js";
// The language: SMP. Pure.
export { CborError } from "./smp/cbor.js";
export {
  type AnyCommand,
  type Command,
  command,
  commandByNumber,
  type RequestOf,
  type ResponseOf,
} from "./smp/command.js";
export { consoleFraming } from "./smp/framing/console.js";
export type { Decoder, Framing, Heard } from "./smp/framing/framing.js";
export { rawFraming } from "./smp/framing/raw.js";
export { allCommands } from "./smp/groups/all.js";
export * from "./smp/groups/crash.js";
export * from "./smp/groups/enum.js";
export * from "./smp/groups/fs.js";
export * from "./smp/groups/image.js";
export * from "./smp/groups/log.js";
export * from "./smp/groups/os.js";
export * from "./smp/groups/settings.js";
export * from "./smp/groups/shell.js";
export * from "./smp/groups/stat.js";
export * from "./smp/groups/trust.js";
export * from "./smp/groups/zephyr.js";
export { type Header, MessageError, type SmpVersion } from "./smp/header.js";
export { fromJson, type Json, toJson } from "./smp/json.js";
export { DeviceError, decodeResponse, encodeRequest } from "./smp/message.js";
export type { ErrorRow } from "./smp/rc.js";
export {
  anything,
  bool,
  bytes,
  int,
  type Kind,
  list,
  object,
  optional,
  record,
  ShapeError,
  text,
  uint,
  uint64,
} from "./smp/schema.js";
export { decodeSetting, encodeSetting, type SettingType, ValueError } from "./smp/setting-value.js";
