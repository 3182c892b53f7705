/**
 * The bootloader's C code with nothing around it but flash: boot-harness.wasm (firmware-fixtures/boot/harness.c), whose
 * images are never started. One object is one board; each boot is a fresh instance, as after a power cycle.
 */
import { readFileSync } from "node:fs";
import { type CutKind, Flash, PowerCut } from "../../src/emulator/flash.js";
import {
  type FlashArea,
  GEOMETRIES,
  type Geometry,
  type GeometryName,
  LAYOUT,
  sectorAt,
  slotArea,
} from "../../src/emulator/layout.js";
import { type BootMode, encodeProvision, type Policy, type Provision } from "../../src/emulator/provision.js";
import { RETAINED_SIZE, setBootRequest } from "../../src/emulator/retained.js";
import type { Recording, SlotName, TrailerState } from "./mcuboot-recordings.js";
import { privateKey, publicKey } from "./mcuboot-recordings.js";

const wasm = (
  globalThis as unknown as {
    WebAssembly: {
      Module: new (bytes: Uint8Array) => object;
      Instance: new (module: object, imports: object) => { exports: unknown };
    };
  }
).WebAssembly;

interface Exports {
  memory: { readonly buffer: ArrayBuffer };
  __stack_pointer: { value: number };
  harness_boot(): number;
  harness_set_next(image: number, slot: number, active: number, confirm: number): number;
  harness_set_pending(image: number, permanent: number): number;
  harness_swap_type(image: number): number;
  harness_trailer(image: number, slot: number): number;
  harness_counter(image: number): number;
  harness_counter_advance(image: number, value: number): number;
  harness_ram(): number;
}

let code: object | undefined;
const HARNESS = new URL("../../firmware-fixtures/prebuilt/boot-harness.wasm", import.meta.url);

/** How a boot ended: an image body was to be started, in flash or at an offset of the RAM window, or nothing was. */
export type BootEnd =
  | { kind: "start"; offset: number }
  | { kind: "start-ram"; offset: number }
  | { kind: "recovery" }
  | { kind: "power-cut" };

class Started extends Error {
  readonly end: BootEnd;
  constructor(end: BootEnd) {
    super("started");
    this.end = end;
  }
}

/** MCUboot's words for the numbers in its logs. */
const SWAP_TYPES: Record<number, string> = { 1: "none", 2: "test", 3: "perm", 4: "revert" };
const MAGICS: Record<number, string> = { 1: "good", 2: "bad", 3: "unset" };
const FLAGS: Record<number, string> = { 1: "set", 2: "bad", 3: "unset" };

const MODES: Record<Recording["config"]["mode"], BootMode> = {
  offset: "swap-offset",
  move: "swap-move",
  scratch: "swap-scratch",
  overwrite: "overwrite-only",
  overwritefull: "overwrite-only",
  xip: "direct-xip",
  xiprevert: "direct-xip-revert",
  ramload: "ram-load",
  ramloadrevert: "ram-load-revert",
  single: "single-slot",
  fwl: "firmware-loader",
};

/** Policies that an option of the build stands for. */
const OPTION_POLICIES: [RegExp, Policy][] = [
  [/^MCUBOOT_DOWNGRADE_PREVENTION$/, "downgrade-version"],
  [/^MCUBOOT_DOWNGRADE_PREVENTION_SECURITY_COUNTER=1$/, "downgrade-counter"],
  [/^MCUBOOT_BOOTSTRAP$/, "bootstrap"],
  [/^MCUBOOT_SWAP_SAVE_ENCTLV(=1)?$/, "save-key-tlv"],
  [/^CONFIG_BOOT_FIRMWARE_LOADER_NO_APPLICATION(=.*)?$/, "loader-without-app"],
];
/** On unless the option is there. */
const DEFAULT_OPTIONS: [string, Policy][] = [
  ["MCUBOOT_VALIDATE_PRIMARY_SLOT", "skip-primary"],
  ["MCUBOOT_USE_TLV_ALLOW_LIST", "no-allow-list"],
  ["MCUBOOT_HW_ROLLBACK_PROT", "no-counter"],
];

