/**
 * The library: what the command line is built on. Rooms in the order of a byte's way from a file to a board's flash.
 */

// Emulated boards.
export { type Board, BoardError, type BoardEvent, type Cut, type Machine } from "./board/board.js";
export {
  boardVariant,
  boardVariants,
  fixtureBody,
  fixtureImages,
  fixtureKey,
  fixtureKeyPath,
  signedFixture,
} from "./board/catalog.js";
export { LAYOUT } from "./board/layout.js";
export { type StartOptions, startBoard } from "./board/start.js";
// One verb: send.
export {
  Client,
  type ClientOptions,
  RequestTimeout,
  type SendOptions,
  type ServerFacts,
} from "./client/client.js";
export { type ConnectOptions, connect, identify } from "./client/connect.js";
export type { TraceRecord, TraceSink } from "./client/trace.js";
export type { Device, DeviceIdentity, DevicePort, DeviceState } from "./devices/device.js";
export { type DeviceChange, type ListDevicesOptions, listDevices, watchDevices } from "./devices/list.js";
export { openPipe as openStream } from "./devices/open.js";
export { type NamedDevice, SelectionError, selectDevice, smpPort } from "./devices/select.js";
export { findAgain, identityOf, Whereabouts } from "./devices/whereabouts.js";
export { DfuError, type DfuErrorCode } from "./dfu/error.js";
export { BootproofError } from "./errors.js";
// The cargo: images and keys. Pure; works in a browser too.
export { type Digest, type HashName, hashWith, type KeyType } from "./image/algorithms.js";
export type { CompressionKind, Lzma2Compressor } from "./image/compression.js";
export { type Difference, diffImages, type ImageDiff } from "./image/diff.js";
export { type DumpedImage, dumpImage } from "./image/dumpinfo.js";
export { ElfError, isElf, parseElf } from "./image/elf.js";
export { type DecryptionKey, decryptRange, EncryptionError } from "./image/encryption.js";
export { type DumpFindings, findImages } from "./image/find-images.js";
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
export { commandSwitch } from "./power/command.js";
export { httpSwitch } from "./power/http.js";
export { hubSwitch } from "./power/hub.js";
export { type HubDescriptor, type HubSwitching, readHubDescriptor } from "./power/hub-descriptor.js";
export {
  type PowerConfig,
  PowerError,
  type PowerErrorCode,
  type PowerSwitch,
  readPower,
} from "./power/power.js";
export {
  type PowerProof,
  type ProofEvent,
  type ProofOptions,
  provePower,
  type Vitals,
} from "./power/prove.js";
export { powerSwitch } from "./power/switch.js";
export { KNOWN_BOARDS } from "./profiles/boards.js";
export type { BoardProfile, LineStep } from "./profiles/profile.js";
export { ProfileError, readProfiles } from "./profiles/read.js";
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
// The pipes.
export { type Address, formatAddress, type PipeAddress, parseAddress } from "./transport/address.js";
export { changeLines, type LineChange } from "./transport/lines.js";
export { describePort, listSerialPorts, type SerialPortInfo } from "./transport/list.js";
export { type ByteStream, TransportError, type TransportErrorCode } from "./transport/transport.js";
export { type UsbFound, type UsbSelector, UsbTransferError } from "./transport/usb.js";
// The stories.
export { DfuDevice, type DfuMemory, type DfuOffer } from "./workflow/dfu/device.js";
export {
  type DownloadEvent as DfuDownloadEvent,
  type DownloadOptions as DfuDownloadOptions,
  type DownloadResult as DfuDownloadResult,
  download as dfuDownload,
} from "./workflow/dfu/download.js";
export { chooseDfu, type DfuListing, leaveForDfu, listDfu } from "./workflow/dfu/find.js";
export { type UploadOptions as DfuUploadOptions, upload as dfuUpload } from "./workflow/dfu/upload.js";
export {
  type BoardFacts,
  type BootEvent,
  type FactSource,
  type ImageFacts,
  type KnownImage,
  readFacts,
  runningSlot,
  type SlotFacts,
  type Sourced,
} from "./workflow/facts.js";
export type { FileProof } from "./workflow/file-hash.js";
export { type Folder, ListError, listFolder } from "./workflow/file-list.js";
export {
  type DownloadEvent,
  type DownloadOptions,
  type FileEvent,
  type FileOptions,
  type FileResult,
  FileTransferError,
  getFile,
  putFile,
} from "./workflow/files.js";
export {
  type FlashEvent,
  type FlashOptions,
  type FlashOutcome,
  type FlashResult,
  flash,
  type HealthCheck,
  HealthError,
} from "./workflow/flash.js";
export { GATE_CHECKS, type GateCheck, type GateCheckName } from "./workflow/gate.js";
export { type Groups, listGroups } from "./workflow/groups.js";
export { knownImage, knownImages } from "./workflow/known-images.js";
export { LADDER, type Rung, type RungName } from "./workflow/ladder/rungs.js";
export type { DirectWriter, PowerSource, Site } from "./workflow/ladder/site.js";
export { type StRomWay, stRomWriter } from "./workflow/ladder/st-rom.js";
export { usbDfuWriter } from "./workflow/ladder/usb-dfu.js";
export { AwayError, staysUp, untilAnswering, type WatchEvent } from "./workflow/reconnect.js";
export {
  type RecoverEvent,
  type RecoverOptions,
  type RecoverOutcome,
  type RecoverResult,
  type RungWords,
  recover,
} from "./workflow/recover.js";
export { RecoveryNumberError, recoveryNumber } from "./workflow/recovery-number.js";
export { Replay } from "./workflow/replay.js";
export { type RestartPlan, restart } from "./workflow/restart.js";
export { run } from "./workflow/run.js";
export { type OpenClient, Session } from "./workflow/session.js";
export {
  UploadError,
  type UploadEvent,
  type UploadOptions,
  type UploadResult,
  upload,
} from "./workflow/upload.js";
