import { take } from "../bytes.js";
import type { ByteStream } from "../transport/transport.js";
import { type Board, BoardError, type BoardEvent, type Cut } from "./board.js";
import type { Flash } from "./flash.js";
import type { FlashFile } from "./flash-file.js";
import { BoardLog } from "./log.js";
import { RESET_FAULT, RESET_WATCHDOG, RETAINED_SIZE, setResetCause } from "./retained.js";
import { Uart } from "./uart.js";
import {
  type CompiledProgram,
  compile,
  FW_IDLE,
  type Machine,
  Program,
  type ProgramEnd,
} from "./wasm-program.js";

/** Steps run in one go before other work of this process gets its turn. */
const STEPS_PER_TURN = 64;
/** A reset takes a moment; without one, a board that crashes at every start would keep this process busy. */
const RESET_MS = 1;

export interface WasmBoardOptions {
  id: string;
  /** The bootloader, compiled. */
  boot: CompiledProgram;
  flash: Flash;
  /** What keeps the flash, when something does: closed with the board. */
  file?: FlashFile | undefined;
}

/**
 * The board as WebAssembly in this process. Its programs run in small steps between other work; whatever an image
 * body in the slot holds is what runs. A step that never returns would hold this process up: images by strangers
 * belong on the QEMU board.
 */
export class WasmBoard implements Board {
  readonly machine = "wasm";
  readonly id: string;
  readonly log = new BoardLog();
  readonly #boot: CompiledProgram;
  readonly #flash: Flash;
  readonly #file: FlashFile | undefined;
  readonly #uart: Uart;
  readonly #retained = new Uint8Array(RETAINED_SIZE);
  readonly #listeners = new Set<(event: BoardEvent) => void>();
  #state: "off" | "running" | "hung" | "closed" = "off";
  #program: Program | undefined;
  #turn: NodeJS.Timeout | NodeJS.Immediate | undefined;
  #watchdog: { timer: NodeJS.Timeout; timeoutMs: number } | undefined;
  #resetAt = 0;
  /** Input has come since the last step. */
  #isWoken = false;
  #image: { body: Uint8Array; code: CompiledProgram } | undefined;

  constructor(options: WasmBoardOptions) {
    this.id = options.id;
    this.#boot = options.boot;
    this.#flash = options.flash;
    this.#file = options.file;
    this.#uart = new Uart(`wasm:${options.id}`);
    this.#uart.onInput = () => this.#wake();
  }

  get isOn(): boolean {
    return this.#state === "running" || this.#state === "hung";
  }

  /** Flash operations since the board was made: what a cut counts. */
  get flashOperations(): number {
    return this.#flash.operations;
  }

  async connect(): Promise<ByteStream> {
    this.#mustBeOpen();
    return this.#uart.open();
  }

  onEvent(listener: (event: BoardEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async powerOn(options: { cut?: Cut } = {}): Promise<void> {
    this.#mustBeOpen();
    if (this.isOn) {
      if (options.cut)
        throw new BoardError("is-on", "A power cut is counted from power-on, but the board is on.");
      return;
    }
    if (options.cut) this.#flash.cutAt(options.cut.operation, options.cut.kind);
    this.#retained.fill(0);
    this.#uart.setPower(true);
    this.#emit({ kind: "power", on: true, why: "asked" });
    this.#restart();
  }

  async powerOff(): Promise<void> {
    if (this.isOn) this.#losePower("asked");
  }

  async reset(): Promise<void> {
    this.#mustBeOpen();
    if (!this.isOn) throw new BoardError("is-off", `Board ${this.id} has no power.`);
    this.#reset();
  }

  readFlash(offset: number, length: number): Uint8Array {
    return take(this.#flash.bytes, offset, length).slice();
  }

  writeFlash(offset: number, bytes: Uint8Array): void {
    this.#mustBeOpen();
    if (this.isOn) throw new BoardError("is-on", "The flash can be programmed only while the board is off.");
    this.#flash.program(offset, bytes);
  }

  breakFlash(offset: number, length: number): void {
    this.#flash.break(offset, length);
  }

  async close(): Promise<void> {
    if (this.#state === "closed") return;
    await this.powerOff();
    this.#state = "closed";
    this.#uart.close();
    this.#file?.close();
  }

  #mustBeOpen(): void {
    if (this.#state === "closed") throw new BoardError("closed", `Board ${this.id} was closed.`);
  }

  #losePower(why: "asked" | "cut"): void {
    this.#state = "off";
    this.#stop();
    this.#flash.cutNever();
    this.#uart.setPower(false);
    this.#emit({ kind: "power", on: false, why });
  }

  /** A warm reset: flash and retained memory stay. */
  #reset(): void {
    this.#emit({ kind: "reset" });
    this.#restart();
  }

  #restart(): void {
    this.#stop();
    this.#state = "running";
    this.#flash.unprotect();
    this.#resetAt = performance.now();
    this.#turn = setTimeout(() => this.#launch(this.#boot), RESET_MS);
  }

  #stop(): void {
    clearTimeout(this.#watchdog?.timer);
    this.#watchdog = undefined;
    this.#forgetTurn();
    this.#program = undefined;
  }

  /** From the first instruction of a program. */
  #launch(code: CompiledProgram): void {
    try {
      this.#program = new Program(code, this.#machine());
    } catch (error) {
      this.#finish({ kind: "crash", why: (error as Error).message });
      return;
    }
    const end = this.#program.start();
    if (end) this.#finish(end);
    else this.#runSoon();
  }

