import { command } from "../command.js";
import { int, list, optional, text } from "../schema.js";

/** Group 9, shell. Zephyr, smp_group_9.rst. */
const group = 9;

/** Run one shell command. It runs where messages are handled: until it ends, the device answers nothing. */
export const shellExec = command({
  name: "shell exec",
  does: "run a shell command",
  group,
  id: 0,
  op: "write",
  // Servers with the legacy option send the command's result as `rc`.
  resultBeside: "o",
  returnCodes: [
    {
      rc: 7,
      name: "EMSGSIZE",
      says: "The command has run, but its output does not fit the board's message buffer.",
      hint: "Do not repeat a command that must run only once. Have it print less, or build the firmware with a larger CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE.",
    },
  ],
  request: { /** The command and its arguments; joined with spaces. */ argv: list(text) },
  response: {
    /** What it printed; cut at the size of the device's buffer. */ o: text,
    /** What it returned; 0 is success, negative an errno. */ ret: optional(int),
    /** The same, from servers with the legacy option. */ rc: optional(int),
  },
});

/** All of the group. */
export const shellCommands = [shellExec] as const;
