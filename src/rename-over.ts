import { renameSync } from "node:fs";

/** What a system says of a file that another program has open: a viewer, or a virus scanner for a moment. */
const HELD = { everywhere: ["EBUSY"], win32: ["EBUSY", "EPERM", "EACCES"] } as const;
const TRIES = 10;
const PAUSE_MS = 100;

/**
 * Whether an error says that another program has the file open.
 *
 * @param error - what a function of `node:fs` threw
 * @param platform - as `process.platform`; on Windows a refusal means that too
 * @returns false for all other errors
 */
export function isHeld(error: unknown, platform: NodeJS.Platform = process.platform): boolean {
  const codes: readonly string[] = platform === "win32" ? HELD.win32 : HELD.everywhere;
  return codes.includes((error as NodeJS.ErrnoException).code ?? "");
}

/**
 * Gives a file a name that another file may have, which is replaced. Windows refuses that while another program has either
 * file open. Scanners let go soon, so it is tried again for a second, in which this thread does nothing else.
 *
 * @param from - the finished file
 * @param to - on the same file system
 * @param platform - as `process.platform`
 * @throws what `renameSync` throws, at once or after a second
 */
export function renameOver(from: string, to: string, platform: NodeJS.Platform = process.platform): void {
  for (let tries = 1; ; tries++) {
    try {
      renameSync(from, to);
      return;
    } catch (error) {
      if (!isHeld(error, platform) || tries === TRIES) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    }
  }
}
