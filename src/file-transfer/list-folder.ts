import { BootproofError } from "../errors.js";
import type { Session } from "../session/session.js";
import { shellExec } from "../smp/groups/shell.js";
import { DeviceError } from "../smp/message.js";

/** A name in a folder, as the device's shell prints it. */
export interface FolderEntry {
  name: string;
  kind: "file" | "folder";
}

export interface Folder {
  path: string;
  entries: FolderEntry[];
  /** The shell's output ended inside a line: there may be more names, and the last one was left out. */
  cut: boolean;
}

export type ListErrorCode =
  /** SMP has no listing, and this device has no shell that could list instead. */
  | "no-listing"
  /** The shell could not list that folder. */
  | "list-failed";

/** A folder of the device could not be listed. */
export class ListError extends BootproofError {
  declare readonly code: ListErrorCode;
  readonly path: string;

  constructor(code: ListErrorCode, path: string, message: string, hint: string, cause?: unknown) {
    super(code, message, { hint, cause });
    this.path = path;
  }
}

/** What Zephyr's shell returns for a command it does not have. */
const NOT_A_COMMAND = -8;
const LISTING_HINT =
  "SMP itself cannot list files: the firmware needs CONFIG_MCUMGR_GRP_SHELL, CONFIG_SHELL and CONFIG_FILE_SYSTEM_SHELL.";

/**
 * Lists a folder by asking the device's shell for `fs ls`, because SMP has no command for it.
 *
 * @param session - the board
 * @param path - absolute, without spaces
 * @param options - `signal` aborts with its own reason
 * @returns names, sizes in bytes, and which of them are folders
 * @throws ListError
 */
export async function listFolder(
  session: Session,
  path: string,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<Folder> {
  if (!/^\/[^\s"'\\]*$/u.test(path) || /\p{Cc}/u.test(path))
    throw new ListError(
      "list-failed",
      path,
      `"${path}" is not a folder name that a shell command can contain.`,
      "Give an absolute path without spaces or quotes.",
    );
  const answer = await session.client
    .send(shellExec, { argv: ["fs", "ls", path] }, { signal: options.signal })
    .catch((error: unknown) => {
      if (!(error instanceof DeviceError)) throw error;
      throw new ListError(
        "no-listing",
        path,
        `The device cannot list ${path}: ${error.message}`,
        LISTING_HINT,
        error,
      );
    });
  const result = answer.ret ?? answer.rc ?? 0;
  const said = plainLines(answer.o);
  if (result !== 0) {
    const unknown = result === NOT_A_COMMAND && !/unable to open/i.test(answer.o);
    throw new ListError(
      unknown ? "no-listing" : "list-failed",
      path,
      unknown
        ? `The device's shell has no command "fs ls".`
        : `The device cannot list ${path}: ${said.lines.join(" ").trim() || `its shell returned ${result}`}`,
      unknown
        ? LISTING_HINT
        : "Check the path: it begins with the mount point, and upper and lower case matter.",
    );
  }
  return { path, ...readListing(said) };
}

/** The names in what `fs ls` printed: one a line, folders with a slash behind them. */
export function readListing({
  lines,
  rest,
}: {
  lines: readonly string[];
  rest: string;
}): Omit<Folder, "path"> {
  const entries = lines
    .filter((line) => line !== "")
    .map((line): FolderEntry => {
      if (line.endsWith("/")) return { name: line.slice(0, -1), kind: "folder" };
      return { name: line, kind: "file" };
    });
  return { entries, cut: rest !== "" };
}

/** Whole lines of shell output without colours and control characters; `rest` is what stands behind the last line end. */
export function plainLines(output: string): { lines: string[]; rest: string } {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is looked for
  const text = output.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, "");
  const lines = text.split(/\r?\n/).map((line) => line.replace(/\p{Cc}/gu, ""));
  return { rest: lines.pop() ?? "", lines };
}
