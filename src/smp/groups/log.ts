import { command } from "../command.js";
import { anything, int, list, object, optional, record, text, uint } from "../schema.js";

/** Group 4, logs. Mynewt only: Zephyr answers ENOTSUP. Keys as in Mynewt's newtmgr, nmxact/nmp/log.go. */
const group = 4;

/** Entries of one log or of all, from an index on. */
export const logShow = command({
  name: "log show",
  does: "read entries of the logs",
  group,
  id: 0,
  op: "read",
  request: {
    /** One of {@link logList}; default all. */ log_name: optional(text),
    /** Only entries since then, microseconds; -1 for the newest. */ ts: optional(int),
    /** Only entries from this index on. */ index: optional(uint),
  },
  response: {
    /** Where to go on. */ next_index: optional(uint),
    logs: list(
      object({
        name: text,
        /** 0 stream, 1 memory, 2 storage. */ type: optional(uint),
        entries: list(
          object({
            index: uint,
            /** Microseconds. */ ts: int,
            /** As {@link logModules} names it. */ module: uint,
            /** As {@link logLevels} names it: 0 debug to 4 critical. */ level: uint,
            /** `str`, `cbor` or `bin`: what `msg` is. */ type: anything,
            /** Text, or bytes when the type says so. */ msg: anything,
          }),
        ),
      }),
    ),
  },
});

/** Empty every log. */
export const logClear = command({
  name: "log clear",
  does: "empty every log",
  group,
  id: 1,
  op: "write",
  request: {},
  response: {},
});

/** The modules that write to logs. */
export const logModules = command({
  name: "log modules",
  does: "list the modules that write to logs",
  group,
  id: 3,
  op: "read",
  request: {},
  response: { /** Number by name. */ module_map: record(uint) },
});

/** The levels of log entries. */
export const logLevels = command({
  name: "log levels",
  does: "list the levels of log entries",
  group,
  id: 4,
  op: "read",
  request: {},
  response: { /** Number by name. */ level_map: record(uint) },
});

/** The names of all logs. */
export const logList = command({
  name: "log list",
  does: "list the logs",
  group,
  id: 5,
  op: "read",
  request: {},
  response: { log_list: list(text) },
});

/** All of the group. */
export const logCommands = [logShow, logClear, logModules, logLevels, logList] as const;
