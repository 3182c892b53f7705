import type { BoardError } from "../board/board.js";
import type { BytesError } from "../bytes.js";
import type { RequestTimeout } from "../client/request-timeout.js";
import type { SelectionError } from "../devices/select.js";
import type { DfuError } from "../dfu/error.js";
import { BootproofError } from "../errors.js";
import type { DerError } from "../image/der.js";
import type { ElfError } from "../image/elf.js";
import type { EncryptionError } from "../image/encryption.js";
import type { ImageError } from "../image/header.js";
import type { HexError } from "../image/intel-hex.js";
import type { KeyError } from "../image/key-error.js";
import type { LzmaError } from "../image/lzma2.js";
import type { SignError } from "../image/sign-error.js";
import type { SigningRequestError } from "../image/signing-request.js";
import type { VersionError } from "../image/version.js";
import type { PowerError } from "../power/power.js";
import type { ProfileError } from "../profiles/read.js";
import type { CborError } from "../smp/cbor.js";
import type { MessageError } from "../smp/header.js";
import type { DeviceError } from "../smp/message.js";
import type { ShapeError } from "../smp/schema.js";
import type { ValueError } from "../smp/setting-value.js";
import type { StRomError } from "../st-rom/an3155.js";
import type { TransportError } from "../transport/transport.js";
import type { UsbTransferError } from "../transport/usb.js";
import type { ListError } from "../workflow/file-list.js";
import type { FileTransferError } from "../workflow/files.js";
import type { HealthError, MarkError } from "../workflow/flash.js";
import type { KnownImagesError } from "../workflow/known-images.js";
import type { AwayError } from "../workflow/reconnect.js";
import type { RecoveryNumberError } from "../workflow/recovery-number.js";
import type { UploadError } from "../workflow/upload.js";
import type { ProofError } from "./commands/prove.js";
import type { ConfigError } from "./config.js";
import type { ProbeToolError } from "./debug-probe.js";
import type { FileError } from "./files.js";
import type { ImgtoolFailure } from "./imgtool/failure.js";
import type { NotDoneError } from "./not-done.js";
import type { PluginError } from "./plugins.js";
import type { SignerError } from "./signing/signer-error.js";
import type { CompressorError } from "./signing/xz.js";
import type { ChoiceError } from "./which-device.js";

/** Exit statuses, one per kind of ending; the README prints this table. */
export const exitStatuses = {
  0: "done",
  1: "a fault inside bootproof",
  2: "the command line or the config file is wrong",
  3: "the gate refused the image; nothing was sent",
  4: "the board refused the image or went back to the old one",
  5: "the image runs but failed its health check and was not confirmed",
  6: "the image did not pass verification",
  7: "the new image runs but could not be confirmed",
  8: "the board accepted a request and did something else",
  9: "an upload or a file transfer could not be finished",
  10: "no such port, host or board",
  11: "more than one board could be meant",
  12: "the port or the flash file is held by another program",
  13: "no permission to open the port",
  14: "nobody listens at the address",
  15: "the link was lost, or could not be opened",
  16: "the board is silent, or did not come back",
  17: "bytes arrive but are no SMP: wrong baud rate or wrong port",
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
  36: "no way into the board was found",
  37: "the power could not be switched, or the board did not lose it",
  130: "interrupted",
} as const;

export type ExitStatus = keyof typeof exitStatuses;

/** A command was used in a way that cannot work. */
export class UsageError extends BootproofError {
  declare readonly code: "usage";

  constructor(message: string, hint?: string) {
    super("usage", message, { hint });
  }
}

