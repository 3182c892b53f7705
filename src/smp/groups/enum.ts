import { command } from "../command.js";
import { bool, list, object, optional, text, uint } from "../schema.js";

/** Group 10, enumeration: which groups a server has. Since Zephyr 4.0, smp_group_10.rst. */
const group = 10;

export const enumCount = command({
  name: "enum count",
  does: "count the groups the device has",
  group,
  id: 0,
  op: "read",
  request: {},
  response: { count: uint },
});

export const enumList = command({
  name: "enum list",
  does: "list the groups the device has",
  group,
  id: 1,
  op: "read",
  request: {},
  response: { /** Group numbers, in no order. */ groups: list(uint) },
});

/** One group at a time, for devices whose list does not fit a message. */
export const enumSingle = command({
  name: "enum single",
  does: "read the number of one group",
  group,
  id: 2,
  op: "read",
  request: { /** From 0, the default. */ index: optional(uint) },
  response: {
    /** Group number. */ group: uint,
    /** True at the last index, else absent. */ end: optional(bool),
  },
});

export const enumDetails = command({
  name: "enum details",
  does: "read names of the groups the device has",
  group,
  id: 3,
  op: "read",
  request: { /** Only these; default all. */ groups: optional(list(uint)) },
  response: {
    groups: list(
      object({
        group: uint,
        /** For people. */ name: optional(text),
        /** The highest command id plus one; not which ids exist. */ handlers: optional(uint),
      }),
    ),
  },
});

/** All of the group. */
export const enumCommands = [enumCount, enumList, enumSingle, enumDetails] as const;
