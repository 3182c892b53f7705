import { BootproofError } from "../errors.js";

export type FileTransferErrorCode =
  /** The server buffer cannot take a chunk, the name included. */
  | "transfer-buffer-too-small"
  /** The device keeps asking for the same offset, or sends no data. */
  | "transfer-stuck"
  /** The device names an offset or sends data that the file does not have. */
  | "transfer-bad-offset"
  /** The file is larger than was allowed. */
  | "file-too-big"
  /** What arrived is not what was sent. */
  | "transfer-damaged"
  /** The mount point exists, the folder in it does not. */
  | "no-such-folder"
  /** Nothing is mounted where the path begins. */
  | "file-system-not-mounted";

/** A file that cannot be carried to or from a device. */
export class FileTransferError extends BootproofError {
  declare readonly code: FileTransferErrorCode;
  readonly file: string;
  /** Offset in the file, bytes. */
  readonly offset: number;

  constructor(code: FileTransferErrorCode, file: string, offset: number, message: string, hint?: string) {
    super(code, message, { hint });
    this.file = file;
    this.offset = offset;
  }
}
