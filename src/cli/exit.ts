import type * as Prove from "bootproof/prove";
import type { AwsError } from "../agents/aws-error.js";
import type { MenderServerError } from "../agents/mender-server.js";
import type { StagedUpdateError } from "../agents/staged-update.js";
import type { AvbError } from "../avb/error.js";
import type { BoardDescriptionError } from "../boards/board-description.js";
import type { ChoiceError } from "../boards/choose-device.js";
import type { ConfigError } from "../boards/config.js";
import type { BytesError } from "../bytes.js";
import type { RequestTimeout } from "../client/request-timeout.js";
import type { DerError } from "../crypto/der.js";
import type { KeyError } from "../crypto/key-error.js";
import type { SelectionError } from "../devices/select.js";
import type { DfuError } from "../dfu/error.js";
import type { BoardError } from "../emulator/board.js";
import { BootproofError } from "../errors.js";
import type { FileTransferError } from "../file-transfer/files.js";
import type { ListError } from "../file-transfer/list-folder.js";
import type { ArchiveError } from "../formats/archive.js";
import type { ElfError } from "../formats/elf.js";
import type { HexError } from "../formats/intel-hex.js";
import type { LzmaError } from "../formats/lzma2.js";
import type { JsonError } from "../formats/strict-json.js";
import type { EncryptionError } from "../mcuboot/encryption.js";
import type { ImageError } from "../mcuboot/header.js";
import type { SignError } from "../mcuboot/sign-error.js";
import type { SigningRequestError } from "../mcuboot/signing-request-error.js";
import type { VersionError } from "../mcuboot/version.js";
import type { MenderError } from "../mender/error.js";
import type { PowerError } from "../power/power.js";
import type { ProfileError } from "../profiles/read.js";
import type { KnownImagesError } from "../session/known-images.js";
import type { AwayError } from "../session/reconnect.js";
import type { RecoveryNumberError } from "../session/recovery-number.js";
import type { OtherBoardError } from "../session/same-board.js";
import type { SignerError } from "../signers/signer-error.js";
import type { CborError } from "../smp/cbor.js";
import type { MessageError } from "../smp/header.js";
import type { DeviceError } from "../smp/message.js";
import type { ShapeError } from "../smp/schema.js";
import type { ValueError } from "../smp/setting-value.js";
import type { SourceError } from "../sources/source.js";
import type { StRomError } from "../st-rom/an3155.js";
import type { TransportError } from "../transport/transport.js";
import type { UsbTransferError } from "../transport/usb-handle.js";
import type { EnvelopeError } from "../trust/dsse.js";
import type { LogError } from "../trust/log-error.js";
import type { PolicyError } from "../trust/policy-error.js";
import type { RatchetError } from "../trust/ratchet.js";
import type { LedgerError } from "../trust-store/signing-ledger.js";
import type { TpmError } from "../trust-store/tpm-counter.js";
import type { TufError } from "../tuf/error.js";
import type { TufRepositoryError } from "../tuf/repository/repository-error.js";
import type { TufStoreError } from "../tuf-store/file-store.js";
import type { RepositoryFetchError } from "../tuf-store/repository-fetch-error.js";
import type { HealthError, MarkError, NotListedError } from "../update/flash.js";
import type { UploadError } from "../update/upload.js";
import type { UptaneError } from "../uptane/error.js";
import type { RatchetRefusal } from "./audit/ratchet-guard.js";
import type { ProbeToolError } from "./debug-probe.js";
import type { DemoError } from "./demo/workspace.js";
import type { FileError } from "./files.js";
import type { FirmwareError } from "./firmware-file.js";
import type { ImgtoolFailure } from "./imgtool/failure.js";
import type { LabError } from "./labgrid/lab-error.js";
import type { McumgrFailure } from "./mcumgr/failure.js";
import type { NotDoneError } from "./not-done.js";
import type { PluginError } from "./plugins.js";
import type { ProofError } from "./proof-error.js";
import type { CompressorError } from "./signing/xz.js";
import type { StationError } from "./station/station-error.js";
import type { UsageError } from "./usage-error.js";

