import { command } from "../command.js";
import { bytes, optional, text, uint } from "../schema.js";

/** Group 3, settings: the run-time settings tree. Values are raw bytes, integers in the device's order. Zephyr, smp_group_3.rst. */
const group = 3;

/** One setting's value. */
export const settingsRead = command({
  name: "settings get",
  does: "read one setting",
  group,
  id: 0,
  op: "read",
  request: {
    /** Whole name, e.g. `blinfo/mode`; 32 bytes by default. */ name: text,
    /** Most bytes wanted. */ max_size: optional(uint),
  },
  response: {
    val: bytes(),
    /** The server's own limit, when lower than the one asked for, bytes. */ max_size: optional(uint),
  },
});

/** Set one setting, in memory: {@link settingsSave} makes it last. */
export const settingsWrite = command({
  name: "settings set",
  does: "change one setting, in memory until it is saved",
  group,
  id: 0,
  op: "write",
  repeatable: true,
  request: { /** Whole name; 32 bytes by default. */ name: text, /** 64 bytes by default. */ val: bytes() },
  response: {},
});

export const settingsDelete = command({
  name: "settings delete",
  does: "delete one setting",
  group,
  id: 1,
  op: "write",
  request: { name: text },
  response: {},
});

/** Have written values take effect. */
export const settingsCommit = command({
  name: "settings commit",
  does: "apply changed settings",
  group,
  id: 2,
  op: "write",
  request: {},
  response: {},
});

/** Read all settings from storage again. */
export const settingsLoad = command({
  name: "settings load",
  does: "load all settings from storage",
  group,
  id: 3,
  op: "read",
  request: {},
  response: {},
});

/** Write changed settings to storage. */
export const settingsSave = command({
  name: "settings save",
  does: "save settings to storage",
  group,
  id: 3,
  op: "write",
  request: { /** Only this subtree; newer servers. */ name: optional(text) },
  response: {},
});

/** All of the group. */
export const settingsCommands = [
  settingsRead,
  settingsWrite,
  settingsDelete,
  settingsCommit,
  settingsLoad,
  settingsSave,
] as const;
