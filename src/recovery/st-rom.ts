import { concat } from "../bytes.js";
import type { BoardProfile } from "../profiles/profile.js";
import { type Operation, StRomError } from "../st-rom/an3155.js";
import { plan, program } from "../st-rom/program.js";
import type { ByteStream } from "../transport/transport.js";
import { slotUnknown, WHICH_BOARD } from "./missing-facts.js";
import type { DirectWriter } from "./target.js";

/** How the chip is reached. */
export interface StRomWay {
  /** Opens the port with even parity, and plays the profile's line changes on it. */
  open(signal: AbortSignal | undefined): Promise<ByteStream>;
}

/**
 * Why the recovery method cannot be there for this board; undefined when it can.
 *
 * @param profile - of the board
 * @returns a sentence
 */
export function whyNoRom(profile: BoardProfile | undefined): string | undefined {
  if (profile === undefined) return WHICH_BOARD;
  if (profile.rom?.kind !== "st")
    return `${profile.name} is not known to have ST's ROM bootloader (field \`rom\` of a profile).`;
  return profile.slots === undefined ? slotUnknown(profile) : undefined;
}

/**
 * The recovery method, when the board is known to have ST's ROM and where its primary slot lies.
 *
 * @param profile - of the board
 * @param way - opens the port with even parity, the ROM entered
 * @returns writes the primary slot and nothing else
 */
export function stRomWriter(profile: BoardProfile | undefined, way: StRomWay): DirectWriter | undefined {
  const [slot] = profile?.slots ?? [];
  if (profile?.rom?.kind !== "st" || slot === undefined) return undefined;
  const bounds = { from: slot.address, to: slot.address + slot.size };
  const span = `0x${bounds.from.toString(16)} to 0x${bounds.to.toString(16)}`;
  return {
    summary: `Speak to ST's ROM bootloader (AN3155), erase the pages of image and trailer in the primary slot (${span}), write it, read it back, start the chip. ${profile.rom.enter ? "BOOT0 and NRST are switched by the adapter." : profile.rom.byHand}`,
    destroys:
      "The contents of the primary slot. The bootloader and everything else stay; a page that extends beyond the slot is refused.",
    async write(file, { signal, onProgress }) {
      const stream = await way.open(signal);
      try {
        const wire = new Wire(stream, signal);
        const planned = await wire.run(plan(bounds, file.length));
        await wire.run(program(file, bounds.from, { plan: planned, bounds, onProgress }));
        const { chip, pages } = planned;
        return `${file.length} bytes were written to ${chip.name} (${pages.length} pages erased), read back, and its bootloader was started.`;
      } finally {
        await stream.close();
      }
    },
  };
}

/** Drives operations over a stream, byte for byte. */
class Wire {
  readonly #stream: ByteStream;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #signal: AbortSignal | undefined;
  #held: Uint8Array = new Uint8Array(0);
  #next: Promise<IteratorResult<Uint8Array>> | undefined;

  constructor(stream: ByteStream, signal: AbortSignal | undefined) {
    this.#stream = stream;
    this.#chunks = stream.chunks[Symbol.asyncIterator]();
    this.#signal = signal;
  }

  async run<T>(operation: Operation<T>): Promise<T> {
    let step = operation.next();
    while (!step.done) {
      const { send, expect, timeoutMs, maySilent } = step.value;
      if (send.length > 0) await this.#stream.write(send);
      const answer = await this.#take(expect, timeoutMs);
      const isWhole = answer.length === expect || isRefusal(answer, expect);
      if (!isWhole && !(maySilent && answer.length === 0)) throw silent(answer.length, expect);
      step = operation.next(answer);
    }
    return step.value;
  }

  /** So many bytes; fewer when the time is over. NACK alone ends the wait. */
  async #take(length: number, timeoutMs: number): Promise<Uint8Array> {
    const until = performance.now() + timeoutMs;
    while (this.#held.length < length && !isRefusal(this.#held, length)) {
      const chunk = await this.#chunk(until - performance.now());
      if (chunk === undefined) break;
      this.#held = concat(this.#held, chunk);
    }
    const taken = this.#held.subarray(0, length);
    this.#held = this.#held.slice(length);
    return taken;
  }

  async #chunk(ms: number): Promise<Uint8Array | undefined> {
    this.#signal?.throwIfAborted();
    if (ms <= 0) return undefined;
    this.#next ??= this.#chunks.next();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, ms, undefined);
    });
    const result = await Promise.race([this.#next, late]).finally(() => clearTimeout(timer));
    if (result === undefined) return undefined;
    this.#next = undefined;
    return result.done ? undefined : result.value;
  }
}

const NACK = 0x1f;

/** Where an acknowledgement and data were expected, a refusal comes alone. */
function isRefusal(held: Uint8Array, length: number): boolean {
  return length > 1 && held.length === 1 && held[0] === NACK;
}

function silent(got: number, length: number): StRomError {
  return new StRomError("rom-bad-answer", `ST's ROM stopped answering: ${got} of ${length} bytes came.`, {
    hint: "Is the chip in its ROM bootloader (BOOT0 high at reset), is this the UART of its ROM, and does the line have even parity? After a pulled cable, reset it once more.",
  });
}
