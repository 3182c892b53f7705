import { statSync } from "node:fs";
import { goSystemError } from "./go-text.js";

/** Why a path is no serial port, in the words of the system call that fails; undefined where that can only be tried. */
export function deviceProblem(path: string): string | undefined {
  if (path === "") return "open : no such file or directory";
  if (process.platform === "win32") return undefined;
  let found: ReturnType<typeof statSync>;
  try {
    found = statSync(path);
  } catch (cause) {
    return goSystemError("open", path, cause);
  }
  if (found.isDirectory()) return `open ${path}: is a directory`;
  // Memory devices are character devices without a line: major number 1 on Linux.
  const isMemory = process.platform === "linux" && found.rdev >> 8 === 1;
  return found.isCharacterDevice() && !isMemory ? undefined : "inappropriate ioctl for device";
}
