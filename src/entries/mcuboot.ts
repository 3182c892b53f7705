/** `bootproof/mcuboot`: images, slots and trailers of MCUboot, and the file formats they come in. Pure. */

import { useOpenssl } from "../crypto-node/openssl.js";

export { ArchiveError } from "../formats/archive.js";
export { elfMachine, isElfForHost } from "../formats/elf.js";
export { fileKindOf, isIntelHex } from "../formats/file-kinds.js";
export { readIntelHex } from "../formats/intel-hex.js";
export { JsonError } from "../formats/strict-json.js";
export { checkTlvTypes, isPure, short, warningsAbout } from "../mcuboot/checks.js";
export { LZMA_SETTINGS } from "../mcuboot/compression.js";
export { hashOfTlv } from "../mcuboot/crypto-tlvs.js";
export { type DumpedTlv, type DumpedTrailer, imgtoolFlagNames, imgtoolVersion } from "../mcuboot/dumpinfo.js";
export { tailOf } from "../mcuboot/file-tail.js";
export { endianOf, flagNames } from "../mcuboot/header.js";
export { hashAlgorithmOf } from "../mcuboot/image.js";
export { cArray, cPrivateArray, rustArray } from "../mcuboot/key-source-code.js";
export type { BootPolicy } from "../mcuboot/next-boot.js";
export { erasedValueOf, erasedValueOfDump } from "../mcuboot/slot.js";
export { trailerSegments } from "../mcuboot/slot-padding.js";
export { addressText, bodyWarnings, imageVectors, startWarnings } from "../mcuboot/start.js";
export { CUSTOM_TLV_RANGE, oddLength } from "../mcuboot/tlv.js";
export { bootMagic, maxAlignOfMagic, trailerLayout } from "../mcuboot/trailer.js";
export { swapModeOf } from "../mcuboot/upgrade-modes.js";
export { isUuid } from "../mcuboot/uuid.js";
export * from "../pure/mcuboot.js";

useOpenssl();
