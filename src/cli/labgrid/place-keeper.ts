import { createInterface } from "node:readline";
import { errorJson } from "../error-json.js";
import { PlaceQueue } from "./place-queue.js";

/** What the keeper is told first, as a line of JSON on its stdin. */
export interface KeeperRequest {
  /** For each place that is wanted, the tags that it must have: `key=value`. */
  readonly wanted: readonly (readonly string[])[];
}

/** What it says, each a line of JSON on its stdout. */
export type KeeperWord =
  | { readonly kind: "note"; readonly text: string }
  | { readonly kind: "taken"; readonly places: readonly string[] }
  | {
      readonly kind: "failed";
      readonly code: string;
      readonly message: string;
      readonly hint?: string | undefined;
    };

/**
 * A process of its own that takes places of a lab and gives them back as soon as its stdin ends: that happens too when the
 * program that started it is killed.
 *
 * @returns its exit status
 */
export async function keepPlaces(): Promise<number> {
  // It outlives Ctrl-C and a terminal that goes away: otherwise nobody would be left to give places back.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
  process.stdout.on("error", () => {});
  const say = (word: KeeperWord) => process.stdout.write(`${JSON.stringify(word)}\n`);
  const leaving = new AbortController();
  const lines = createInterface({ input: process.stdin });
  const closed = new Promise<void>((resolve) => {
    lines.once("close", () => {
      leaving.abort();
      resolve();
    });
  });
  const first = await Promise.race([
    new Promise<string>((resolve) => void lines.once("line", resolve)),
    closed.then(() => undefined),
  ]);
  if (first === undefined) return 0;
  const { wanted } = JSON.parse(first) as KeeperRequest;
  const queue = new PlaceQueue(wanted, leaving.signal, (text) => say({ kind: "note", text }));
  let failure: unknown;
  try {
    say({ kind: "taken", places: await queue.takeAll() });
    await closed;
  } catch (error) {
    if (!leaving.signal.aborted) failure = error;
  }
  const kept = await queue.giveBack();
  for (const text of kept) say({ kind: "note", text });
  if (failure !== undefined) {
    const { code, message, hint } = errorJson(failure).error;
    say({ kind: "failed", code, message, hint });
  }
  lines.close();
  process.stdin.destroy();
  return kept.length === 0 && failure === undefined ? 0 : 1;
}