export { UsageError } from "./usage-error.js";

/** Exit statuses, one per kind of ending; the topic exit-status prints this table. */
export const exitStatuses = {
  0: "done",
  1: "an internal error in bootproof",
  2: "the command line or the config file is wrong",
  3: "the preflight refused the image; nothing was sent",
  4: "the board runs another image than the one that was sent, and does not report why",
  5: "the image runs but failed its health check and was not confirmed",
  6: "the image did not pass verification",
  7: "the new image runs but could not be confirmed",
  8: "the board accepted a request and did something else",
  9: "an upload or a file transfer could not be finished",
  10: "no such port, host or board",
  11: "more than one board could be meant",
  12: "the port or the flash file is held by another program",
  13: "no permission to open the port, or another token is needed",
  14: "nothing listens at the address",
  15: "the link was lost, or could not be opened",
  16: "the board is silent, or did not come back",
  17: "bytes arrive but are not SMP: wrong baud rate or wrong port",
  18: "the board answered with an error",
  19: "the board answered something that is not valid SMP",
  20: "a file cannot be read or written",
  21: "the file is not an MCUboot image",
  22: "the image is truncated or damaged in its structure",
  23: "the image does not fit the slot",
  24: "a key cannot be used",
  25: "a tool that is needed is not installed, or does not work",
  26: "a claim does not hold on the board",
  27: "a claim could not be judged",
  28: "the board's own image could not be put back",
  29: "the board took the image for another core or program and does not report what runs there",
  30: "the board started the image and reverted to the old one",
  31: "the board refused the image: its signature, key or digest",
  32: "the board refused the image as too old: anti-rollback or downgrade prevention",
  33: "the board refused the image for another reason, or holds it back",
  36: "no recovery method worked",
  37: "the power could not be switched, or the board did not lose it",
  38: "some images of an update are confirmed, others are not",
  39: "the board is not in the state that this step of an update requires",
  40: "the previous image could not be restored",
  41: "the fleet service has not accepted this board yet",
  42: "the fleet service ended the deployment",
  43: "the job of the fleet service must not be executed",
  44: "the audit log, or a proof from it, is damaged, rewritten or signed by another key",
  45: "the ratchet of this host, or the ledger of a signer, cannot be read, written or trusted",
  46: "anti-rollback: this host remembers that the board may not run the image any more, or that it signed a higher counter; nothing was sent or signed",
  47: "an attestation or a permission is not signed by an allowed key, or is not what it claims",
  48: "the policy refused it; nothing was sent or written",
  49: "keys lint found a key where it must not be, or used for two purposes",
  50: "TUF metadata is malformed, or is too large or arrives too slowly",
  51: "TUF metadata or a target is not what the keys of its role signed",
  52: "TUF metadata is older than what was trusted before",
  53: "TUF metadata has expired",
  54: "TUF metadata or the parts of a bundle do not belong together, or are incomplete",
  55: "the TUF repository does not have the file or the target",
  56: "no root is trusted for the TUF repository",
  57: "the TUF repository waits for signatures; nothing was published",
  58: "Uptane: the Director directs what this vehicle must not install",
  59: "an Uptane version manifest is not valid",
  60: "some boards succeeded, others did not",
  61: "none of several boards succeeded",
  62: "--together: a board did not pass; all boards run their old images again",
  63: "--together: a board did not pass, and not every board is proven to run its old image again",
  64: "--together: the image is confirmed on some boards and not on others; repeat the command to finish",
  65: "--together: all boards were updated, except for some that may stay behind",
  66: "the cloud's own command line failed; what was created before remains",
  67: "another board answers where the board was before; nothing was written to it",
  130: "interrupted",
} as const;

export type ExitStatus = keyof typeof exitStatuses;

