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
// Images, keys and SMP messages.
export * from "./browser.js";
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
export { type FollowedUsb, followUsb } from "./devices/follow-usb.js";
export { type DeviceChange, type ListDevicesOptions, listDevices, watchDevices } from "./devices/list.js";
export { openPipe as openStream } from "./devices/open.js";
export { type NamedDevice, SelectionError, selectDevice, smpPort } from "./devices/select.js";
export { findAgain, identityOf, Whereabouts } from "./devices/whereabouts.js";
export { DfuError, type DfuErrorCode } from "./dfu/error.js";
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
  type PutOptions,
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
export { type OnceBackOptions, onceBack } from "./workflow/once-back.js";
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
