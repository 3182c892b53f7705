import type { UsbMachine } from "./machine.js";

/** Much longer than anything takes on an emulated processor: reaching it is a fault, not a slow day. */
const LIMIT_MS = 45_000;
const LOOK_EVERY_MS = 50;

/** Asks until the answer is not undefined, then returns it. Throws with `what` when it never is. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const end = performance.now() + LIMIT_MS;
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

async function exists(machine: UsbMachine, path: string): Promise<boolean> {
  return machine.call<boolean>("files", "exists", [path]);
}
