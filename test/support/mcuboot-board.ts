/**
 * The bootloader's C code with nothing around it but flash: boot-harness.wasm (firmware-fixtures/boot/harness.c), whose
 * images are never started. One object is one board; each boot is a fresh instance, as after a power cycle.
 */
import { readFileSync } from "node:fs";
import { type CutKind, Flash, PowerCut } from "../../src/board/flash.js";
import { LAYOUT, slotOffset } from "../../src/board/layout.js";
import { encodeProvision, type Policy, type Provision } from "../../src/board/provision.js";
import { RETAINED_SIZE } from "../../src/board/retained.js";
import type { Recording, SlotName, TrailerState } from "./mcuboot-recordings.js";
import { publicKey } from "./mcuboot-recordings.js";

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
  harness_boot(): number;
  harness_set_next(image: number, slot: number, active: number, confirm: number): number;
  harness_swap_type(image: number): number;
  harness_trailer(image: number, slot: number): number;
  harness_counter(image: number): number;
  harness_counter_advance(image: number, value: number): number;
}

const HARNESS = new URL("../../firmware-fixtures/prebuilt/boot-harness.wasm", import.meta.url);
let code: object | undefined;

/** How a boot ended: an image body was to be started, or nothing was. */
export type BootEnd = { kind: "start"; offset: number } | { kind: "recovery" } | { kind: "power-cut" };

class Started extends Error {
  readonly offset: number;
  constructor(offset: number) {
    super("started");
    this.offset = offset;
  }
}

/** MCUboot's words for the numbers in its logs. */
const SWAP_TYPES: Record<number, string> = { 1: "none", 2: "test", 3: "perm", 4: "revert" };
const MAGICS: Record<number, string> = { 1: "good", 2: "bad", 3: "unset" };
const FLAGS: Record<number, string> = { 1: "set", 2: "bad", 3: "unset" };

const OPTION_POLICIES: [RegExp, Policy][] = [
  [/^MCUBOOT_DOWNGRADE_PREVENTION$/, "downgrade-version"],
  [/^MCUBOOT_DOWNGRADE_PREVENTION_SECURITY_COUNTER=1$/, "downgrade-counter"],
  [/^MCUBOOT_BOOTSTRAP$/, "bootstrap"],
];
/** On unless the option is there. */
const DEFAULT_OPTIONS: [string, Policy][] = [
  ["MCUBOOT_VALIDATE_PRIMARY_SLOT", "skip-primary"],
  ["MCUBOOT_USE_TLV_ALLOW_LIST", "no-allow-list"],
  ["MCUBOOT_HW_ROLLBACK_PROT", "no-counter"],
];

/** MCUboot's build options as our provisioning: the same bootloader serves every configuration. */
export function provisionOf({ options, keys, mode, write_size }: Recording["config"]): Provision {
  const policy = [
    ...OPTION_POLICIES.filter(([option]) => options.some((given) => option.test(given))).map(
      ([, name]) => name,
    ),
    ...DEFAULT_OPTIONS.filter(([option]) => !options.includes(option)).map(([, name]) => name),
  ];
  const number = (name: string) =>
    Number(options.find((option) => option.startsWith(`${name}=`))!.slice(name.length + 1));
  return {
    // by security counter takes the place of by version, as in MCUboot
    policy: policy.includes("downgrade-counter")
      ? policy.filter((one) => one !== "downgrade-version")
      : policy,
    mode: mode === "move" ? "swap-move" : "overwrite",
    images: number("MCUBOOT_IMAGE_NUMBER") as 1 | 2,
    writeUnit: write_size,
    maxSectors: number("MCUBOOT_MAX_IMG_SECTORS"),
    bufSize: 512,
    bufCount: 1,
    recoveryBufSize: 512,
    board: "harness",
    serial: "1",
    keys: keys.map((name) => ({
      type: name.startsWith("ed25519") ? ("ed25519" as const) : ("ecdsa-p256" as const),
      der: publicKey(name),
    })),
  };
}

const SLOTS: Record<SlotName, [number, number]> = {
  primary: [0, 0],
  secondary: [0, 1],
  primary_1: [1, 0],
  secondary_1: [1, 1],
};