/** Every error there is, by its class. */
interface Errors {
  AbilityError: Prove.AbilityError;
  BoardFileError: Prove.BoardFileError;
  FactsError: Prove.FactsError;
  ImageFactoryError: Prove.ImageFactoryError;
  JournalError: Prove.JournalError;
  NotJudged: Prove.NotJudged;
  ReportError: Prove.ReportError;
  RequestError: Prove.RequestError;
  StateMachineError: Prove.StateMachineError;
  UnusableBoard: Prove.UnusableBoard;
  AvbError: AvbError;
  ArchiveError: ArchiveError;
  AwayError: AwayError;
  AwsError: AwsError;
  BoardError: BoardError;
  BytesError: BytesError;
  CborError: CborError;
  ChoiceError: ChoiceError;
  CompressorError: CompressorError;
  BoardDescriptionError: BoardDescriptionError;
  ConfigError: ConfigError;
  DemoError: DemoError;
  DerError: DerError;
  DeviceError: DeviceError;
  DfuError: DfuError;
  ElfError: ElfError;
  EncryptionError: EncryptionError;
  EnvelopeError: EnvelopeError;
  FileError: FileError;
  FileTransferError: FileTransferError;
  FirmwareError: FirmwareError;
  HealthError: HealthError;
  HexError: HexError;
  ImageError: ImageError;
  ImgtoolFailure: ImgtoolFailure;
  McumgrFailure: McumgrFailure;
  JsonError: JsonError;
  KeyError: KeyError;
  KnownImagesError: KnownImagesError;
  LedgerError: LedgerError;
  ListError: ListError;
  LabError: LabError;
  LogError: LogError;
  LzmaError: LzmaError;
  MarkError: MarkError;
  MenderError: MenderError;
  MenderServerError: MenderServerError;
  MessageError: MessageError;
  NotDoneError: NotDoneError;
  NotListedError: NotListedError;
  OtherBoardError: OtherBoardError;
  PluginError: PluginError;
  PolicyError: PolicyError;
  PowerError: PowerError;
  ProbeToolError: ProbeToolError;
  ProfileError: ProfileError;
  ProofError: ProofError;
  RatchetError: RatchetError;
  RatchetRefusal: RatchetRefusal;
  RecoveryNumberError: RecoveryNumberError;
  RepositoryFetchError: RepositoryFetchError;
  RequestTimeout: RequestTimeout;
  SelectionError: SelectionError;
  ShapeError: ShapeError;
  SignError: SignError;
  SourceError: SourceError;
  SignerError: SignerError;
  SigningRequestError: SigningRequestError;
  StagedUpdateError: StagedUpdateError;
  StRomError: StRomError;
  StationError: StationError;
  TpmError: TpmError;
  TransportError: TransportError;
  TufError: TufError;
  TufRepositoryError: TufRepositoryError;
  TufStoreError: TufStoreError;
  UploadError: UploadError;
  UptaneError: UptaneError;
  UsageError: UsageError;
  UsbTransferError: UsbTransferError;
  ValueError: ValueError;
  VersionError: VersionError;
}

/** A status for each code of a class: a code that is left out does not compile. */
type Row<E extends BootproofError> = Readonly<Record<E["code"], ExitStatus>>;

