import { existsSync, readFileSync } from "node:fs";

export function exists(path: string): boolean {
  return existsSync(path);
}

/** Hex, so that any byte travels. */
export function read(path: string): string {
  return readFileSync(path).toString("hex");
}

/** How much of a processor this process, in which calls run, uses over the next `ms`: 1 is one processor all the time. */
export async function processorShare(ms: number): Promise<number> {
  const before = process.cpuUsage();
  const started = process.hrtime.bigint();
  await new Promise((resolve) => setTimeout(resolve, ms));
  const used = process.cpuUsage(before);
  return ((used.user + used.system) * 1000) / Number(process.hrtime.bigint() - started);
}
