import { setTimeout as delay } from "node:timers/promises";
import type { SerialPort } from "serialport";
import { ChunkQueue } from "./chunk-queue.js";
import type { LineChange } from "./lines.js";
import { loadSerialport } from "./native-modules.js";
import { openError } from "./serial.js";
import { type ByteStream, TransportError } from "./transport.js";

export interface RomPortOptions {
  readonly baudRate: number;
  readonly parity: "even" | "none";
  /** Line changes that bring the chip into its ROM; the last state is held while the port is open. */
  readonly enter?: readonly LineChange[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a serial port to a bootloader in ROM: with its parity, and with the control lines held as they must be, since on
 * boards wired for it closing the port would reset the chip. Throws {@link TransportError}.
 */
export async function openRomPort(path: string, options: RomPortOptions): Promise<ByteStream> {
  const { baudRate, parity, enter = [], signal } = options;
  signal?.throwIfAborted();
  const { SerialPort } = await loadSerialport();
  const port = new SerialPort({ path, baudRate, parity, autoOpen: false, lock: true });
  const chunks = new ChunkQueue();
  const lost = (cause?: Error) =>
    chunks.fail(new TransportError("lost", path, `${path} disconnected.`, { cause }));
  port.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  port.on("error", lost);
  port.on("close", lost);
  await done((callback) => port.open(callback)).catch(async (error: Error) => {
    throw await openError(path, error);
  });
  const close = async () => {
    chunks.end();
    if (port.isOpen) await done((callback) => port.close(callback)).catch(() => {});
  };
  try {
    await play(port, path, enter, signal);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    name: path,
    chunks,
    close,
    write: (bytes) =>
      done((callback) => port.write(bytes, callback)).catch((cause: Error) => {
        throw new TransportError("lost", path, `${path} disconnected.`, { cause });
      }),
  };
}

async function play(
  port: SerialPort,
  path: string,
  changes: readonly LineChange[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const lines = { dtr: true, rts: true };
  for (const { dtr, rts, waitMs = 0 } of changes) {
    Object.assign(lines, dtr === undefined ? {} : { dtr }, rts === undefined ? {} : { rts });
    await done((callback) => port.set({ ...lines }, callback)).catch((cause: Error) => {
      throw new TransportError("failed", path, `The driver of ${path} cannot switch DTR and RTS.`, {
        cause,
        hint: "Set BOOT0 yourself, and omit rom.enter from the profile.",
      });
    });
    await delay(Math.min(waitMs, 10_000), undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}

function done(call: (callback: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => call((error) => (error ? reject(error) : resolve())));
}
