import { ChunkQueue } from "../../src/transport/chunk-queue.js";
import { type ByteStream, TransportError } from "../../src/transport/transport.js";

/**
 * The ROM bootloader of an STM32, as ST's AN3155 describes it and stm32flash speaks to it; a reading of its own, which
 * shares no code with the client. Flash obeys: only erased words can be written.
 */
export interface EmulatedRom {
  /** What the flash holds; erased is 0xff. */
  readonly flash: Uint8Array;
  readonly flashBase: number;
  /** Pages erased so far, by number. */
  readonly erased: number[];
  /** Where it was told to start, once it was. */
  startedAt: number | undefined;
  /** Feeds bytes from the host; answers come out of `say`. */
  hear(bytes: Uint8Array): void;
  /** NRST with BOOT0 high: it waits to be greeted. */
  reset(): void;
}

export interface RomShape {
  productId: number;
  /** Size of each page, in order. */
  pages: readonly number[];
  /** Offers erase 0x44 instead of 0x43. */
  extendedErase?: boolean;
  /** Refuses reads and writes, as a chip with readout protection. */
  isProtected?: boolean;
  /** Writes here fail silently. */
  deadFrom?: number;
  say(bytes: Uint8Array): void;
}

const ACK = 0x79;
const NACK = 0x1f;
const RAM = { base: 0x2000_0000, size: 0x20000 };