/** The geometry of a recording: told by its sectors. */
export function geometryOf({ sector_size, slots }: Recording["config"]): GeometryName {
  if (slots.primary?.sectors) return "uneven";
  return sector_size === 131072 ? "large" : "even";
}

function decryptionOf({ encryption_key: name, options }: Recording["config"]): Provision["decryption"] {
  if (name === undefined) return undefined;
  return {
    type: name.startsWith("x25519") ? "x25519" : "p256",
    key: privateKey(name),
    aesBits: options.includes("MCUBOOT_AES_256") ? 256 : 128,
  };
}

function policiesOf({ id, mode, options }: Recording["config"]): Policy[] {
  const policy = [
    ...OPTION_POLICIES.filter(([option]) => options.some((given) => option.test(given))).map(
      ([, name]) => name,
    ),
    ...DEFAULT_OPTIONS.filter(([option]) => !options.includes(option)).map(([, name]) => name),
  ];
  if (mode === "overwritefull") policy.push("overwrite-whole");
  if (id.includes("-noapp") && !policy.includes("loader-without-app")) policy.push("loader-without-app");
  // by security counter takes the place of by version, as in MCUboot
  return policy.includes("downgrade-counter") ? policy.filter((one) => one !== "downgrade-version") : policy;
}

/** MCUboot's build options as our provisioning: the same bootloader serves every configuration. */
export function provisionOf(config: Recording["config"]): Provision {
  const number = (name: string) =>
    Number(config.options.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1));
  const ram = number("IMAGE_EXECUTABLE_RAM_START");
  return {
    policy: policiesOf(config),
    mode: MODES[config.mode],
    images: number("MCUBOOT_IMAGE_NUMBER") as 1 | 2,
    writeUnit: config.write_size,
    maxSectors: number("MCUBOOT_MAX_IMG_SECTORS"),
    bufSize: 512,
    bufCount: 1,
    recoveryBufSize: 512,
    board: "harness",
    serial: "1",
    keys: config.keys.map((name) => ({
      type: name.startsWith("ed25519") ? ("ed25519" as const) : ("ecdsa-p256" as const),
      der: publicKey(name),
    })),
    geometry: geometryOf(config),
    erased: config.erased_byte === 0 ? 0 : 0xff,
    align: number("MCUBOOT_BOOT_MAX_ALIGN") as 8 | 16 | 32,
    decryption: decryptionOf(config),
    ...(Number.isNaN(ram) ? {} : { ram: { start: ram, size: number("IMAGE_EXECUTABLE_RAM_SIZE") } }),
  };
}

const SLOTS: Record<Exclude<SlotName, "scratch">, [number, number]> = {
  primary: [0, 0],
  secondary: [0, 1],
  primary_1: [1, 0],
  secondary_1: [1, 1],
};

export function areaOf(slot: SlotName, geometry: GeometryName = "even"): FlashArea {
  return slot === "scratch" ? GEOMETRIES[geometry].scratch : slotArea(...SLOTS[slot], geometry);
}

export function offsetOf(slot: SlotName, geometry: GeometryName = "even"): number {
  return areaOf(slot, geometry).offset;
}

/** As much flash as the bootloader touches: a board is copied for every power cut. */
function usedFlash(name: GeometryName): number {
  const { slots, scratch }: Geometry = GEOMETRIES[name];
  const ends = [...slots.flat(), scratch, LAYOUT.provision].map(({ offset, size }) => offset + size);
  return Math.max(...ends);
}

export class HarnessBoard {
  readonly flash: Flash;
  readonly geometry: GeometryName;
  readonly #provision: Provision;
  readonly #retained = new Uint8Array(RETAINED_SIZE);
  log = "";
  /** RAM that images are loaded to, as the last boot left it. */
  ram: Uint8Array = new Uint8Array();
  /** The firmware loader's entrance. */
  pin = false;

