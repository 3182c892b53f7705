import type { TestProject } from "vitest/node";
import { machineImage } from "./image.js";
import { whyNoVirtualMachine } from "./packages.js";

declare module "vitest" {
  interface ProvidedContext {
    /** Why there is no USB machine on this computer; empty when there is one. */
    noUsbMachine: string;
  }
}

/** All files together take a tenth of this on an idle computer; more means that something hangs. */
const HARD_LIMIT_MS = 180 * 60_000;

/** Vitest global set-up: everything a run needs is fetched and built before the first test's clock starts. */
export default async function setup(project: TestProject): Promise<void> {
  setTimeout(() => {
    console.error(`The USB tests did not end within ${HARD_LIMIT_MS / 60_000} minutes.`);
    // QEMU ends with the process that started it.
    process.exit(1);
  }, HARD_LIMIT_MS).unref();
  project.provide("noUsbMachine", await prepare());
}

async function prepare(): Promise<string> {
  const why = whyNoVirtualMachine();
  if (why !== undefined) return why;
  const started = performance.now();
  try {
    await machineImage();
  } catch (error) {
    return `cannot build the USB machine: ${(error as Error).message}`;
  }
  console.log(`USB machine ready after ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return "";
}
