import { command } from "../command.js";
import { text } from "../schema.js";

/** Group 5, crash. Mynewt only: Zephyr answers ENOTSUP. Keys as in Mynewt's newtmgr, nmxact/nmp/crash.go. */
const group = 5;

/** Have the device crash, to see what becomes of it. Its answer may not come. */
export const crashTrigger = command({
  name: "crash trigger",
  does: "make the device crash",
  group,
  id: 0,
  op: "write",
  request: { /** `div0`, `jump0`, `ref0`, `assert` or `wdog`. */ t: text },
  response: {},
});

/** All of the group. */
export const crashCommands = [crashTrigger] as const;
