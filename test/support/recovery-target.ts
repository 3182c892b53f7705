import { onTestFinished } from "vitest";
import type { Board } from "../../src/emulator/board.js";
import { LAYOUT, slotOffset } from "../../src/emulator/layout.js";
import { type StartOptions, startBoard } from "../../src/emulator/start.js";
import { recover } from "../../src/recovery/recover.js";
import type { RecoverEvent, RecoverOptions, RecoverResult } from "../../src/recovery/recover-events.js";
import type { RecoveryTarget } from "../../src/recovery/target.js";
import { run } from "../../src/session/run.js";
import { consoleFraming } from "../../src/smp/framing/console.js";
import { readMessage } from "../../src/smp/header.js";
import { ChunkQueue } from "../../src/transport/chunk-queue.js";
import type { ByteStream } from "../../src/transport/transport.js";
import { trustedKey } from "./workflow-board.js";

/** What a test does to a board before it is to be recovered. */
export const harm = {
  /** Nothing that could be started is left in the primary slot. */
  erasePrimary: (board: Board) =>
    board.writeFlash(slotOffset(0, 0), new Uint8Array(LAYOUT.slotSize).fill(0xff)),
  /** One byte of the image's body is another. */
  damagePrimary: (board: Board) => {
    const at = slotOffset(0, 0) + 0x400;
    board.writeFlash(at, Uint8Array.of(board.readFlash(at, 1)[0]! ^ 0x01));
  },
} as const;

export interface Patient {
  readonly board: Board;
  readonly target: RecoveryTarget;
}

/** A board in the state that `hurt` leaves it in, and what is at hand to get at it. */
export async function patient(
  hurt: ((board: Board) => void) | undefined,
  options: Partial<StartOptions> = {},
  extra: Partial<RecoveryTarget> = {},
): Promise<Patient> {
  const board = await startBoard({ machine: "wasm", variant: "good", ...options, off: true });
  onTestFinished(() => board.close());
  hurt?.(board);
  await board.powerOn();
  return { board, target: { name: board.id, dial: () => board.connect(), ...extra } };
}

export interface MethodResult {
  result: RecoverResult;
  events: RecoverEvent[];
  /** The recovery methods that were taken, in order. */
  taken: string[];
}

/** Climbs with the variant's key. */
export async function recoverTarget(
  target: RecoveryTarget,
  file: Uint8Array,
  options: Partial<RecoverOptions> = {},
): Promise<MethodResult> {
  const events: RecoverEvent[] = [];
  const keys = options.keys ?? [await trustedKey()];
  const result = await run(recover(target, file, { ...options, keys }), (event) => events.push(event));
  const taken = events.flatMap((event) => (event.step === "method" ? [event.method.name] : []));
  return { result, events, taken };
}

/**
 * A board with MCUboot's wait-for-DFU window, which our bootloader lacks: two real boards behind one port. The one with
 * the application is there; from its reset on the port is silent, then for `windowMs` any valid request brings the other
 * one, in serial recovery, for good; else the application is back.
 */
export class WindowPort {
  readonly #application: Board;
  readonly #bootloader: Board;
  readonly #windowMs: number;
  #phase: "application" | "booting" | "window" | "recovery" = "application";
  readonly #decoder = consoleFraming().decoder();
  #inner: Promise<ByteStream> | undefined;
  #queue: ChunkQueue | undefined;

  constructor(application: Board, bootloader: Board, windowMs = 500) {
    this.#application = application;
    this.#bootloader = bootloader;
    this.#windowMs = windowMs;
    application.onEvent((event) => event.kind === "reset" && this.restart());
  }

  get phase(): string {
    return this.#phase;
  }

  restart(): void {
    if (this.#phase === "recovery") return;
    this.#phase = "booting";
    setTimeout(() => {
      this.#phase = "window";
      setTimeout(() => {
        if (this.#phase === "window") this.#phase = "application";
      }, this.#windowMs);
    }, 80);
  }

  /** One connection at a time, as with a cable. */
  dial = async (): Promise<ByteStream> => {
    const queue = new ChunkQueue();
    this.#queue = queue;
    this.#attach(this.#phase === "recovery" ? this.#bootloader : this.#application);
    return {
      name: "board with a window",
      chunks: queue,
      write: (bytes) => this.#write(bytes),
      close: async () => {
        await (await this.#inner)?.close();
        queue.end();
      },
    };
  };

  #attach(board: Board): void {
    const before = this.#inner;
    this.#inner = (async () => {
      await (await before)?.close();
      const stream = await board.connect();
      void this.#pump(stream, board);
      return stream;
    })();
  }

  async #pump(stream: ByteStream, board: Board): Promise<void> {
    for await (const chunk of stream.chunks) {
      const isHeard = board === this.#bootloader ? this.#phase === "recovery" : this.#phase === "application";
      if (isHeard) this.#queue?.push(chunk);
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (this.#phase === "booting") return;
    if (this.#phase === "window") {
      const valid = this.#decoder
        .push(bytes)
        .some((item) => item.kind === "message" && readMessage(item.bytes));
      if (!valid) return;
      this.#phase = "recovery";
      this.#attach(this.#bootloader);
    }
    await (await this.#inner)?.write(bytes);
  }
}
