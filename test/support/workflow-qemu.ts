import { isOnPath } from "./on-path.js";

/** Why nothing can be tested in QEMU here, or undefined when it can. */
export const noQemuReason: string | undefined = isOnPath("qemu-system-arm")
  ? undefined
  : "qemu-system-arm is not installed (apt-get install qemu-system-arm)";
