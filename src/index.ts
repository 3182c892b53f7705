/**
 * The library: what happens to boards, as workflows, and what these need. Images, keys, SMP messages, boards and the chain of
 * trust have entries of their own: `bootproof/mcuboot`, `/crypto`, `/smp`, `/boards`, `/trust`; `/prove` is the proof
 * suite, `/browser` the part that needs nothing of Node.
 */

import { useOpenssl } from "./crypto-node/openssl.js";

export { AwsError } from "./agents/aws-error.js";
export { type AwsJob, readAwsJob } from "./agents/aws-job.js";
export {
  type AwsCall,
  type AwsRelease,
  type AwsReleasePlan,
  type AwsResult,
  type AwsSigning,
  fillAwsResults,
  planAwsRelease,
} from "./agents/aws-release.js";
export { fetchStream } from "./agents/aws-stream.js";
export { AwsThing, type IotLink, type JobExecution, type ReportedStatus } from "./agents/aws-thing.js";
export { BlockMap } from "./agents/block-map.js";
export {
  type CodeSigner,
  checkCodeSignature,
  readCodeSigner,
  signatureTypeOf,
} from "./agents/code-signature.js";
export {
  type DeploymentHooks,
  type DeploymentPhase,
  deploy,
  type FailedDeployment,
} from "./agents/deployment.js";
export {
  type MenderDeployment,
  type MenderIdentity,
  MenderServer,
  MenderServerError,
  type MenderServerErrorCode,
  type MenderServerOptions,
  type MenderStatus,
} from "./agents/mender-server.js";
export {
  checkOnTrial,
  checkReverted,
  commitStaged,
  discardStaged,
  markStaged,
  revertStaged,
  type StagedUpdate,
  StagedUpdateError,
  type StagedUpdateErrorCode,
  stageImage,
  startStaged,
} from "./agents/staged-update.js";
export { environmentWithoutSecrets } from "./child-environment.js";
export { Client, type ClientOptions, type SendOptions, type ServerFacts } from "./client/client.js";
export { type ConnectOptions, connect, identify } from "./client/connect.js";
export type { LinkMemory } from "./client/flow-control.js";
export { type GuestEnd, type Intercept, Relay } from "./client/relay.js";
export { RequestTimeout } from "./client/request-timeout.js";
export type { TraceRecord, TraceSink } from "./client/trace.js";
export { KeyError } from "./crypto/key-error.js";
export { generateKey, Key, parseKey } from "./crypto/keys.js";
export { openPipe as openStream } from "./devices/open.js";
export { DfuError, type DfuErrorCode } from "./dfu/error.js";
export { readDfuFile } from "./dfu/file.js";
export { hex, memoryInWords } from "./dfu/memory.js";
export { stateInWords } from "./dfu/status.js";
export { DfuDevice, type DfuMemory, type DfuOffer } from "./dfu-transfer/device.js";
export {
  type DownloadEvent as DfuDownloadEvent,
  type DownloadOptions as DfuDownloadOptions,
  type DownloadResult as DfuDownloadResult,
  download as dfuDownload,
  leaveTo,
  mustBeImage,
} from "./dfu-transfer/download.js";
export { chooseDfu, type DfuListing, leaveForDfu, listDfu } from "./dfu-transfer/find.js";
export { type UploadOptions as DfuUploadOptions, upload as dfuUpload } from "./dfu-transfer/upload.js";
export { diagnose, hasPrompt, USUAL_BAUD_RATES } from "./diagnosis/diagnose.js";
export type { Diagnosis } from "./diagnosis/diagnosis.js";
export { Replay, type Replayed } from "./diagnosis/replay.js";
export { type StartOptions, startBoard } from "./emulator/start.js";
export { endProgram } from "./end-program.js";
export { BootproofError } from "./errors.js";
export { type FileProof, hashText, sha256Of } from "./file-transfer/file-hash.js";
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
} from "./file-transfer/files.js";
export { type Folder as FolderListing, ListError, listFolder } from "./file-transfer/list-folder.js";
export { ImageError } from "./mcuboot/header.js";
export { type Image, parseImage } from "./mcuboot/image.js";
export { type SignedImage, type SignOptions, signImage } from "./mcuboot/sign.js";
export { type Verdict, type VerifyOptions, verifyImage } from "./mcuboot/verify.js";
export type { AliveBoard } from "./recovery/alive.js";
export { commandLine, probeAt, usableTools, whyNoTool } from "./recovery/debug-tools.js";
export type {
  AsJson,
  BoardEventLine,
  FlashLine,
  ProgressLine,
  RecoverLine,
} from "./recovery/event-lines.js";
export { RECOVERY_METHODS, type RecoveryMethod, type RecoveryMethodName } from "./recovery/methods.js";
export { recover } from "./recovery/recover.js";
export type {
  MethodSummary as MethodWords,
  RecoverEvent,
  RecoverOptions,
  RecoverOutcome,
  RecoverResult,
} from "./recovery/recover-events.js";
export { type StRomWay, stRomWriter, whyNoRom } from "./recovery/st-rom.js";
export type { DirectWriter, PowerSource, RecoveryTarget } from "./recovery/target.js";
export { usbDfuWriter, whyNoDfu } from "./recovery/usb-dfu.js";
export { isHeld, renameOver } from "./rename-over.js";
export { type KnownImage, readFacts, runningSlot } from "./session/board-facts.js";
export { newBootEvents } from "./session/boot-events.js";
export type {
  BoardFacts,
  BootEvent,
  FactSource,
  ImageFacts,
  SlotContent,
  SlotFacts,
  Sourced,
} from "./session/facts.js";
export { type Groups, listGroups } from "./session/groups.js";
export { KnownImagesError, knownImage, knownImages } from "./session/known-images.js";
export { readIdentity } from "./session/read-identity.js";
export { AwayError, staysUp, untilAnswering, type WatchEvent } from "./session/reconnect.js";
export { RecoveryNumberError, recoveryNumber } from "./session/recovery-number.js";
export { type RestartPlan, restart } from "./session/restart.js";
export { type RetryUntilBackOptions, retryUntilBack } from "./session/retry-until-back.js";
export { run as runWorkflow } from "./session/run.js";
export { mustBeOneOf, OtherBoardError, runningNow } from "./session/same-board.js";
export { type OpenClient, type Recognise, Session } from "./session/session.js";
export { DeviceError } from "./smp/message.js";
export { ST_ROM_LINE, StRomError } from "./st-rom/an3155.js";
export { type Clash, type FoundBoard, findClashes } from "./station/clashes.js";
export { type BoardTask, driveBoards, type StationEvent, type TaskEnding } from "./station/drive-boards.js";
export {
  type ExpectedBoard,
  isWithUpdate,
  JOB_KINDS,
  type Job,
  type JobEnding,
  type JobKind,
  type JobVerdict,
  type JournalEntry,
  replay,
  type TileFacts,
  type UpdateName,
} from "./station/job.js";
export { findRecords, type HistoryFilter, rigStatistics, toCsv } from "./station/job-history.js";
export { Station } from "./station/station.js";
export type {
  GroupControl,
  JobControl,
  JobProgress,
  StationBoard,
  StationWork,
} from "./station/station-work.js";
export {
  flashTogether,
  type JointBoard,
  type JointEnding,
  type JointState,
  type JointTask,
  type TogetherEvent,
  type TogetherOutcome,
  type TogetherResult,
} from "./station/together.js";
export {
  type Address,
  type BoardAddress,
  formatAddress,
  isPipe,
  type PipeAddress,
  type SerialAddress,
  type WireAddress,
} from "./transport/address.js";
export { changeLines, type LineChange } from "./transport/lines.js";
export { describePort, listSerialPorts, type SerialPortInfo } from "./transport/list.js";
export type { Listener } from "./transport/listener.js";
export { openStream as openWire } from "./transport/open-stream.js";
export { parseAddress } from "./transport/parse-address.js";
export { listenTcp } from "./transport/tcp.js";
export { type ByteStream, TransportError, type TransportErrorCode } from "./transport/transport.js";
export { listenUdp } from "./transport/udp.js";
export type { UsbSelector } from "./transport/usb.js";
export type { UsbProblem } from "./transport/usb-devices.js";
export { type UsbFound, UsbTransferError, usbId, usbInWords } from "./transport/usb-handle.js";
export { pendingCounter, storedCounter } from "./update/counter-check.js";
export type { PolicyHook } from "./update/events.js";
export {
  type Compression,
  type FlashEvent,
  type FlashOptions,
  type FlashOutcome,
  type FlashResult,
  flash,
  type HealthCheck,
  HealthError,
  type ImageCompressor,
  MarkError,
  type NotListedError,
  type NotRunningCause,
} from "./update/flash.js";
export { flashUpdate, variantFor } from "./update/flash-update.js";
export type {
  ImageEnding,
  ImageFile,
  ImagesEvent,
  ImagesOutcome,
  ImagesResult,
} from "./update/images-events.js";
export { askRatchet, rememberedImage } from "./update/memory.js";
export { payloadFor } from "./update/payload.js";
export { PREFLIGHT_CHECKS, type PreflightCheck, type PreflightCheckName } from "./update/preflight-check.js";
export { revertsUnconfirmed } from "./update/revert-checks.js";
export {
  UploadError,
  type UploadEvent,
  type UploadOptions,
  type UploadResult,
  upload,
} from "./update/upload.js";
export { installOnVehicle, type VehicleBoard, type VehicleResult } from "./vehicle/install.js";
export { type BoardReading, vehicleManifest } from "./vehicle/report.js";

useOpenssl();
