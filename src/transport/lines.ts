import { setTimeout as delay } from "node:timers/promises";
import type { LinePort } from "./line-port.js";

/** One change of a port's control lines; what is left out stays as it is. */
export interface LineChange {
  readonly dtr?: boolean | undefined;
  readonly rts?: boolean | undefined;
  /** Opens the port anew at this rate. */
  readonly baudRate?: number | undefined;
  /** Closes the port: the kernel lets both lines fall. */
  readonly close?: boolean | undefined;
  /** Rest afterwards. */
  readonly waitMs?: number | undefined;
}

export interface LinesOptions {
  signal?: AbortSignal | undefined;
  /** For tests. */
  open?: ((path: string, baudRate: number) => Promise<LinePort>) | undefined;
}

/** A rest longer than this is a mistake in a profile. */
const LONGEST_REST_MS = 10_000;

/**
 * Plays a sequence of line changes on a serial port that nobody else has open, and closes it: a reset, a "1200
 * touch", BOOT0 and NRST. Opening raises both lines, closing lets both fall; that is the kernel's doing and part of
 * the sequence.
 *
 * @param path - of the serial port
 * @param changes - in their order; rests in milliseconds
 * @param options - `signal` aborts with its own reason; `open` replaces the system's port in tests
 * @throws {@link TransportError}; abort throws the signal's reason
 */
export async function changeLines(
  path: string,
  changes: readonly LineChange[],
  options: LinesOptions = {},
): Promise<void> {
  const { signal, open = openNative } = options;
  const lines = { dtr: true, rts: true };
  let baudRate = 115200;
  let port: LinePort | undefined;
  try {
    for (const change of changes) {
      signal?.throwIfAborted();
      if (change.baudRate !== undefined) {
        await port?.close();
        port = undefined;
        baudRate = change.baudRate;
      }
      Object.assign(lines, given(change));
      if (change.close) {
        await port?.close();
        port = undefined;
      } else {
        port ??= await open(path, baudRate);
        if (change.dtr !== undefined || change.rts !== undefined) await port.set({ ...lines });
      }
      await rest(change.waitMs ?? 0, signal);
    }
  } finally {
    await port?.close();
  }
}

function given({ dtr, rts }: LineChange): { dtr?: boolean; rts?: boolean } {
  return { ...(dtr === undefined ? {} : { dtr }), ...(rts === undefined ? {} : { rts }) };
}

async function rest(ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (ms <= 0) return;
  await delay(Math.min(ms, LONGEST_REST_MS), undefined, { signal }).catch(() => signal?.throwIfAborted());
}

/** Imported late: loading it loads native code. */
async function openNative(path: string, baudRate: number): Promise<LinePort> {
  const { openLines } = await import("./line-port.js");
  return openLines(path, baudRate);
}
