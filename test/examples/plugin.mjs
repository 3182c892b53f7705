/**
 * Commands of an application's own SMP group: `bootproof --plugin plugin.mjs counters boot -d wasm:good`. The emulated boards
 * have this group; put the numbers and fields of yours in its place.
 */
import { command, int, text } from "bootproof/smp";

const boot = command({
  name: "counters boot",
  does: "read how the board started",
  group: 200,
  id: 2,
  op: "read",
  request: {},
  response: { mode: int, state: text },
});

export default { name: "counters", does: "how the board started, from a plug-in", commands: [boot] };