/** Every error there is, by its class: two classes may use one code for different things. */
interface Errors {
  AwayError: AwayError;
  BoardError: BoardError;
  BytesError: BytesError;
  CborError: CborError;
  ChoiceError: ChoiceError;
  CompressorError: CompressorError;
  ConfigError: ConfigError;
  DerError: DerError;
  DeviceError: DeviceError;
  DfuError: DfuError;
  ElfError: ElfError;
  EncryptionError: EncryptionError;
  FileError: FileError;
  FileTransferError: FileTransferError;
  HealthError: HealthError;
  HexError: HexError;
  ImageError: ImageError;
  ImgtoolFailure: ImgtoolFailure;
  KeyError: KeyError;
  KnownImagesError: KnownImagesError;
  ListError: ListError;
  LzmaError: LzmaError;
  MarkError: MarkError;
  MessageError: MessageError;
  NotDoneError: NotDoneError;
  PluginError: PluginError;
  PowerError: PowerError;
  ProbeToolError: ProbeToolError;
  ProfileError: ProfileError;
  ProofError: ProofError;
  RecoveryNumberError: RecoveryNumberError;
  RequestTimeout: RequestTimeout;
  SelectionError: SelectionError;
  ShapeError: ShapeError;
  SignError: SignError;
  SignerError: SignerError;
  SigningRequestError: SigningRequestError;
  StRomError: StRomError;
  TransportError: TransportError;
  UploadError: UploadError;
  UsageError: UsageError;
  UsbTransferError: UsbTransferError;
  ValueError: ValueError;
  VersionError: VersionError;
}

/** One status for all codes of a class, or one for each of its codes: a code that is left out does not compile. */
type Row<E extends BootproofError> = ExitStatus | Readonly<Record<E["code"], ExitStatus>>;

/** Error class and code -> exit status. */
export const errorStatuses: { readonly [Name in keyof Errors]: Row<Errors[Name]> } = {
  AwayError: 16,
  BoardError: {
    "unknown-board": 10,
    "unknown-image": 10,
    "fixture-missing": 20,
    "qemu-missing": 25,
    "qemu-failed": 25,
    "flash-locked": 12,
    "flash-unusable": 20,
    "flash-of-another-board": 20,
    "image-too-large": 23,
    "is-on": 1,
    "is-off": 1,
    closed: 1,
  },
  BytesError: 1,
  CborError: {
    truncated: 19,
    trailing: 19,
    "too-deep": 19,
    "too-big": 19,
    unsupported: 19,
    malformed: 19,
    unencodable: 1,
  },
  ChoiceError: { "no-board": 10, ambiguous: 11 },
  CompressorError: 25,
  ConfigError: 2,
  DerError: 24,
  DeviceError: 18,
  DfuError: {
    "bad-answer": 19,
    "dfu-status": 18,
    "dfu-stuck": 16,
    "dfu-cannot": 18,
    "dfu-file": 21,
    "dfu-memory": 23,
    "dfu-verify": 9,
  },
  ElfError: { "not-elf": 21, "unsupported-elf": 21, "broken-elf": 22, "nothing-to-load": 22 },
  EncryptionError: 24,
  FileError: 20,
  FileTransferError: {
    "buffer-too-small": 9,
    stuck: 9,
    "bad-offset": 9,
    "file-too-big": 20,
    damaged: 9,
  },
  HealthError: 5,
  HexError: 22,
  ImageError: {
    "too-short": 21,
    "bad-magic": 21,
    "bad-header-size": 22,
    truncated: 22,
    "no-tlv-area": 22,
    "protected-size": 22,
    "tlv-total": 22,
    "tlv-overrun": 22,
    "tlv-length": 22,
    "no-trailer": 22,
  },
  ImgtoolFailure: 2,
  KeyError: 24,
  KnownImagesError: 20,
  ListError: 18,
  LzmaError: 22,
  MarkError: 8,
  MessageError: { "too-short": 19, length: 19, "not-smp": 19, "wrong-answer": 19, "too-long": 2 },
  NotDoneError: 8,
  PluginError: 2,
  PowerError: {
    "bad-power": 2,
    "no-switch": 25,
    "switch-failed": 37,
    "still-powered": 37,
    "not-back": 37,
  },
  ProbeToolError: 36,
  ProfileError: 2,
  ProofError: { "claim-broken": 26, "claim-open": 27, "not-put-back": 28 },
  RecoveryNumberError: 3,
  RequestTimeout: 16,
  SelectionError: { "no-board": 10, ambiguous: 11 },
  ShapeError: { missing: 19, "wrong-kind": 19, "unknown-key": 1 },
  SignError: {
    "bad-option": 2,
    "no-header-space": 2,
    "out-of-range": 2,
    "too-large": 23,
    "key-mismatch": 24,
    "bad-signature": 6,
  },
  SignerError: {
    "signer-missing": 25,
    "signer-failed": 24,
    "signer-timeout": 24,
    "signer-answer": 24,
    "signer-key": 24,
  },
  SigningRequestError: { "bad-signing-file": 22, "request-contradicts-itself": 6, "other-request": 6 },
  StRomError: 18,
  TransportError: {
    "not-found": 10,
    busy: 12,
    permission: 13,
    refused: 14,
    lost: 15,
    ambiguous: 11,
    "bad-address": 2,
    failed: 15,
  },
  UploadError: { "buffer-too-small": 9, stuck: 9, "bad-offset": 9, damaged: 9, "other-server": 8 },
  UsageError: 2,
  UsbTransferError: { stalled: 15, "timed-out": 16 },
  ValueError: 2,
  VersionError: 2,
};

