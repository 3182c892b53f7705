import { DfuError } from "../dfu/error.js";
import { DFU_INTERFACE, type DfuFunctional, readFunctional } from "../dfu/functional.js";
import { type Memory, readMemory } from "../dfu/memory.js";
import { abort, clearStatus, type DfuRequest, getStatus } from "../dfu/requests.js";
import { type DfuState, type DfuStatus, readStatus, statusInWords } from "../dfu/status.js";
import type { UsbInterface } from "../transport/usb-descriptors.js";
import { type UsbFound, type UsbHandle, UsbTransferError } from "../transport/usb-handle.js";

/** A memory that a DFU device offers: one alternate setting of its interface. */
export interface DfuMemory {
  readonly alternate: number;
  /** What the device calls it. */
  readonly name: string | undefined;
  /** Where its pages are, when the name says so in ST's way. */
  readonly memory: Memory | undefined;
}

/** What a device offers for DFU. */
export interface DfuOffer {
  /** `runtime`: the firmware runs and can be asked to leave. `dfu`: it waits for a download. */
  readonly mode: "runtime" | "dfu";
  readonly interfaceNumber: number;
  readonly functional: DfuFunctional;
  readonly memories: readonly DfuMemory[];
}

/** Longest a device may be busy with one block; a large page takes seconds to erase. */
const BUSY_LIMIT_MS = 90_000;
/** A device that is busy and names no time is not asked without pause. */
const LEAST_POLL_MS = 5;

const BUSY: readonly DfuState[] = ["dfuDNLOAD-SYNC", "dfuDNBUSY", "dfuMANIFEST-SYNC", "dfuMANIFEST"];

/** An open device's DFU interface: its requests, and waiting until it has obeyed. */
export class DfuDevice {
  readonly found: UsbFound;
  readonly offer: DfuOffer;
  readonly #handle: UsbHandle;
  readonly #signal: AbortSignal | undefined;

  private constructor(handle: UsbHandle, offer: DfuOffer, signal: AbortSignal | undefined) {
    this.found = handle.found;
    this.offer = offer;
    this.#handle = handle;
    this.#signal = signal;
  }

  /** Throws {@link DfuError} `dfu-cannot` for a device without DFU; TransportError. */
  static async open(found: UsbFound, options: { signal?: AbortSignal | undefined } = {}): Promise<DfuDevice> {
    const handle = await found.open();
    try {
      const offer = await readOffer(handle);
      if (!offer) throw new DfuError("dfu-cannot", "This device has no DFU interface.");
      await handle.claim(offer.interfaceNumber);
      return new DfuDevice(handle, offer, options.signal);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Chooses the memory that requests are about. */
  select(alternate: number): Promise<void> {
    return this.#handle.selectAlternate(this.offer.interfaceNumber, alternate);
  }

  async ask(request: DfuRequest): Promise<Uint8Array> {
    this.#signal?.throwIfAborted();
    const { length = 0 } = request;
    return (
      await this.#refusable(request, () => this.#handle.controlIn(this.#usb(request), length))
    ).subarray(0, length);
  }

  async tell(request: DfuRequest): Promise<void> {
    this.#signal?.throwIfAborted();
    const data = request.data ?? new Uint8Array(0);
    await this.#refusable(request, () => this.#handle.controlOut(this.#usb(request), data));
  }

  async status(): Promise<DfuStatus> {
    return readStatus(await this.ask(getStatus));
  }

  /**
   * Waits until the device is no longer busy. Throws {@link DfuError} `dfu-status` when it reports a fault, `dfu-stuck`
   * when it stays busy or ends up in none of the `expected` states.
   */
  async settle(expected: readonly DfuState[]): Promise<DfuStatus> {
    const end = performance.now() + BUSY_LIMIT_MS;
    for (;;) {
      const status = await this.status();
      if (status.code !== 0) throw statusError(status);
      if (expected.includes(status.state)) return status;
      if (!BUSY.includes(status.state) || performance.now() > end) throw stuckError(status, expected);
      await pause(Math.max(status.pollMs, LEAST_POLL_MS), this.#signal);
    }
  }

  /** Brings the device to dfuIDLE from wherever an earlier session left it. */
  async toIdle(): Promise<void> {
    const status = await this.status();
    if (status.state === "dfuERROR") await this.tell(clearStatus);
    else if (status.state !== "dfuIDLE") await this.tell(abort);
    await this.settle(["dfuIDLE"]);
  }

  /** A bus reset, with which a device leaves DFU mode. */
  reset(): Promise<void> {
    return this.#handle.reset();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  #usb({ request, value }: DfuRequest) {
    const index = this.offer.interfaceNumber;
    return { type: "class", recipient: "interface", request, value, index } as const;
  }

  /** A device refuses by a stall, and says why when its status is asked for. */
  async #refusable<T>(request: DfuRequest, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (!(cause instanceof UsbTransferError) || cause.code !== "stalled" || request === getStatus)
        throw cause;
      const status = await this.status();
      const message = `The device refused ${request.name}: ${statusInWords(status)}.`;
      throw new DfuError("dfu-status", message, { cause, status: status.code, hint: hintFor(status) });
    }
  }
}

/** What the device's descriptors offer; undefined when it has no DFU interface. The device must be open, not claimed. */
export async function readOffer(handle: UsbHandle): Promise<DfuOffer | undefined> {
  const settings = handle.interfaces.filter(isDfu);
  const first = settings[0];
  if (!first) return undefined;
  const mine = settings.filter(({ number }) => number === first.number);
  // It may stand behind the last setting only.
  const functional = mine.map(({ extra }) => readFunctional(extra)).find((one) => one !== undefined);
  if (!functional) return undefined;
  const memories: DfuMemory[] = [];
  for (const { alternate, nameIndex } of mine) {
    const name = await handle.text(nameIndex);
    memories.push({ alternate, name, memory: name === undefined ? undefined : readMemory(name) });
  }
  const mode = first.protocol === DFU_INTERFACE.mode ? "dfu" : "runtime";
  return { mode, interfaceNumber: first.number, functional, memories };
}

function isDfu(one: UsbInterface): boolean {
  return one.class === DFU_INTERFACE.class && one.subclass === DFU_INTERFACE.subclass;
}

function statusError(status: DfuStatus): DfuError {
  const message = `The device reports ${statusInWords(status)}.`;
  return new DfuError("dfu-status", message, { status: status.code, hint: hintFor(status) });
}

function stuckError(status: DfuStatus, expected: readonly DfuState[]): DfuError {
  return new DfuError(
    "dfu-stuck",
    `The device stays in ${status.state}; ${expected.join(" or ")} should follow.`,
    {
      hint: "Unplug it, plug it in again, and start over.",
    },
  );
}

/** What to try, by the status' name. */
const HINTS: Readonly<Record<string, string>> = {
  errWRITE: "Is its flash write protected?",
  errERASE: "Is its flash write protected?",
  errADDRESS: "Check the address against what `dfu list` shows; read protection also causes this.",
  errVENDOR: "On ST's ROM bootloader this is read protection: only a full erase lifts it.",
  errFIRMWARE: "Download a whole firmware again.",
};

function hintFor({ name }: DfuStatus): string | undefined {
  return HINTS[name];
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
