import type { TestProject } from "vitest/node";
import { endWindows, makeWindows, type Windows, whyNoWindows } from "./wine.js";

declare module "vitest" {
  interface ProvidedContext {
    /** Absent when there is none on this computer. */
    windows: Windows | undefined;
    /** Why there is none; empty when there is one. */
    noWindows: string;
  }
}

/** More means that something hangs. */
const HARD_LIMIT_MS = 20 * 60_000;

/** Vitest global set-up: a Windows for all files. Returns how to end it. */
export default async function setup(project: TestProject): Promise<() => void> {
  const started = performance.now();
  const { windows, why } = await prepare();
  project.provide("windows", windows);
  project.provide("noWindows", why);
  if (windows === undefined) return () => {};
  console.log(`Windows ready after ${((performance.now() - started) / 1000).toFixed(1)} s`);
  const end = () => endWindows(windows);
  setTimeout(() => {
    console.error(`The tests on Windows did not end within ${HARD_LIMIT_MS / 60_000} minutes.`);
    end();
    process.exit(1);
  }, HARD_LIMIT_MS).unref();
  return end;
}

async function prepare(): Promise<{ windows: Windows | undefined; why: string }> {
  const why = whyNoWindows();
  if (why !== undefined) return { windows: undefined, why };
  try {
    return { windows: await makeWindows(), why: "" };
  } catch (error) {
    return { windows: undefined, why: `cannot make it: ${(error as Error).message}` };
  }
}
