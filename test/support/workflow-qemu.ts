import { spawnSync } from "node:child_process";

/** Why nothing can be tested in QEMU here, or undefined when it can. */
export const noQemuReason: string | undefined =
  spawnSync("qemu-system-arm", ["--version"]).status === 0
    ? undefined
    : "qemu-system-arm is not installed (apt-get install qemu-system-arm)";