/** Error class and code -> exit status. A code belongs to one class only, so that programs can go by it alone. */
export const errorStatuses: { readonly [Name in keyof Errors]: Row<Errors[Name]> } = {
  AbilityError: { unable: 27 },
  BoardFileError: { "board-file-missing": 20, "not-in-board-file": 10 },
  FactsError: { "bad-facts": 2 },
  ImageFactoryError: { "no-key": 27, "no-body": 27, "no-update": 27 },
  JournalError: { "board-busy": 12, "restore-first": 28, "bad-journal": 20 },
  NotJudged: { "not-judged": 27 },
  ReportError: { "bad-report": 2, "report-unwritable": 20 },
  RequestError: { "bad-prove-request": 2 },
  StateMachineError: { "state-not-reached": 27 },
  UnusableBoard: { "board-unusable": 27 },
  ArchiveError: {
    "not-an-archive": 21,
    "bad-archive": 22,
    "archive-truncated": 22,
    "archive-too-large": 22,
    "archive-unsupported": 22,
  },
  AvbError: { "not-avb": 21, "bad-vbmeta": 22, "vbmeta-truncated": 22 },
  AwayError: { away: 16 },
  AwsError: {
    "aws-no-answer": 16,
    "aws-unreachable": 15,
    "job-ended": 42,
    "job-taken-over": 42,
    "job-rejected": 43,
    "aws-bad-answer": 19,
    "bad-code-signer": 24,
    "bad-release": 6,
    "bad-release-option": 2,
    "aws-command-missing": 25,
    "aws-command-failed": 66,
    "mqtt-missing": 25,
  },
  BoardError: {
    "unknown-board": 10,
    "unknown-image": 10,
    "fixture-missing": 20,
    "wasm-unusable": 25,
    "qemu-missing": 25,
    "qemu-not-here": 25,
    "qemu-failed": 25,
    "flash-locked": 12,
    "flash-unusable": 20,
    "flash-of-another-board": 20,
    "image-too-large": 23,
    "is-on": 1,
    "is-off": 1,
    closed: 1,
  },
  BytesError: { "out-of-bounds": 1, "out-of-range": 1, "bad-text": 1 },
  CborError: {
    "cbor-truncated": 19,
    trailing: 19,
    "too-deep": 19,
    "too-big": 19,
    unsupported: 19,
    malformed: 19,
    unencodable: 1,
  },
  ChoiceError: { "no-board-here": 10, "several-boards-here": 11 },
  CompressorError: { "compressor-missing": 25, "compressor-failed": 25 },
  BoardDescriptionError: { "bad-board": 2 },
  ConfigError: { "bad-config": 2 },
  DemoError: { "demo-broken": 1 },
  DerError: { "bad-der": 24 },
  DeviceError: { "smp-error": 18, "group-error": 18 },
  DfuError: {
    "dfu-bad-answer": 19,
    "dfu-status": 18,
    "dfu-stuck": 16,
    "dfu-cannot": 18,
    "dfu-file": 21,
    "dfu-memory": 23,
    "dfu-verify": 9,
  },
  ElfError: { "not-elf": 21, "unsupported-elf": 21, "broken-elf": 22, "nothing-to-load": 22 },
  EncryptionError: { "unsupported-encryption-key": 24, "no-content-key": 24, "wrong-decryption-key": 24 },
  EnvelopeError: { "bad-envelope": 47, "not-signed": 47, "wrong-content": 47 },
  FileError: { "file-missing": 20, "file-unreadable": 20, "file-exists": 20, "file-differs": 6 },
  FileTransferError: {
    "transfer-buffer-too-small": 9,
    "transfer-stuck": 9,
    "transfer-bad-offset": 9,
    "file-too-big": 20,
    "transfer-damaged": 9,
    "no-such-folder": 18,
    "file-system-not-mounted": 18,
  },
  FirmwareError: { "not-firmware": 21, "no-image": 21, "several-images": 21 },
  HealthError: { unhealthy: 5 },
  HexError: {
    "bad-record": 22,
    "bad-checksum": 22,
    "bad-type": 22,
    "hex-bad-address": 22,
    overlap: 22,
    "hex-too-large": 22,
  },
  ImageError: {
    "image-too-short": 21,
    "bad-magic": 21,
    "bad-header-size": 22,
    "image-truncated": 22,
    "no-tlv-area": 22,
    "protected-size": 22,
    "tlv-total": 22,
    "tlv-overrun": 22,
    "tlv-length": 22,
    "no-trailer": 22,
  },
  ImgtoolFailure: { "imgtool-failed": 2 },
  McumgrFailure: { "mcumgr-failed": 2 },
  JsonError: { "bad-json": 22, "repeated-key": 22, "json-too-deep": 22 },
  KeyError: {
    "not-a-key": 24,
    "unsupported-key": 24,
    "passphrase-needed": 24,
    "wrong-passphrase": 24,
    "unsupported-encryption": 24,
    "broken-key": 24,
    "no-private-part": 24,
    "key-bad-signature": 24,
    "unsupported-format": 24,
  },
  KnownImagesError: { "bad-known-images": 20 },
  LedgerError: {
    "below-ledger": 46,
    "ledger-edited": 45,
    "ledger-vanished": 45,
    "ledger-busy": 45,
    "ledger-unwritable": 45,
  },
  ListError: { "no-listing": 18, "list-failed": 18 },
  LabError: { "no-labgrid": 25, "no-such-place": 10, "lab-failed": 15 },
  LogError: {
    "not-a-note": 44,
    "log-bad-signature": 44,
    "bad-checkpoint": 44,
    "bad-tile": 44,
    "bad-proof": 44,
    "bad-verifier-key": 24,
    "bad-event": 44,
    "log-damaged": 44,
    "other-log": 44,
    "no-log": 20,
    "log-busy": 20,
    "log-unwritable": 20,
  },
  LzmaError: { "bad-lzma": 22, "lzma-truncated": 22, "lzma-too-large": 22 },
  MarkError: { "mark-lost": 8 },
  MenderError: {
    "not-mender": 21,
    "bad-artifact": 22,
    "artifact-damaged": 6,
    "artifact-too-large": 22,
    "artifact-compression": 22,
    "artifact-augmented": 6,
    "bad-artifact-option": 2,
    "already-signed": 2,
  },
  MenderServerError: {
    "server-unreachable": 15,
    "device-not-accepted": 41,
    "deployment-aborted": 42,
    "server-bad-answer": 19,
  },
  MessageError: { "message-too-short": 19, length: 19, "not-smp": 19, "wrong-answer": 19, "too-long": 2 },
  NotDoneError: { "not-done": 8 },
  NotListedError: { "not-listed": 8 },
  OtherBoardError: { "other-board": 67 },
  PluginError: { "bad-plugin": 2 },
  PolicyError: { "bad-policy": 2, "bad-override": 2, "policy-refused": 48 },
  PowerError: {
    "bad-power": 2,
    "no-switch": 25,
    "switch-failed": 37,
    "still-powered": 37,
    "not-back": 37,
  },
  ProbeToolError: { "tool-failed": 36 },
  ProfileError: { "bad-profile": 2 },
  ProofError: { "claim-broken": 26, "claim-open": 27, "not-put-back": 28 },
  RatchetError: {
    "bad-permission": 47,
    "ratchet-edited": 45,
    "ratchet-vanished": 45,
    "ratchet-busy": 45,
    "ratchet-unwritable": 45,
    "ratchet-restored": 45,
    "bad-ratchet-file": 45,
  },
  RatchetRefusal: { "refused-by-ratchet": 46 },
  RecoveryNumberError: { "no-such-image": 3 },
  RepositoryFetchError: { "bad-url": 2, "bad-path": 50, unreachable: 15, "http-status": 15 },
  RequestTimeout: { timeout: 16 },
  SelectionError: { "no-board": 10, ambiguous: 11 },
  ShapeError: { missing: 19, "wrong-kind": 19, "unknown-key": 1 },
  SignError: {
    "bad-option": 2,
    "no-header-space": 2,
    "option-out-of-range": 2,
    "slot-too-small": 23,
    "key-mismatch": 24,
    "signer-bad-signature": 6,
  },
  SignerError: {
    "signer-missing": 25,
    "signer-failed": 24,
    "signer-timeout": 24,
    "signer-answer": 24,
    "signer-key": 24,
  },
  SigningRequestError: { "bad-signing-file": 22, "request-contradicts-itself": 6, "other-request": 6 },
  SourceError: { "bad-source": 22, "not-vouched": 6, "not-fetched": 20, "fetch-refused": 20 },
  StagedUpdateError: {
    "stage-refused": 3,
    "wrong-stage": 39,
    "not-on-trial": 4,
    "commit-failed": 7,
    "no-way-back": 40,
  },
  StationError: {
    "station-running": 12,
    "station-unusable": 20,
    "bad-journal-entry": 20,
    "cannot-listen": 15,
  },
  StRomError: {
    nack: 18,
    "rom-bad-answer": 18,
    "no-command": 18,
    "bad-request": 18,
    "unknown-chip": 18,
    "not-written": 18,
  },
  TpmError: { "tpm-missing": 25, "tpm-counter-gone": 45, "tpm-refused": 45 },
  TransportError: {
    "not-found": 10,
    busy: 12,
    permission: 13,
    refused: 14,
    lost: 15,
    "ambiguous-port": 11,
    "bad-address": 2,
    "wrong-token": 13,
    "no-driver": 25,
    failed: 15,
  },
  TufError: {
    "bad-metadata": 50,
    "endless-data": 50,
    "slow-retrieval": 50,
    "arbitrary-software": 51,
    rollback: 52,
    freeze: 53,
    "mix-and-match": 54,
    "not-in-repository": 55,
    "no-such-target": 55,
    "no-trusted-root": 56,
  },
  TufRepositoryError: {
    "not-a-repository": 20,
    "is-a-repository": 20,
    "no-such-role": 2,
    "no-such-key": 2,
    "target-not-published": 2,
    "nothing-staged": 2,
    "bad-change": 2,
    "waits-for-signatures": 57,
    "bad-ceremony-file": 22,
    "other-ceremony": 51,
  },
  TufStoreError: { "store-unusable": 20 },
  UploadError: {
    "upload-buffer-too-small": 9,
    "upload-stuck": 9,
    "upload-bad-offset": 9,
    "upload-damaged": 9,
    "other-server": 8,
    unanswered: 9,
  },
  UptaneError: {
    "director-delegates": 58,
    "bad-assignment": 58,
    "ecu-twice": 58,
    "unknown-ecu": 58,
    "wrong-hardware-id": 58,
    "repositories-disagree": 58,
    "older-release": 58,
    "wrong-vehicle": 58,
    "partial-bundle": 54,
    "mixed-bundle": 54,
    "not-a-bundle": 22,
    "bad-vehicle-state": 20,
    "bad-manifest": 59,
    "manifest-unsigned": 59,
    "manifest-implausible": 59,
  },
  UsageError: { usage: 2 },
  UsbTransferError: { stalled: 15, "timed-out": 16 },
  ValueError: { "bad-value": 2 },
  VersionError: { "bad-version": 2, "version-out-of-range": 2 },
};

