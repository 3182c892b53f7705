import type { BootproofError } from "../errors.js";
import { TransportError } from "./transport.js";
import { DESCRIPTOR_TYPE, readInterfaces, readText, type UsbInterface } from "./usb-descriptors.js";
import {
  type UsbFound,
  type UsbHandle,
  type UsbRequest,
  UsbTransferError,
  usbInWords,
} from "./usb-handle.js";

/** What we use of the library's device. Its own typings leave the timeouts out. */
export interface LibraryDevice {
  readonly vendorId: number;
  readonly productId: number;
  readonly deviceVersionMajor: number;
  readonly deviceVersionMinor: number;
  readonly deviceVersionSubminor: number;
  readonly manufacturerName?: string | null;
  readonly productName?: string | null;
  readonly serialNumber?: string | null;
  readonly bus: string;
  readonly ports: readonly number[];
  open(): Promise<void>;
  close(): Promise<void>;
  reset(): Promise<void>;
  claimInterface(interfaceNumber: number): Promise<void>;
  releaseInterface(interfaceNumber: number): Promise<void>;
  selectAlternateInterface(interfaceNumber: number, alternate: number): Promise<void>;
  detachKernelDriver(interfaceNumber: number): Promise<void>;
  attachKernelDriver(interfaceNumber: number): Promise<void>;
  controlTransferIn(setup: object, length: number, timeoutMs: number): Promise<LibraryResult>;
  controlTransferOut(setup: object, bytes: Uint8Array, timeoutMs: number): Promise<unknown>;
  transferIn(endpoint: number, length: number, timeoutMs: number): Promise<LibraryResult>;
  transferOut(endpoint: number, bytes: Uint8Array, timeoutMs: number): Promise<unknown>;
}

interface LibraryResult {
  readonly data?: DataView;
}

/** USB 2.0, table 9-4. */
const GET_DESCRIPTOR = 6;
const ENGLISH = 0x0409;
/** A board's configuration takes some hundred bytes; what a device declares beyond this is not read. */
const LONGEST = 4096;
const LONGEST_TEXT = 255;
const CONTROL_TIMEOUT_MS = 5000;
const BULK_OUT_TIMEOUT_MS = 10_000;

