import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { canListen } from "../../hil/boards/free-port.js";

/** Below the ports that Linux gives to connections by itself, and apart from those that `prove` takes. */
const [LOWEST, BEYOND] = [26_000, 32_000];

/**
 * The first of some neighbouring TCP ports that are for this process alone: no other test gets one of them while it lives, and no
 * connection does. Nothing listens there until the test lets something; what listened there may come back there.
 */
export async function freePort({ neighbours = 0 } = {}): Promise<number> {
  for (;;) {
    const first = randomInt(LOWEST, BEYOND - neighbours);
    const ports = Array.from({ length: neighbours + 1 }, (_, index) => first + index);
    if ((await everyOne(ports, isOurs)) && (await everyOne(ports, canListen))) return first;
  }
}

async function everyOne(ports: readonly number[], is: (port: number) => Promise<boolean>): Promise<boolean> {
  for (const port of ports) if (!(await is(port))) return false;
  return true;
}

/** A name that one process of this machine can have, and that goes with it. Only Linux has such sockets. */
function isOurs(port: number): Promise<boolean> {
  if (process.platform !== "linux") return Promise.resolve(true);
  const lock = createServer().unref();
  return new Promise((resolve) => {
    lock.once("error", () => resolve(false));
    lock.listen(`\0bootproof-test-port-${port}`, () => resolve(true));
  });
}
