import { posix } from "node:path";
import type { Client } from "../client/client.js";
import { fsStatus } from "../smp/groups/fs.js";
import { DeviceError } from "../smp/message.js";
import { FileTransferError } from "./error.js";

/** Group 8: servers answer the second for a folder that does not exist and for a file system that is not mounted. */
const NOT_FOUND = 3;
const MOUNT_POINT_NOT_FOUND = 14;

/** True when the board refused a file because something before its name does not exist. */
export function isMissingFolder(error: unknown): error is DeviceError {
  return (
    error instanceof DeviceError &&
    error.group === 8 &&
    (error.rc === MOUNT_POINT_NOT_FOUND || error.rc === NOT_FOUND)
  );
}

/**
 * What is missing of the path: asks the board about the mount point alone. Returns `refused` itself when the answer does
 * not decide it.
 *
 * @param name - the file's absolute path on the board
 */
export async function explainMissingFolder(
  client: Client,
  name: string,
  refused: DeviceError,
  signal: AbortSignal | undefined,
): Promise<Error> {
  const folder = posix.dirname(name);
  const mountPoint = `/${name.split("/")[1]}`;
  const answer = await askAbout(client, mountPoint, signal);
  if (answer === MOUNT_POINT_NOT_FOUND)
    return new FileTransferError(
      "file-system-not-mounted",
      name,
      0,
      `No file system is mounted at ${mountPoint} on the board.`,
      "Check the first part of the path. The firmware mounts its file systems, often at /lfs, /lfs1 or /SD:.",
    );
  if (answer === undefined || answer === NOT_FOUND || folder === mountPoint) return refused;
  return new FileTransferError(
    "no-such-folder",
    name,
    0,
    `A file system is mounted at ${mountPoint}, but the folder ${folder} does not exist on the board.`,
    `SMP cannot create folders. Choose a folder that exists, or create it in the board's shell: bootproof shell "fs mkdir ${folder}".`,
  );
}

/** The group's error number for a question about a folder; undefined when it says nothing. */
async function askAbout(
  client: Client,
  name: string,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  try {
    await client.send(fsStatus, { name }, { signal });
    return 0;
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    return error.group === 8 ? error.rc : undefined;
  }
}
