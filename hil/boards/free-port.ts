import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** Below the ports that systems give to connections by themselves (Linux from 32768, others from 49152). */
const [LOWEST, BEYOND] = [20_000, 26_000];

/** More are taken in a row only where all are. */
const MOST_TRIES = 1000;

/** A TCP port of this machine that nothing listens on now, and that no connection is given meanwhile; undefined when none is free. */
export async function freePort(): Promise<number | undefined> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const port = randomInt(LOWEST, BEYOND);
    if (await canListen(port)) return port;
  }
  return undefined;
}

/**
 * Whether a program could listen on a port of this machine now.
 *
 * @param port - TCP, on 127.0.0.1
 * @returns false when another program has it, or this one may not listen there
 */
export async function canListen(port: number): Promise<boolean> {
  const probe = createServer();
  const listens = await new Promise<boolean>((resolve) => {
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => resolve(true));
  });
  if (listens) await new Promise((resolve) => probe.close(resolve));
  return listens;
}
