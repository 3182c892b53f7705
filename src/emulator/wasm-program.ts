import { type Flash, PowerCut } from "./flash.js";

/**
 * One run of one program of the board, bootloader or application, as WebAssembly: from its start to the moment it
 * gives the machine away. The interface is the table in firmware-fixtures/README.md.
 */

/** What a program finds around it. Addresses and lengths have been checked when these are called. */
export interface Machine {
  flash: Flash;
  /** Survives resets, not power cuts. */
  retained: Uint8Array;
  uartRead(max: number): Uint8Array;
  uartWrite(bytes: Uint8Array): void;
  log(bytes: Uint8Array): void;
  /** Since the last reset. */
  millis(): number;
  watchdogStart(timeoutMs: number): void;
  watchdogFeed(): void;
}

/** How a program's run ended. */
export type ProgramEnd =
  | { kind: "reset" }
  /** The bootloader hands over to the image body at this flash offset. */
  | { kind: "start-image"; offset: number; length: number }
  /** The same for a body that the bootloader has loaded into RAM. */
  | { kind: "start-ram"; body: Uint8Array }
  /** Stuck for ever: only the watchdog helps. */
  | { kind: "hang" }
  /** A trap, or an address outside the program's memory. */
  | { kind: "crash"; why: string }
  | { kind: "power-cut"; operation: number };

/** {@link Program.step}: nothing to do until a byte arrives. */
export const FW_IDLE = 0x7fffffff;

/** Thrown through the program to end it: WebAssembly has no other way out of a call. */
class Ended extends Error {
  readonly end: ProgramEnd;
  constructor(end: ProgramEnd) {
    super(end.kind);
    this.end = end;
  }
}

/** Compiled code, not yet running. Throws when the bytes are no module. */
export function compile(bytes: Uint8Array): CompiledProgram {
  return new wasm.Module(bytes) as CompiledProgram;
}

export class Program {
  readonly #start: () => unknown;
  readonly #step: () => unknown;
  readonly #memory: WasmMemory;
  /** The program never sees it again once it has ended. */
  #end: ProgramEnd | undefined;

  /** Throws when the module is not one of ours: other imports, or other exports. */
  constructor(code: CompiledProgram, machine: Machine) {
    const { exports } = new wasm.Instance(code, { board: this.#imports(machine) });
    const { memory, fw_init: start, fw_step: step } = exports;
    if (!(memory instanceof wasm.Memory) || typeof start !== "function" || typeof step !== "function")
      throw new TypeError("The module does not export memory, fw_init and fw_step.");
    this.#memory = memory;
    this.#start = () => start();
    this.#step = () => step();
  }

  /** Runs fw_init. */
  start(): ProgramEnd | undefined {
    const end = this.#run(this.#start);
    return typeof end === "object" ? end : undefined;
  }

  /** One fw_step: the milliseconds until it wants the next one ({@link FW_IDLE}: none), or how the program ended. */
  step(): number | ProgramEnd {
    const result = this.#run(this.#step);
    if (typeof result === "object") return result;
    return Math.min(Math.max(result, 0), FW_IDLE);
  }

  #run(call: () => unknown): number | ProgramEnd {
    if (this.#end) return this.#end;
    try {
      return Number(call() ?? 0) | 0;
    } catch (error) {
      this.#end = endOf(error);
      return this.#end;
    }
  }

  #imports(machine: Machine): Record<string, (...args: number[]) => number | undefined> {
    const { flash, retained } = machine;
    const at = (pointer: number, length: number) => this.#view(pointer, length);
    return {
      flash_read: (offset, to, length) => flash.read(offset! >>> 0, at(to!, length!)),
      flash_write: (offset, from, length) => flash.write(offset! >>> 0, at(from!, length!)),
      flash_erase: (offset, length) => flash.erase(offset! >>> 0, length! >>> 0),
      flash_protect: (offset, length) => void flash.protect(offset! >>> 0, length! >>> 0),
      uart_read: (to, max) => {
        const taken = machine.uartRead(max! >>> 0);
        at(to!, taken.length).set(taken);
        return taken.length;
      },
      uart_write: (from, length) => void machine.uartWrite(at(from!, length!).slice()),
      log_write: (from, length) => void machine.log(at(from!, length!).slice()),
      millis: () => machine.millis(),
      reset: () => end({ kind: "reset" }),
      start_image: (offset, length) =>
        end({ kind: "start-image", offset: offset! >>> 0, length: length! >>> 0 }),
      start_ram: (body, length) => end({ kind: "start-ram", body: at(body!, length!).slice() }),
      hang: () => end({ kind: "hang" }),
      watchdog_start: (timeoutMs) => void machine.watchdogStart(timeoutMs! >>> 0),
      watchdog_feed: () => void machine.watchdogFeed(),
      retained_read: (to, length) => void at(to!, length!).set(retained.subarray(0, length)),
      retained_write: (from, length) => void retained.set(at(from!, length!)),
    };
  }

  /** Throws RangeError for an address outside the program's memory: a crash, like a bus fault. */
  #view(pointer: number, length: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, pointer >>> 0, length >>> 0);
  }
}

function end(how: ProgramEnd): never {
  throw new Ended(how);
}

function endOf(error: unknown): ProgramEnd {
  if (error instanceof Ended) return error.end;
  if (error instanceof PowerCut) return { kind: "power-cut", operation: error.operation };
  return { kind: "crash", why: error instanceof Error ? error.message : String(error) };
}

/** The few names we use of the global that lib.dom declares, which this project does not load. */
interface WasmMemory {
  readonly buffer: ArrayBuffer;
}
declare const compiled: unique symbol;
/** A compiled module. */
export type CompiledProgram = object & { readonly [compiled]: true };
interface WasmApi {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (
    code: object,
    imports: Record<string, Record<string, (...args: number[]) => number | undefined>>,
  ) => { readonly exports: Record<string, unknown> };
  Memory: new (shape: { readonly initial: number }) => WasmMemory;
}
const wasm = (globalThis as unknown as { WebAssembly: WasmApi }).WebAssembly;

/** Why no program can run here; undefined when one can. Each needs an address range of its own beside its memory. */
export function whyNoWasm(): string | undefined {
  if ((wasm as WasmApi | undefined) === undefined) return "this Node runs without WebAssembly (--jitless)";
  try {
    new wasm.Memory({ initial: 1 });
    return undefined;
  } catch (error) {
    if (error instanceof RangeError) return "the system grants no address range for it (ulimit -v)";
    throw error;
  }
}
