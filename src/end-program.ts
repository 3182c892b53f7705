import { spawnSync } from "node:child_process";

/**
 * Ends a program and what it has started. Unix: its process group, so it must have been started `detached`. Windows has no
 * groups: its tree, by the system's own program.
 *
 * @param pid - of the program; undefined: it never started
 */
export function endProgram(pid: number | undefined): void {
  if (pid === undefined) return;
  if (process.platform === "win32") {
    spawnSync("taskkill", ["/pid", String(pid), "/t", "/f"], { stdio: "ignore", windowsHide: true });
    return;
  }
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has just ended by itself.
  }
}
