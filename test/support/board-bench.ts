/**
 * A wasm board without a clock: its programs are called as fast as they like, and time is what they asked to sleep.
 * For sweeps of thousands of boots; src/emulator/wasm.ts is the board that lives in real time.
 */
import { boardVariant, bootCode } from "../../src/emulator/catalog.js";
import { Flash } from "../../src/emulator/flash.js";
import { LAYOUT, slotOffset } from "../../src/emulator/layout.js";
import { RETAINED_SIZE } from "../../src/emulator/retained.js";
import { signedFixture } from "../../src/emulator/signed-fixture.js";
import { startBoard } from "../../src/emulator/start.js";
import {
  type CompiledProgram,
  compile,
  FW_IDLE,
  Program,
  type ProgramEnd,
} from "../../src/emulator/wasm-program.js";
import { COUNTERS, frame, unframe } from "./board-frames.js";

const STEPS_BEFORE_GIVING_UP = 100_000;
const boots = new Map<boolean, CompiledProgram>();
const images = new Map<string, CompiledProgram>();

export type BenchEnd = ProgramEnd | { kind: "idle" };

export class Bench {
  readonly flash: Flash;
  log = "";
  #retained = new Uint8Array(RETAINED_SIZE);
  #now = 0;
  #input: Uint8Array = new Uint8Array(0);
  #sent: Uint8Array[] = [];
  #program: Program | undefined;

  /** `unpacks`: with the bootloader that takes compressed images. */
  constructor(
    content: Uint8Array,
    writeUnit: number,
    readonly decompresses = false,
  ) {
    this.flash = new Flash({ size: LAYOUT.flashSize, sector: LAYOUT.sector, writeUnit }, { content });
  }

  /** The same board with a copy of the flash, without power. */
  copy(): Bench {
    return new Bench(this.flash.bytes, this.flash.writeUnit, this.decompresses);
  }

  /** Power goes and comes back; then as {@link reset}. */
  powerCycle(): BenchEnd {
    this.#retained = new Uint8Array(RETAINED_SIZE);
    return this.reset();
  }

  /** Boots. `start-image`: the application is ready for {@link ask}; `idle`: the bootloader waits, in recovery. */
  reset(): BenchEnd {
    this.flash.unprotect();
    this.#now = 0;
    const boot =
      boots.get(this.decompresses) ??
      compile(bootCode({ policy: [], ...(this.decompresses && { decompresses: true }) }));
    boots.set(this.decompresses, boot);
    const end = this.#launch(boot);
    if (end.kind !== "start-image") return end;
    const started = this.#launch(codeOf(this.flash.bytes.slice(end.offset, end.offset + end.length)));
    return started.kind === "idle" ? end : started;
  }

  /** Sends a message to the running program: what it answers, or how it ended while it did. */
  ask(message: string): Record<string, unknown> | ProgramEnd {
    this.#sent = [];
    this.#input = frame(message);
    const end = this.#runUntil(() => unframe(Buffer.concat(this.#sent)) !== undefined);
    return end ?? unframe(Buffer.concat(this.#sent))!.body;
  }

  #launch(code: CompiledProgram): BenchEnd {
    this.#program = new Program(code, {
      flash: this.flash,
      retained: this.#retained,
      uartRead: (max) => {
        const taken = this.#input.subarray(0, max);
        this.#input = this.#input.subarray(taken.length);
        return taken;
      },
      uartWrite: (bytes) => void this.#sent.push(bytes),
      log: (bytes) => {
        this.log += Buffer.from(bytes).toString("latin1");
      },
      millis: () => this.#now,
      watchdogStart: () => {},
      watchdogFeed: () => {},
    });
    return this.#program.start() ?? this.#runUntil(() => false, true) ?? { kind: "idle" };
  }

  /** Steps the program until something is so, or it ended. `orIdle`: or it wants to sleep. */
  #runUntil(isSo: () => boolean, orIdle = false): ProgramEnd | undefined {
    for (let count = 0; count < STEPS_BEFORE_GIVING_UP; count++) {
      const result = this.#program!.step();
      if (typeof result === "object") return result;
      if (isSo() || (orIdle && result > 0)) return undefined;
      this.#now += result === FW_IDLE ? 1 : result;
    }
    throw new Error(`the program got nowhere; its log:\n${this.log}`);
  }
}

function codeOf(body: Uint8Array): CompiledProgram {
  const key = Buffer.from(body).toString("latin1");
  let code = images.get(key);
  if (!code) {
    code = compile(body);
    images.set(key, code);
  }
  return code;
}

/** A board as it leaves the factory, good-a in the primary. */
export async function factoryBench(variant = "good"): Promise<Bench> {
  const board = await startBoard({ machine: "wasm", variant, off: true });
  const content = board.readFlash(0, LAYOUT.flashSize);
  await board.close();
  const { writeUnit, decompresses } = boardVariant(variant);
  return new Bench(content, writeUnit, decompresses);
}

/** Puts a signed fixture image into the secondary, as an upload would. Its hash. */
export async function upload(bench: Bench, id: string, variant = "good"): Promise<Uint8Array> {
  const signed = await signedFixture(id, "wasm", boardVariant(variant));
  uploadBytes(bench, signed);
  return hashOf(signed);
}

export function uploadBytes(bench: Bench, image: Uint8Array): void {
  bench.flash.program(slotOffset(0, 1), new Uint8Array(LAYOUT.slotSize).fill(0xff));
  bench.flash.program(slotOffset(0, 1), image);
}

const MAGIC = Uint8Array.from(Buffer.from("77c295f360d2ef7f3552500f2cb67980", "hex"));

/** Asks for the secondary with its trailer alone: magic, swap info, for `permanent` image_ok too (MCUboot, A = 8). */
export function requestByTrailer(bench: Bench, permanent: boolean): void {
  const end = slotOffset(0, 1) + LAYOUT.slotSize;
  bench.flash.program(end - 16, MAGIC);
  if (permanent) bench.flash.program(end - 24, Uint8Array.of(1));
  bench.flash.program(end - 40, Uint8Array.of(permanent ? 3 : 2));
}

/** What the application answers about the stored counter of image 0. */
export function storedCounter(bench: Bench): number | undefined {
  const answer = bench.ask(COUNTERS) as { images?: { counter?: number }[] };
  if (!answer.images) throw new Error(`no counters in ${JSON.stringify(answer)}`);
  return answer.images[0]?.counter;
}

/** Version of the image in the primary as the header has it; undefined when there is no header. */
export function primaryVersion(bench: Bench): string | undefined {
  const header = Buffer.from(bench.flash.bytes.subarray(slotOffset(0, 0), slotOffset(0, 0) + 32));
  if (header.readUInt32LE(0) !== 0x96f3b83d) return undefined;
  return `${header[20]}.${header[21]}.${header.readUInt16LE(22)}`;
}

/** The SHA-256 TLV of a signed image whose first unprotected TLV area follows the protected one. */
export function hashOf(image: Uint8Array): Uint8Array {
  const bytes = Buffer.from(image);
  let at = bytes.readUInt16LE(8) + bytes.readUInt32LE(12) + bytes.readUInt16LE(10);
  const end = at + bytes.readUInt16LE(at + 2);
  for (at += 4; at < end; at += 4 + bytes.readUInt16LE(at + 2))
    if (bytes.readUInt16LE(at) === 0x10) return bytes.subarray(at + 4, at + 36);
  throw new Error("the image carries no SHA-256");
}
