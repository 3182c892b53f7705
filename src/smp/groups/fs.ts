import { command } from "../command.js";
import { anything, bytes, object, optional, record, text, uint } from "../schema.js";

/** Group 8, file system. No listing, deleting or renaming exists. Zephyr, smp_group_8.rst. */
const group = 8;

/** One chunk of a file; the device chooses its size. Done when the chunks add up to `len`. */
export const fsDownload = command({
  name: "fs download",
  does: "read one chunk of a file",
  group,
  id: 0,
  op: "read",
  request: { /** Bytes. */ off: uint, /** Absolute path, 64 bytes by default. */ name: text },
  response: {
    off: uint,
    data: bytes(),
    /** Size of the file, bytes. Only with off 0. */ len: optional(uint),
  },
});

const NO_FOLDER = "The board has no such folder or mount point.";
const NO_FOLDER_HINT = "Check the path up to the file name, mount point first: SMP cannot create folders.";

/**
 * Write one chunk of a file; off 0 truncates it first. A wrong offset is the group error FILE_OFFSET_NOT_VALID with the
 * file's present size as `len` beside it: go on there.
 */
export const fsUpload = command({
  name: "fs upload",
  does: "write one chunk of a file",
  group,
  id: 0,
  op: "write",
  repeatable: true,
  errors: [{ rc: 3, name: "FILE_NOT_FOUND", says: NO_FOLDER, hint: NO_FOLDER_HINT }],
  returnCodes: [{ rc: 5, name: "ENOENT", says: NO_FOLDER, hint: NO_FOLDER_HINT }],
  request: {
    /** Bytes. */ off: uint,
    data: bytes(),
    /** Absolute path, 64 bytes by default; in every chunk. */ name: text,
    /** Size of the whole file, bytes. Only with off 0. */ len: optional(uint),
  },
  response: { /** Size of the file after this chunk, bytes. */ off: uint },
});

/** The size of a file. */
export const fsStatus = command({
  name: "fs status",
  does: "read the size of a file",
  group,
  id: 1,
  op: "read",
  request: { name: text },
  response: { /** Bytes. */ len: uint },
});

/** Hash or checksum of a file or a part of it. Long for a large file. */
export const fsHash = command({
  name: "fs hash",
  does: "compute the hash or checksum of a file",
  group,
  id: 2,
  op: "read",
  request: {
    name: text,
    /** One of {@link fsHashTypes}: `crc32` (IEEE), `sha256`. Default the device's first. */ type: optional(
      text,
    ),
    /** Where to begin, bytes. Default 0. */ off: optional(uint),
    /** How many bytes. Default up to the end. */ len: optional(uint),
  },
  response: {
    type: text,
    /** Absent when 0. */ off: optional(uint),
    /** Bytes that were covered. */ len: uint,
    /** A number for `crc32`, bytes for `sha256`, as {@link fsHashTypes} tells. */ output: anything,
  },
});

/** What {@link fsHash} can compute on this device. */
export const fsHashTypes = command({
  name: "fs hash-types",
  does: "list the hashes and checksums the device can compute",
  group,
  id: 3,
  op: "read",
  request: {},
  response: {
    /** By name. */
    types: record(
      object({
        /** 0: the output is a number, 1: bytes. */ format: uint,
        /** Bytes of output. */ size: uint,
      }),
    ),
  },
});

/** Close the file the device still has open for the last transfer. */
export const fsClose = command({
  name: "fs close",
  does: "close the file of the last transfer",
  group,
  id: 4,
  op: "write",
  repeatable: true,
  request: {},
  response: {},
});

/** All of the group. */
export const fsCommands = [fsDownload, fsUpload, fsStatus, fsHash, fsHashTypes, fsClose] as const;
