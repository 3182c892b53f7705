/** Images, slots and trailers of MCUboot, and the formats they come in, for the entries of Node and of a page. */

export { ElfError, isElf, parseElf } from "../formats/elf.js";
export { formatIntelHex, HexError, joinSegments, parseIntelHex, type Segment } from "../formats/intel-hex.js";
export { LzmaError } from "../formats/lzma2.js";
export type { CompressionKind, Lzma2Compressor } from "../mcuboot/compression.js";
export { ENCRYPTION_KEYS, HASH_TLVS, SIGNATURE_TLVS } from "../mcuboot/crypto-tlvs.js";
export { tlvWords } from "../mcuboot/describe-tlv.js";
export { type Difference, diffImages, type ImageDiff } from "../mcuboot/diff.js";
export { type DumpedImage, dumpImage } from "../mcuboot/dumpinfo.js";
export { type DecryptionKey, decryptRange, EncryptionError } from "../mcuboot/encryption.js";
export { type DumpFindings, findImages } from "../mcuboot/find-images.js";
export {
  IMAGE_F,
  ImageError,
  type ImageErrorCode,
  type ImageHeader,
  parseHeader,
} from "../mcuboot/header.js";
export { type Dependency, type Image, parseImage } from "../mcuboot/image.js";
export { largestImage, type SlotGeometry, trailerSize } from "../mcuboot/largest-image.js";
export { type CheckedSlot, type NextBoot, nextBoot } from "../mcuboot/next-boot.js";
export { type ResignOptions, resignImage } from "../mcuboot/resign.js";
export {
  acceptance,
  type KeySet,
  type Named,
  rotationStages,
  type Signatories,
  whoSigned,
} from "../mcuboot/rotation.js";
export { decideSetNext, type SetNextRule, type SetNextTarget } from "../mcuboot/set-next.js";
export {
  type EncryptOptions,
  finishImage,
  type MadeSignature,
  type PreparedImage,
  prepareImage,
  type SignedImage,
  type SignOptions,
  signByPlan,
  signImage,
} from "../mcuboot/sign.js";
export { SignError } from "../mcuboot/sign-error.js";
export type { SignatureResult, SignatureTrial } from "../mcuboot/signatures.js";
export { type HeaderPlan, type SigningPlan, type SlotPlan, signingPlan } from "../mcuboot/signing-plan.js";
export {
  type OpenedRequest,
  openSigningRequest,
  type RequestCircumstances,
  type SigningFacts,
  type SigningRequestFile,
  type SigningResponseFile,
  signatureFromResponse,
  signingRequestFile,
  signingResponseFile,
} from "../mcuboot/signing-request.js";
export { SigningRequestError } from "../mcuboot/signing-request-error.js";
export { parseSlot, type Region, type Slot, type SlotOptions } from "../mcuboot/slot.js";
export { decideSwapType, isConfirmed, type SwapType } from "../mcuboot/swap-type.js";
export { TLV, type Tlv, type TlvEntry, tlvKind, tlvName } from "../mcuboot/tlv.js";
export { type MaxAlign, parseTrailer, type Trailer, type TrailerState } from "../mcuboot/trailer.js";
export {
  type SizeRule,
  type SwapFacts,
  type SwapMode,
  UPGRADE_MODE_NAMES,
  UPGRADE_MODES,
  type UpgradeMode,
  type UpgradeModeFacts,
  upgradeMode,
  upgradeModeOfNumber,
  upgradeModesOfNumber,
} from "../mcuboot/upgrade-modes.js";
export {
  type Check,
  type CheckName,
  type Verdict,
  type VerifyOptions,
  verifyImage,
} from "../mcuboot/verify.js";
export {
  compareVersions,
  formatVersion,
  parseVersion,
  securityCounterOf,
  type Version,
  VersionError,
} from "../mcuboot/version.js";