export function emulateRom(shape: RomShape): EmulatedRom {
  const base = 0x0800_0000;
  const size = shape.pages.reduce((sum, page) => sum + page, 0);
  const rom: EmulatedRom = {
    flash: new Uint8Array(size).fill(0xff),
    flashBase: base,
    erased: [],
    startedAt: undefined,
    hear(bytes) {
      for (const byte of bytes) machine.next(byte);
    },
    reset() {
      machine = power();
      machine.next();
    },
  };
  const ram = new Uint8Array(RAM.size);
  const eraseCode = shape.extendedErase ? 0x44 : 0x43;
  const commands = [0x00, 0x01, 0x02, 0x11, 0x21, 0x31, eraseCode, 0x63, 0x73, 0x82, 0x92];
  const say = (...bytes: number[]) => shape.say(Uint8Array.from(bytes));

  const memory = (address: number, length: number): Uint8Array | undefined => {
    if (address >= base && address + length <= base + size)
      return rom.flash.subarray(address - base, address - base + length);
    if (address >= RAM.base && address + length <= RAM.base + RAM.size)
      return ram.subarray(address - RAM.base, address - RAM.base + length);
    return undefined;
  };
  const erase = (page: number): void => {
    const start = shape.pages.slice(0, page).reduce((sum, one) => sum + one, 0);
    rom.flash.fill(0xff, start, start + shape.pages[page]!);
    rom.erased.push(page);
  };

  function* take(count: number): Generator<void, number[], number> {
    const bytes: number[] = [];
    while (bytes.length < count) bytes.push(yield);
    return bytes;
  }
  const sumOf = (bytes: readonly number[]) => bytes.reduce((sum, byte) => sum ^ byte, 0);

  /** Four bytes and their sum, acknowledged when the memory is there. */
  function* address(): Generator<void, number | undefined, number> {
    const bytes = yield* take(5);
    const value = ((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0;
    if (sumOf(bytes) !== 0 || memory(value, 1) === undefined) return void say(NACK);
    say(ACK);
    return value;
  }

  function* read(): Generator<void, void, number> {
    const at = yield* address();
    if (at === undefined) return;
    const [count = 0, inverse] = yield* take(2);
    const bytes = memory(at, count + 1);
    if ((count ^ inverse!) !== 0xff || bytes === undefined) return say(NACK);
    say(ACK, ...bytes);
  }

  function* write(): Generator<void, void, number> {
    const at = yield* address();
    if (at === undefined) return;
    const [count = 0] = yield* take(1);
    const rest = yield* take(count + 2);
    const data = rest.slice(0, -1);
    const place = memory(at, data.length);
    if (sumOf([count, ...rest]) !== 0 || place === undefined || at % 4 !== 0) return say(NACK);
    const isFlash = at >= base && at < base + size;
    for (const [index, byte] of data.entries()) {
      if (isFlash && at + index >= (shape.deadFrom ?? Number.POSITIVE_INFINITY)) continue;
      // Flash can only clear bits; RAM takes anything.
      place[index] = isFlash ? place[index]! & byte : byte;
    }
    say(ACK);
  }

  function* eraseList(): Generator<void, void, number> {
    const head = yield* take(shape.extendedErase ? 2 : 1);
    const count = shape.extendedErase ? (head[0]! << 8) | head[1]! : head[0]!;
    const isAll = shape.extendedErase ? count >= 0xfffd : count === 0xff;
    if (isAll) {
      const [sum] = yield* take(1);
      if (sumOf([...head, sum!]) !== (shape.extendedErase ? 0 : 0xff)) return say(NACK);
      for (const page of shape.pages.keys()) erase(page);
      return say(ACK);
    }
    const width = shape.extendedErase ? 2 : 1;
    const body = yield* take((count + 1) * width + 1);
    if (sumOf([...head, ...body]) !== 0) return say(NACK);
    for (let at = 0; at < body.length - 1; at += width) {
      const page = width === 2 ? (body[at]! << 8) | body[at + 1]! : body[at]!;
      if (page < shape.pages.length) erase(page);
    }
    say(ACK);
  }

  function* commandLoop(): Generator<void, void, number> {
    for (;;) {
      const [code = 0, inverse] = yield* take(2);
      const isKnown = commands.includes(code) && (code ^ inverse!) === 0xff;
      const isForbidden = shape.isProtected && ![0x00, 0x01, 0x02].includes(code);
      if (!isKnown || isForbidden) {
        say(NACK);
        continue;
      }
      say(ACK);
      if (code === 0x00) say(commands.length, 0x31, ...commands, ACK);
      else if (code === 0x01) say(0x31, 0, 0, ACK);
      else if (code === 0x02) say(1, shape.productId >> 8, shape.productId & 0xff, ACK);
      else if (code === 0x11) yield* read();
      else if (code === 0x31) yield* write();
      else if (code === eraseCode) yield* eraseList();
      else if (code === 0x21) {
        const at = yield* address();
        if (at !== undefined) rom.startedAt = at;
      } else if (code === 0x73 || code === 0x92) say(ACK);
    }
  }

  function* power(): Generator<void, void, number> {
    // Everything before the greeting is noise to its baud detection.
    while ((yield) !== 0x7f);
    say(ACK);
    yield* commandLoop();
  }

  let machine = power();
  machine.next();
  return rom;
}

/** The same, at the end of a cable. `pull` says of each write how many of its bytes still arrive before the cable is out. */
export function romOnWire(
  shape: Omit<RomShape, "say">,
  pull: (bytes: Uint8Array) => number | undefined = () => undefined,
): { rom: EmulatedRom; open(): Promise<ByteStream> } {
  let queue = new ChunkQueue();
  const rom = emulateRom({ ...shape, say: (bytes) => queue.push(bytes) });
  return {
    rom,
    open: async () => {
      queue = new ChunkQueue();
      const own = queue;
      return {
        name: "ROM",
        chunks: queue,
        write: async (bytes) => {
          const arriving = pull(bytes);
          rom.hear(bytes.subarray(0, arriving));
          if (arriving === undefined) return;
          const lost = new TransportError("lost", "ROM", "ROM went away.");
          own.fail(lost);
          throw lost;
        },
        close: async () => queue.end(),
      };
    },
  };
}

/** Sizes of the pages of a chip, one by one. */
export function pageSizes(runs: readonly { count: number; size: number }[]): number[] {
  return runs.flatMap(({ count, size }) => Array<number>(count).fill(size));
}
