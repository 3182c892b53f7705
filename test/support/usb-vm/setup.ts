import type { TestProject } from "vitest/node";
import { machineImage } from "./image.js";
import { whyNoVirtualMachine } from "./packages.js";

declare module "vitest" {
  interface ProvidedContext {
    /** Why there is no USB machine on this computer; empty when there is one. */
    noUsbMachine: string;
  }
}

/** Vitest global set-up: everything a run needs is fetched and built before the first test's clock starts. */
export default async function setup(project: TestProject): Promise<void> {
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