  #runSoon(): void {
    this.#turn = setImmediate(() => this.#run());
  }

  #run(): void {
    for (let count = 0; count < STEPS_PER_TURN; count++) {
      this.#isWoken = false;
      const result = this.#program!.step();
      if (typeof result === "object") {
        this.#finish(result);
        return;
      }
      if (result > 0 && !this.#isWoken) {
        if (result !== FW_IDLE) this.#turn = setTimeout(() => this.#run(), result);
        else this.#turn = undefined;
        return;
      }
    }
    this.#runSoon();
  }

  /** A byte came, or a part of what waits was taken: the program is called again without delay. */
  #wake(): void {
    this.#isWoken = true;
    if (this.#state !== "running" || !this.#program) return;
    this.#forgetTurn();
    this.#runSoon();
  }

  #forgetTurn(): void {
    if (!this.#turn) return;
    clearTimeout(this.#turn as NodeJS.Timeout);
    clearImmediate(this.#turn as NodeJS.Immediate);
    this.#turn = undefined;
  }

  #finish(end: ProgramEnd): void {
    switch (end.kind) {
      case "reset":
        this.#reset();
        break;
      case "start-image":
        this.#startImage(this.#flash.bytes.subarray(end.offset, end.offset + end.length));
        break;
      case "start-ram":
        this.#startImage(end.body);
        break;
      case "hang":
        this.#state = "hung";
        break;
      case "crash":
        this.#say(Buffer.from(`fault: ${end.why}\n`));
        setResetCause(this.#retained, RESET_FAULT);
        this.#reset();
        break;
      case "power-cut":
        this.#losePower("cut");
        break;
    }
  }

  #startImage(body: Uint8Array): void {
    const code = this.#imageCode(body);
    if (code) this.#launch(code);
    else this.#finish({ kind: "crash", why: "the image body is not a WebAssembly module" });
  }

  /** Compiled again only when the slot holds something else. */
  #imageCode(body: Uint8Array): CompiledProgram | undefined {
    if (this.#image && Buffer.compare(this.#image.body, body) === 0) return this.#image.code;
    const code = tryCompile(body) ?? tryCompile(withoutPadding(body));
    this.#image = code && { body: body.slice(), code };
    return code;
  }

  #machine(): Machine {
    return {
      flash: this.#flash,
      retained: this.#retained,
      uartRead: (max) => {
        const taken = this.#uart.read(max);
        if (taken.length > 0 && this.#uart.hasInput) this.#isWoken = true;
        return taken;
      },
      uartWrite: (bytes) => this.#uart.write(bytes),
      log: (bytes) => this.#say(bytes),
      millis: () => Math.floor(performance.now() - this.#resetAt),
      watchdogStart: (timeoutMs) => this.#startWatchdog(timeoutMs),
      watchdogFeed: () => this.#watchdog && this.#startWatchdog(this.#watchdog.timeoutMs),
    };
  }

  #startWatchdog(timeoutMs: number): void {
    clearTimeout(this.#watchdog?.timer);
    this.#watchdog = { timeoutMs, timer: setTimeout(() => this.#bite(), timeoutMs) };
  }

  #bite(): void {
    // When this process was stalled, the program never had the chance to feed: it gets one step first.
    const bitten = this.#watchdog;
    if (this.#state === "running" && this.#program) {
      this.#forgetTurn();
      this.#run();
      if (this.#watchdog !== bitten) return;
    }
    setResetCause(this.#retained, RESET_WATCHDOG);
    this.#reset();
  }

  #say(bytes: Uint8Array): void {
    queueMicrotask(() => this.log.push(bytes));
  }

  /** Later, as log lines are: a listener may switch this board, and a program must not be in the middle of a step. */
  #emit(event: BoardEvent): void {
    queueMicrotask(() => {
      for (const listener of this.#listeners) listener(event);
    });
  }
}

function tryCompile(body: Uint8Array): CompiledProgram | undefined {
  try {
    return compile(body);
  } catch {
    // Anything can be signed, so anything can be in a slot.
    return undefined;
  }
}

/**
 * The body of an encrypted image is filled up with zeros to whole AES blocks. A section of a module cannot have type and
 * length 0, so that is where it ends.
 */
function withoutPadding(body: Uint8Array): Uint8Array {
  let at = 8;
  while (at + 1 < body.length && (body[at] !== 0 || body[at + 1] !== 0)) {
    let length = 0;
    let shift = 0;
    let byte: number | undefined;
    do {
      byte = body[++at];
      length += ((byte ?? 0) & 0x7f) * 2 ** shift;
      shift += 7;
    } while (byte !== undefined && byte >= 0x80 && shift < 35);
    at += 1 + length;
  }
  return body.subarray(0, Math.min(at, body.length));
}