  constructor(
    content: Uint8Array | undefined,
    provision: Provision,
    sink?: (offset: number, bytes: Uint8Array) => void,
  ) {
    this.#provision = provision;
    this.geometry = provision.geometry ?? "even";
    this.flash = new Flash(
      {
        size: usedFlash(this.geometry),
        sector: LAYOUT.sector,
        ...(this.geometry === "even"
          ? {}
          : { sectorAt: (offset: number) => sectorAt(offset, this.geometry) }),
        writeUnit: provision.writeUnit,
        erased: provision.erased,
        // MCUboot writes flags without looking what is there; a trailer that the steps damaged must not stop us either
        overwrite: "clear-bits",
      },
      { ...(content ? { content } : {}), ...(sink ? { sink } : {}) },
    );
  }

  /** A board as the factory leaves it. */
  static make(provision: Provision): HarnessBoard {
    const board = new HarnessBoard(undefined, provision);
    board.flash.program(LAYOUT.provision.offset, encodeProvision(provision));
    return board;
  }

  /** Another board with the same flash. */
  copy(sink?: (offset: number, bytes: Uint8Array) => void): HarnessBoard {
    const board = new HarnessBoard(this.flash.bytes, this.#provision, sink);
    board.pin = this.pin;
    return board;
  }

  slot(name: SlotName): Uint8Array {
    const { offset, size } = areaOf(name, this.geometry);
    return this.flash.bytes.subarray(offset, offset + size);
  }

  /** Power on, with power failing at the n-th operation if asked. */
  boot(cut?: { at: number; kind?: CutKind }): BootEnd {
    this.flash.unprotect();
    this.#retained.fill(0);
    if (this.pin) setBootRequest(this.#retained, 1);
    this.log = "";
    if (cut) this.flash.cutAt(cut.at, cut.kind);
    return this.#run((harness) => {
      try {
        harness.harness_boot();
        return { kind: "recovery" };
      } catch (error) {
        if (error instanceof Started) return error.end;
        if (error instanceof PowerCut) return { kind: "power-cut" };
        throw error;
      } finally {
        const { ram } = this.#provision;
        const at = harness.harness_ram();
        if (ram) this.ram = new Uint8Array(harness.memory.buffer.slice(at, at + ram.size));
        this.flash.cutNever();
        this.flash.unprotect();
      }
    });
  }