/** The next step where the error itself knows none: whatever goes wrong, something is said of what to try. */
const nextSteps: Readonly<Partial<Record<ExitStatus, string>>> = {
  2: "See the command's --help.",
  9: "Erase the slot with bootproof image erase, then try again.",
  10: "bootproof devices lists what is plugged in.",
  15: "Check the cable and the address, then try again.",
  16: "Is the board on, and is this its SMP port? bootproof devices shows the ports.",
  18: "The board's log may say more; bootproof info shows its state.",
  19: "Try again; if it happens again, record every message with --trace FILE.",
  20: "Check the file's name, its folder and its permissions.",
  21: "Is this the signed image, or the unsigned binary?",
  22: "Was the file copied or downloaded completely? Sign it again.",
  23: "Make the firmware smaller; the option --slot-size must be the board's.",
  24: "Is it the right file, and the right passphrase? bootproof keys show FILE shows what is in a key file.",
};

/** What to try after an error. */
export function nextStepFor(error: BootproofError): string | undefined {
  return error.hint ?? nextSteps[statusFor(error)];
}

/** By the code alone: names of classes may be shortened when the program is built. */
const statusByCode: ReadonlyMap<string, ExitStatus> = new Map(
  Object.values<Readonly<Record<string, ExitStatus>>>(errorStatuses).flatMap((row) => Object.entries(row)),
);

/** What was heard in place of an answer: the board's silence, or a sign that this is the wrong port or speed. */
const SILENT: readonly RequestTimeout["received"][] = ["nothing", "boot"];

/** The exit status an error leads to. */
export function statusFor(error: unknown): ExitStatus {
  // Node's own AbortError is no DOMException, but means the same.
  if (error instanceof Error && error.name === "AbortError") return 130;
  if (!(error instanceof BootproofError)) return 1;
  if (isTimeout(error) && !SILENT.includes(error.received)) return 17;
  return statusByCode.get(error.code) ?? 1;
}

function isTimeout(error: BootproofError): error is RequestTimeout {
  return error.code === "timeout" && "received" in error;
}