/** The same for the errors of hil, which is built apart and of which nothing is known here but the names. */
export const hilStatuses: Readonly<Record<string, ExitStatus | Readonly<Record<string, ExitStatus>>>> = {
  AbilityError: 27,
  BenchError: { "bench-missing": 20, "unknown-board": 10 },
  FactsError: 2,
  ForgeError: 27,
  JournalError: { "board-busy": 12, "restore-first": 28, "bad-journal": 20 },
  NotJudged: 27,
  ReportError: 2,
  RequestError: 2,
  StrategyError: 27,
  UnusableBoard: 27,
};

/** The next step where the error itself knows none: whatever goes wrong, something is said of what to try. */
const nextSteps: Readonly<Partial<Record<ExitStatus, string>>> = {
  2: "The command with --help shows how it is written.",
  9: "Erase the slot with bootproof image erase, then try again.",
  10: "bootproof devices shows what is there.",
  15: "Check the cable and the address, then try again.",
  16: "Is the board on, and is this its SMP port? bootproof devices shows the ports.",
  18: "The board's log may say more; bootproof info shows how it stands.",
  19: "Try again; if it stays so, --trace FILE keeps every message for a look.",
  20: "Look at the file's name, its folder and its permissions.",
  21: "Is this the signed image, and not the unsigned binary or a .hex file?",
  22: "Was the file copied or downloaded whole? Sign it again.",
  23: "Make the firmware smaller; the option --slot-size must be the board's.",
  24: "Is it the right file, and the right passphrase? bootproof keys show FILE tells what a key file holds.",
};

/** What to try after an error. */
export function nextStepFor(error: BootproofError): string | undefined {
  return error.hint ?? nextSteps[statusFor(error)];
}

/** What was heard in place of an answer: the board's silence, or a sign that this is the wrong port or speed. */
const SILENT: readonly RequestTimeout["heard"][] = ["nothing", "boot"];

/** The exit status an error leads to. */
export function statusFor(error: unknown): ExitStatus {
  // Node's own AbortError is no DOMException, but means the same.
  if (error instanceof Error && error.name === "AbortError") return 130;
  if (!(error instanceof BootproofError)) return 1;
  if (isTimeout(error) && !SILENT.includes(error.heard)) return 17;
  const rows: typeof hilStatuses = { ...errorStatuses, ...hilStatuses };
  const row = Object.hasOwn(rows, error.name) ? rows[error.name] : undefined;
  return (typeof row === "object" ? row[error.code] : row) ?? 1;
}

function isTimeout(error: BootproofError): error is RequestTimeout {
  return error.name === "RequestTimeout" && "heard" in error;
}
