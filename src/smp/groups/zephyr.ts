import { command } from "../command.js";

/** Group 63, Zephyr's basic commands. Zephyr, smp_group_63.rst. */
const group = 63;

/** Erase the storage partition: all settings and whatever else lives there. Synchronous, may take seconds. */
export const storageErase = command({
  name: "storage erase",
  does: "erase the storage partition with all settings",
  group,
  id: 0,
  op: "write",
  request: {},
  response: {},
});

/** All of the group. */
export const zephyrCommands = [storageErase] as const;