  /** MCUboot's boot_set_next. Its return code, or undefined when power failed in it. */
  setNext(slot: SlotName, active: boolean, confirm: boolean, cutBefore?: number): number | undefined {
    if (cutBefore !== undefined) this.flash.cutAt(cutBefore);
    try {
      return this.#run((harness) =>
        harness.harness_set_next(
          ...SLOTS[slot as Exclude<SlotName, "scratch">],
          Number(active),
          Number(confirm),
        ),
      );
    } catch (error) {
      if (error instanceof PowerCut) return undefined;
      throw error;
    } finally {
      this.flash.cutNever();
    }
  }

  /** MCUboot's boot_set_pending_multi. Its return code, or undefined when power failed in it. */
  setPending(image: number, permanent: boolean, cutBefore?: number): number | undefined {
    if (cutBefore !== undefined) this.flash.cutAt(cutBefore);
    try {
      return this.#run((harness) => harness.harness_set_pending(image, Number(permanent)));
    } catch (error) {
      if (error instanceof PowerCut) return undefined;
      throw error;
    } finally {
      this.flash.cutNever();
    }
  }

  state(image = 0): TrailerState {
    return this.#run((harness) => this.#state(harness, image));
  }

  #state(harness: Exports, image: number): TrailerState {
    const words = (slot: number) => {
      const bytes = harness.harness_trailer(image, slot);
      return [
        MAGICS[bytes >>> 24],
        FLAGS[(bytes >>> 16) & 0xff],
        FLAGS[(bytes >>> 8) & 0xff],
        SWAP_TYPES[bytes & 0xff],
      ].join(" ");
    };
    return [SWAP_TYPES[harness.harness_swap_type(image)]!, words(0), words(1)];
  }

  counter(image = 0): number {
    return this.#run((harness) => harness.harness_counter(image) >>> 0);
  }

  /** From outside: no boot, and downwards as well. */
  setCounters(values: readonly number[]): void {
    this.flash.program(LAYOUT.counters.offset, new Uint8Array(LAYOUT.counters.size).fill(this.flash.erased));
    values.forEach((value, image) => {
      if (!this.advanceCounter(image, value)) throw new Error(`Counter ${image} refused ${value}.`);
    });
  }

  /** The bootloader's own way. False: refused. Throws PowerCut when a cut falls into it. */
  advanceCounter(image: number, value: number): boolean {
    return this.#run((harness) => harness.harness_counter_advance(image, value) === 0);
  }

  /** Runs the program as a power cycle finds it, on this board's flash. */
  #run<T>(use: (program: Exports) => T): T {
    const program = programs[depth] ?? makeProgram();
    programs[depth++] = program;
    program.board = this;
    new Uint8Array(program.exports.memory.buffer).set(program.initial);
    program.exports.__stack_pointer.value = program.stack;
    try {
      return use(program.exports);
    } finally {
      depth--;
    }
  }

  /** What the program asks of its machine; `at` is a stretch of the program's memory. */
  machine(at: (pointer: number, length: number) => Uint8Array, ram: () => number) {
    return {
      flash_read: (offset: number, to: number, length: number) =>
        this.flash.read(offset >>> 0, at(to, length)),
      flash_write: (offset: number, from: number, length: number) =>
        this.flash.write(offset >>> 0, at(from, length)),
      flash_erase: (offset: number, length: number) => this.flash.erase(offset >>> 0, length >>> 0),
      flash_protect: (offset: number, length: number) => this.flash.protect(offset >>> 0, length >>> 0),
      retained_read: (to: number, length: number) => at(to, length).set(this.#retained.subarray(0, length)),
      retained_write: (from: number, length: number) => this.#retained.set(at(from, length)),
      log_write: (from: number, length: number) => {
        this.log += Buffer.from(at(from, length)).toString("latin1");
      },
      start_image: (offset: number) => {
        throw new Started({ kind: "start", offset: offset >>> 0 });
      },
      start_ram: (body: number) => {
        throw new Started({ kind: "start-ram", offset: (body >>> 0) - ram() });
      },
      millis: () => 0,
      uart_read: unexpected,
      uart_write: unexpected,
      reset: unexpected,
      hang: unexpected,
      watchdog_start: unexpected,
      watchdog_feed: unexpected,
    };
  }
}

type Machine = ReturnType<HarnessBoard["machine"]>;

function unexpected(): never {
  throw new Error("The bootloader called what a boot has no use for.");
}

/**
 * Making an instance of the program costs more than a boot, so each is used again with its memory put back. A board may
 * look at another while it runs: that one has the next program.
 */
interface Program {
  exports: Exports;
  /** The memory and the stack pointer as they were when it was made. */
  initial: Uint8Array;
  stack: number;
  board: HarnessBoard | undefined;
}
const programs: Program[] = [];
let depth = 0;

function makeProgram(): Program {
  code ??= new wasm.Module(readFileSync(HARNESS));
  const machine = (): Machine => (machines.get(program.board!) ?? addMachine(program.board!)) as Machine;
  const machines = new WeakMap<HarnessBoard, Machine>();
  const addMachine = (board: HarnessBoard) => {
    const at = (pointer: number, length: number) =>
      new Uint8Array(program.exports.memory.buffer, pointer >>> 0, length >>> 0);
    const made = board.machine(at, () => program.exports.harness_ram());
    machines.set(board, made);
    return made;
  };
  const names = [
    "flash_read",
    "flash_write",
    "flash_erase",
    "flash_protect",
    "retained_read",
    "retained_write",
    "log_write",
    "start_image",
    "start_ram",
    "millis",
    "uart_read",
    "uart_write",
    "reset",
    "hang",
    "watchdog_start",
    "watchdog_feed",
  ] as const satisfies readonly (keyof Machine)[];
  const board = Object.fromEntries(
    names.map((name) => [
      name,
      (...args: number[]) => (machine()[name] as (...args: number[]) => unknown)(...args),
    ]),
  );
  const exports = new wasm.Instance(code, { board }).exports as Exports;
  const program: Program = {
    exports,
    initial: new Uint8Array(exports.memory.buffer.slice(0)),
    stack: exports.__stack_pointer.value,
    board: undefined,
  };
  return program;
}
