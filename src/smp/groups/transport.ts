import { command } from "../command.js";
import { anything, bool, list, object, optional, record, text, uint } from "../schema.js";

/**
 * Group 11, transport management: a device that passes messages on from one of its links to another. Experimental, Zephyr
 * pull request 113952 (for 4.5); its number can be configured. What its description leaves open is taken as it comes.
 */
const group = 11;

/** From now on messages of this link go on to another one. */
export const transportConnect = command({
  name: "transport connect",
  does: "forward this link's messages to another link of the device",
  group,
  id: 0,
  op: "write",
  request: { /** As listed by {@link transportList}. */ transport: uint, mode: optional(uint) },
  response: {},
});

/** End it: of this link, of the one named, or all. */
export const transportDisconnect = command({
  name: "transport disconnect",
  does: "stop forwarding messages",
  group,
  id: 1,
  op: "write",
  request: { transport: optional(uint), /** Not together with `transport`. */ all: optional(bool) },
  response: {},
});

export const transportStatus = command({
  name: "transport status",
  does: "read which links are forwarded",
  group,
  id: 2,
  op: "read",
  request: {},
  response: {
    /** How many at the same time. */ supported: optional(uint),
    /** How many now. */ active: optional(uint),
    /** Whether this link is. */ bridged: optional(anything),
    /** Where to. */ transport: optional(anything),
  },
});

export const transportList = command({
  name: "transport list",
  does: "list the device's links",
  group,
  id: 6,
  op: "read",
  request: {},
  response: { transports: list(object({ id: uint, name: optional(text) })) },
});

/** The ways to reach one link; their keys are the device's. */
export const transportModes = command({
  name: "transport modes",
  does: "list the modes of one of the device's links",
  group,
  id: 7,
  op: "read",
  request: { transport: uint },
  response: record(anything),
});

/** What one link is set to; its keys are the device's. */
export const transportDetails = command({
  name: "transport details",
  does: "read the settings of one of the device's links",
  group,
  id: 8,
  op: "read",
  request: { transport: optional(uint) },
  response: record(anything),
});

/** All of the group. */
export const transportCommands = [
  transportConnect,
  transportDisconnect,
  transportStatus,
  transportList,
  transportModes,
  transportDetails,
] as const;
