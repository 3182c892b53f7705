import type { AnyCommand } from "../command.js";
import type { Header } from "../header.js";
import { OPS } from "../header.js";
import { crashCommands } from "./crash.js";
import { enumCommands } from "./enum.js";
import { fsCommands } from "./fs.js";
import { imageCommands } from "./image.js";
import { logCommands } from "./log.js";
import { osCommands } from "./os.js";
import { settingsCommands } from "./settings.js";
import { shellCommands } from "./shell.js";
import { statCommands } from "./stat.js";
import { transportCommands } from "./transport.js";
import { trustCommands } from "./trust.js";
import { zephyrCommands } from "./zephyr.js";

/** Every command this project knows: for the raw command, the trace and the vector tests. */
export const allCommands: readonly AnyCommand[] = [
  ...osCommands,
  ...imageCommands,
  ...statCommands,
  ...settingsCommands,
  ...logCommands,
  ...crashCommands,
  ...fsCommands,
  ...shellCommands,
  ...enumCommands,
  ...transportCommands,
  ...zephyrCommands,
  ...trustCommands,
];

/** Group numbers with a name. The Mynewt ones (4 to 7) no Zephyr device has; split and run are known by name only. */
export const GROUP_NAMES: Readonly<Record<number, string>> = {
  0: "OS",
  1: "image",
  2: "statistics",
  3: "settings",
  4: "log",
  5: "crash",
  6: "split",
  7: "run",
  8: "file system",
  9: "shell",
  10: "enumeration",
  11: "transport",
  63: "Zephyr basic",
  200: "trust",
};

/**
 * The command a header belongs to, of a request or of a response; undefined when none is declared.
 *
 * @param header - of a message
 * @returns the declared command
 */
export function commandOf(header: Pick<Header, "group" | "id" | "op">): AnyCommand | undefined {
  const op = OPS[header.op] < OPS.write ? "read" : "write";
  return allCommands.find(
    (command) => command.group === header.group && command.id === header.id && command.op === op,
  );
}