export class OpenUsb implements UsbHandle {
  readonly found: UsbFound;
  interfaces: readonly UsbInterface[] = [];
  readonly #device: LibraryDevice;
  readonly #claimed: number[] = [];
  /** Interfaces taken from the kernel's driver, to be given back. */
  readonly #detached: number[] = [];
  /** Transfers under way: the library refuses to close while there are any. */
  readonly #busy = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  private constructor(device: LibraryDevice, found: UsbFound) {
    this.#device = device;
    this.found = found;
  }

  static async open(device: LibraryDevice, found: UsbFound): Promise<OpenUsb> {
    const handle = new OpenUsb(device, found);
    await handle.#attempt("open", () => device.open());
    try {
      handle.interfaces = readInterfaces(await handle.#descriptor(DESCRIPTOR_TYPE.configuration, 0, LONGEST));
    } catch (error) {
      await handle.close();
      throw error;
    }
    return handle;
  }

  async text(index: number): Promise<string | undefined> {
    if (index === 0) return undefined;
    try {
      return readText(await this.#descriptor(DESCRIPTOR_TYPE.string, index, LONGEST_TEXT, ENGLISH));
    } catch (error) {
      // It has no such text, or none in English.
      if (error instanceof UsbTransferError) return undefined;
      throw error;
    }
  }

  async claim(interfaceNumber: number): Promise<void> {
    await this.#attempt("claim", () => this.#claimFromDriver(interfaceNumber));
    this.#claimed.push(interfaceNumber);
  }

  selectAlternate(interfaceNumber: number, alternate: number): Promise<void> {
    return this.#attempt("select a setting of", () =>
      this.#device.selectAlternateInterface(interfaceNumber, alternate),
    );
  }

  async controlIn(request: UsbRequest, length: number, timeoutMs = CONTROL_TIMEOUT_MS): Promise<Uint8Array> {
    const result = await this.#attempt("ask", () =>
      this.#device.controlTransferIn(setupOf(request), length, timeoutMs),
    );
    return bytesOf(result.data);
  }

  async controlOut(request: UsbRequest, bytes: Uint8Array, timeoutMs = CONTROL_TIMEOUT_MS): Promise<void> {
    await this.#attempt("ask", () =>
      this.#device.controlTransferOut(setupOf(request), ownBuffer(bytes), timeoutMs),
    );
  }

  async bulkIn(endpoint: number, length: number, timeoutMs: number): Promise<Uint8Array | undefined> {
    const started = performance.now();
    try {
      const result = await this.#attempt("read from", () =>
        this.#device.transferIn(endpoint, length, timeoutMs),
      );
      return bytesOf(result.data);
    } catch (error) {
      if (!(error instanceof UsbTransferError) || error.code !== "timed-out") throw error;
      // Given up early, it was cancelled because the device left; asking again at once would spin.
      if (performance.now() - started < timeoutMs / 2) throw this.#gone(error);
      return undefined;
    }
  }

  async bulkOut(endpoint: number, bytes: Uint8Array, timeoutMs = BULK_OUT_TIMEOUT_MS): Promise<void> {
    await this.#attempt("write to", () => this.#device.transferOut(endpoint, ownBuffer(bytes), timeoutMs));
  }

  async reset(): Promise<void> {
    try {
      await this.#attempt("reset", () => this.#device.reset());
    } catch (error) {
      // It came back as another device: that is what a reset is for.
      if (!(error instanceof TransportError) || error.code !== "lost") throw error;
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#release();
    return this.#closing;
  }

  /** A device that is gone needs nothing of this, and says so at each step. */
  async #release(): Promise<void> {
    await Promise.allSettled(this.#busy);
    for (const number of this.#claimed) await this.#device.releaseInterface(number).catch(() => {});
    for (const number of this.#detached) await this.#device.attachKernelDriver(number).catch(() => {});
    await this.#device.close().catch(() => {});
  }

  async #claimFromDriver(interfaceNumber: number): Promise<void> {
    try {
      await this.#device.claimInterface(interfaceNumber);
    } catch (error) {
      if (errnoOf(error) !== ERRNO.busy || process.platform !== "linux") throw error;
      // A program that claimed it stays in the way; a driver of the kernel steps aside.
      await this.#device.detachKernelDriver(interfaceNumber);
      this.#detached.push(interfaceNumber);
      await this.#device.claimInterface(interfaceNumber);
    }
  }

  async #attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
    const running = work();
    this.#busy.add(running);
    try {
      return await running;
    } catch (error) {
      throw this.#translate(what, error);
    } finally {
      this.#busy.delete(running);
    }
  }

  #descriptor(type: number, number: number, length: number, language = 0): Promise<Uint8Array> {
    const setup = { request: GET_DESCRIPTOR, value: (type << 8) | number, index: language };
    return this.controlIn({ type: "standard", recipient: "device", ...setup }, length);
  }

  #translate(what: string, cause: unknown): BootproofError {
    const said = cause instanceof Error ? cause.message : String(cause);
    const name = usbInWords(this.found);
    // "driver is installed" is no stall.
    if (/driver/i.test(said) && /install|incompatible|unsupported/i.test(said))
      return new TransportError("failed", name, `No driver lets programs open ${name}: ${said}.`, {
        hint: "On Windows, bind WinUSB to it (Zadig does); serial ports need no driver of their own.",
        cause,
      });
    if (/\bstall(?:ed)?\b/i.test(said))
      return new UsbTransferError("stalled", `${name} refused a request.`, { cause });
    if (/cancelled|timed? ?out/i.test(said))
      return new UsbTransferError("timed-out", `${name} did not answer in time.`, { cause });
    if (errnoOf(cause) === ERRNO.gone || /disconnect|not found|no such device/i.test(said))
      return this.#gone(cause);
    const problem = PROBLEMS[errnoOf(cause) ?? 0];
    if (problem)
      return new TransportError(problem.code, name, problem.message(name), { hint: problem.hint, cause });
    return new TransportError("failed", name, `Cannot ${what} ${name}: ${said}.`, { cause });
  }

  #gone(cause: unknown): TransportError {
    const name = usbInWords(this.found);
    const hint = "Was the cable pulled, or did the board restart?";
    return new TransportError("lost", name, `${name} disconnected.`, { hint, cause });
  }
}

const ERRNO = { noEntry: 2, access: 13, busy: 16, gone: 19 } as const;

interface Problem {
  readonly code: "permission" | "busy" | "lost";
  readonly message: (name: string) => string;
  readonly hint: string;
}

const PROBLEMS: Readonly<Record<number, Problem>> = {
  [ERRNO.noEntry]: {
    code: "lost",
    message: (name) => `${name} disconnected.`,
    hint: "Is the board plugged in?",
  },
  [ERRNO.access]: {
    code: "permission",
    message: (name) => `You have no permission to open ${name}.`,
    hint:
      process.platform === "linux"
        ? "Run bootproof setup-udev --install as root once, then plug the board in again."
        : "Is another program using it, or a driver other than WinUSB bound to it?",
  },
  [ERRNO.busy]: {
    code: "busy",
    message: (name) => `${name} is held by another program.`,
    hint: "Close the other program: a debugger, a logger, ModemManager.",
  },
};

/** The library gives no codes, but repeats the kernel's number in its text. */
function errnoOf(error: unknown): number | undefined {
  const match = error instanceof Error ? /\(errno (\d+)\)/.exec(error.message) : undefined;
  return match ? Number(match[1]) : undefined;
}

function setupOf({ type, recipient, request, value, index }: UsbRequest) {
  return { requestType: type, recipient, request, value, index };
}

/** The library wants a buffer, never none: it reads its fields unasked. */
function ownBuffer(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

function bytesOf(view: DataView | undefined): Uint8Array {
  return view ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : new Uint8Array(0);
}