export function offsetOf(slot: SlotName): number {
  return slotOffset(...SLOTS[slot]);
}

export class HarnessBoard {
  readonly flash: Flash;
  readonly #retained = new Uint8Array(RETAINED_SIZE);
  log = "";

  constructor(content: Uint8Array, writeUnit: number, sink?: (offset: number, bytes: Uint8Array) => void) {
    this.flash = new Flash(
      // MCUboot writes flags without looking what is there; a trailer that the steps damaged must not stop us either
      { size: LAYOUT.flashSize, sector: LAYOUT.sector, writeUnit, overwrite: "clear-bits" },
      sink ? { content, sink } : { content },
    );
  }

  /** A board as the factory leaves it. */
  static make(provision: Provision): HarnessBoard {
    const board = new HarnessBoard(new Uint8Array(LAYOUT.flashSize).fill(0xff), provision.writeUnit);
    board.flash.program(LAYOUT.provision.offset, encodeProvision(provision));
    return board;
  }

  /** Another board with the same flash. */
  copy(sink?: (offset: number, bytes: Uint8Array) => void): HarnessBoard {
    return new HarnessBoard(this.flash.bytes, this.flash.writeUnit, sink);
  }

  slot(name: SlotName): Uint8Array {
    return this.flash.bytes.subarray(offsetOf(name), offsetOf(name) + LAYOUT.slotSize);
  }

  /** Power on, with power failing at the n-th operation if asked. */
  boot(cut?: { at: number; kind?: CutKind }): BootEnd {
    this.flash.unprotect();
    this.#retained.fill(0);
    this.log = "";
    if (cut) this.flash.cutAt(cut.at, cut.kind);
    try {
      this.#instance().harness_boot();
      return { kind: "recovery" };
    } catch (error) {
      if (error instanceof Started) return { kind: "start", offset: error.offset };
      if (error instanceof PowerCut) return { kind: "power-cut" };
      throw error;
    } finally {
      this.flash.cutNever();
      this.flash.unprotect();
    }
  }

  /** MCUboot's boot_set_next. Its return code, or undefined when power failed in it. */
  setNext(slot: SlotName, active: boolean, confirm: boolean, cutBefore?: number): number | undefined {
    if (cutBefore !== undefined) this.flash.cutAt(cutBefore);
    try {
      return this.#instance().harness_set_next(...SLOTS[slot], Number(active), Number(confirm));
    } catch (error) {
      if (error instanceof PowerCut) return undefined;
      throw error;
    } finally {
      this.flash.cutNever();
    }
  }

  state(image = 0): TrailerState {
    const harness = this.#instance();
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
    return this.#instance().harness_counter(image) >>> 0;
  }

  /** From outside: no boot, and downwards as well. */
  setCounters(values: readonly number[]): void {
    this.flash.program(LAYOUT.counters.offset, new Uint8Array(LAYOUT.counters.size).fill(0xff));
    values.forEach((value, image) => {
      if (!this.advanceCounter(image, value)) throw new Error(`Counter ${image} refused ${value}.`);
    });
  }

  /** The bootloader's own way. False: refused. Throws PowerCut when a cut falls into it. */
  advanceCounter(image: number, value: number): boolean {
    return this.#instance().harness_counter_advance(image, value) === 0;
  }

  #instance(): Exports {
    code ??= new wasm.Module(readFileSync(HARNESS));
    let exports: Exports;
    const at = (pointer: number, length: number) =>
      new Uint8Array(exports.memory.buffer, pointer >>> 0, length >>> 0);
    const unexpected = () => {
      throw new Error("The bootloader called what a boot has no use for.");
    };
    const board = {
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
        throw new Started(offset >>> 0);
      },
      millis: () => 0,
      uart_read: unexpected,
      uart_write: unexpected,
      reset: unexpected,
      hang: unexpected,
      watchdog_start: unexpected,
      watchdog_feed: unexpected,
    };
    exports = new wasm.Instance(code, { board }).exports as Exports;
    return exports;
  }
}
