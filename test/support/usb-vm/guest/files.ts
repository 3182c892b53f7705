import { existsSync, readFileSync } from "node:fs";

export function exists(path: string): boolean {
  return existsSync(path);
}

/** Hex, so that any byte travels. */
export function read(path: string): string {
  return readFileSync(path).toString("hex");
}

/** Looks between which a quiet process sleeps. */
const LOOKS = 10;
const BETWEEN_LOOKS_MS = 30;

/**
 * What this process, in which calls run, does while nothing happens: turns of its event loop and read calls to the kernel,
 * both for each of ten rests. One turn or two are the timer's; a stream that spins makes thousands.
 */
export async function turnsPerRest(): Promise<{ turns: number; reads: number }> {
  const before = activity();
  for (let look = 0; look < LOOKS; look++)
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_LOOKS_MS));
  const after = activity();
  return { turns: (after.turns - before.turns) / LOOKS, reads: (after.reads - before.reads) / LOOKS };
}

function activity(): { turns: number; reads: number } {
  // Newer than Node's type definitions.
  const { uvMetricsInfo } = performance.nodeTiming as unknown as { uvMetricsInfo: { loopCount: number } };
  const [, reads] = /^syscr: (\d+)/m.exec(readFileSync("/proc/self/io", "utf8"))!;
  return { turns: uvMetricsInfo.loopCount, reads: Number(reads) };
}
