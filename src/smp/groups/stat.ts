import { command } from "../command.js";
import { list, record, text, uint64 } from "../schema.js";

/** Group 2, statistics. Zephyr, smp_group_2.rst. */
const group = 2;

/** The counters of one statistics group. */
export const statRead = command({
  name: "stat read",
  does: "read the counters of one statistics group",
  group,
  id: 0,
  op: "read",
  request: { /** As listed by {@link statList}. */ name: text },
  response: {
    name: text,
    /** By counter name; `s0`, `s1`, ... in builds without names. Up to 64 bits each. */ fields:
      record(uint64),
  },
});

/** The names of all statistics groups. */
export const statList = command({
  name: "stat list",
  does: "list the statistics groups",
  group,
  id: 1,
  op: "read",
  request: {},
  response: { stat_list: list(text) },
});

/** All of the group. */
export const statCommands = [statRead, statList] as const;
