import { command } from "../command.js";
import { int, text, uint } from "../schema.js";

/** Of group 0, the operating system, what every connection begins with; the rest is in os.ts. */
const group = 0;

/** The device repeats a text: the plainest sign of life. Only the buffers limit its length. */
export const osEcho = command({
  name: "os echo",
  does: "send a text and read it back",
  group,
  id: 0,
  op: "write",
  repeatable: true,
  request: { d: text },
  response: { /** The text of `d`, unchanged. */ r: text },
});

/**
 * Switch echoing of typed characters on the console. Never in Zephyr (ENOTSUP); MCUboot's serial recovery accepts and
 * ignores it, which tells the two apart.
 */
export const osConsoleEcho = command({
  name: "os console-echo",
  does: "switch the console's echo; only serial recovery answers",
  group,
  id: 1,
  op: "write",
  repeatable: true,
  request: { /** 0 off, 1 on. */ echo: int },
  response: {},
});

/** The server's buffers, to size uploads with. ENOTSUP when not built in. */
export const osParams = command({
  name: "os params",
  does: "read the size and number of the server's buffers",
  group,
  id: 6,
  op: "read",
  request: {},
  response: {
    /** Server buffer, bytes; the largest console message is 4 less. */ buf_size: uint,
    /** How many of them, the one for the answer included. 1 in serial recovery. */ buf_count: uint,
  },
});
