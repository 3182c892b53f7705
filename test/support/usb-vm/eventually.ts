import { STILL_MS } from "../limits.js";
import type { UsbMachine } from "./machine.js";

const LOOK_EVERY_MS = 50;

/** Asks until the answer is not undefined, then returns it. Throws with `what` when it never is. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const end = performance.now() + STILL_MS;
  while (performance.now() < end) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  throw new Error(`never happened: ${what}`);
}

/** Waits for a file inside the machine, such as the link udev makes for a serial port. */
export async function fileAppears(machine: UsbMachine, path: string): Promise<void> {
  await eventually(`${path} appears`, async () => (await exists(machine, path)) || undefined);
}

export async function fileDisappears(machine: UsbMachine, path: string): Promise<void> {
  await eventually(`${path} disappears`, async () => !(await exists(machine, path)) || undefined);
}

/** Most that a process does between two looks at it when it has nothing to do. A reader that spins does thousands. */
const QUIET = 40;

/** Throws when the agent, in which our streams run, does not rest although nothing happens: a stream spins. */
export async function isQuiet(machine: UsbMachine): Promise<void> {
  const { turns, reads } = await machine.call<{ turns: number; reads: number }>("files", "turnsPerRest");
  if (turns > QUIET || reads > QUIET)
    throw new Error(`not quiet: ${turns} turns of the event loop and ${reads} reads while nothing happens`);
}

async function exists(machine: UsbMachine, path: string): Promise<boolean> {
  return machine.call<boolean>("files", "exists", [path]);
}
