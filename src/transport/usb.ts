import { BootproofError } from "../errors.js";
import { loadUsb } from "./native-modules.js";
import { TransportError } from "./transport.js";
import {
  cleanText,
  DESCRIPTOR_TYPE,
  readInterfaces,
  readText,
  type UsbInterface,
} from "./usb-descriptors.js";

/**
 * The door to npm `usb` 3.x, which has the WebUSB shape only, one transfer per endpoint at a time, errors without codes,
 * and a timeout on every transfer. Loaded when a device is really asked for: machines without USB never meet it.
 */

/** Which device is meant; what is left out does not matter. */
export interface UsbSelector {
  readonly vendorId?: number | undefined;
  readonly productId?: number | undefined;
  readonly serialNumber?: string | undefined;
  /** Bus and ports it is plugged into, e.g. `1-1.4`. */
  readonly usbPort?: string | undefined;
}

/** A device that is plugged in; texts are its own, cleaned and bounded. It has not been opened. */
export interface UsbFound {
  readonly vendorId: number;
  readonly productId: number;
  /** bcdDevice: 0x0102 is 1.02. */
  readonly release: number;
  readonly manufacturer?: string | undefined;
  readonly product?: string | undefined;
  readonly serialNumber?: string | undefined;
  /** As the kernel names it on Linux: `1-1.4`. The same after a reset. */
  readonly usbPort: string;
  /** Throws {@link TransportError} `permission`, `busy`, `lost` or `failed`. */
  open(): Promise<UsbHandle>;
}

export interface UsbRequest {
  readonly type: "standard" | "class" | "vendor";
  readonly recipient: "device" | "interface";
  readonly request: number;
  readonly value: number;
  readonly index: number;
}

export type UsbTransferErrorCode = "stalled" | "timed-out";

/** The device is there and would not: it stalled the request, or said nothing for `timeoutMs`. */
export class UsbTransferError extends BootproofError {
  declare readonly code: UsbTransferErrorCode;
}

/** An open device. Every call throws {@link TransportError} `lost` once it is gone. */
export interface UsbHandle {
  readonly found: UsbFound;
  /** Every alternate setting of every interface, by the device's own word. */
  readonly interfaces: readonly UsbInterface[];
  /** What the device calls something; undefined when it will not say. */
  text(index: number): Promise<string | undefined>;
  /** Takes an interface, from the kernel's driver if need be; `close` gives it back. Throws `busy`. */
  claim(interfaceNumber: number): Promise<void>;
  selectAlternate(interfaceNumber: number, alternate: number): Promise<void>;
  /** Throws {@link UsbTransferError}. */
  controlIn(request: UsbRequest, length: number, timeoutMs?: number): Promise<Uint8Array>;
  /** Throws {@link UsbTransferError}. */
  controlOut(request: UsbRequest, bytes: Uint8Array, timeoutMs?: number): Promise<void>;
  /**
   * What the device sends within `timeoutMs`; undefined when it sends nothing. Ask for one packet at a time: of a larger
   * transfer that is cut by the timeout the library drops the part that came.
   */
  bulkIn(endpoint: number, length: number, timeoutMs: number): Promise<Uint8Array | undefined>;
  /** No bytes: an empty packet. */
  bulkOut(endpoint: number, bytes: Uint8Array, timeoutMs?: number): Promise<void>;
  /** A bus reset; the device enumerates anew, perhaps as another one. */
  reset(): Promise<void>;
  /** Closing twice is harmless. */
  close(): Promise<void>;
}

/** What we use of the library's device. Its own typings leave the timeouts out. */
interface LibraryDevice {
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
/**
 * The devices that fit, in the order of their ports. A machine without USB has none. Opens none. Throws
 * {@link TransportError} `no-driver`.
 */
export async function findUsb(selector: UsbSelector = {}): Promise<UsbFound[]> {
  const { usb } = await loadUsb();
  // Without /sys/bus/usb, as in most containers, it throws instead of answering "none".
  const devices = (await usb.getDevices().catch(() => [])) as unknown as LibraryDevice[];
  return devices
    .filter(({ vendorId, productId }) => fits({ vendorId, productId }, { ...selector, ...NOT_YET }))
    .map(describe)
    .filter((found) => fits(found, selector))
    .sort((a, b) => a.usbPort.localeCompare(b.usbPort, "en", { numeric: true }));
}

/**
 * The one device that fits. Throws {@link TransportError} `not-found`, or `ambiguous` when several fit: a guess could
 * write to the wrong board.
 */
export async function chooseUsb(selector: UsbSelector, name: string): Promise<UsbFound> {
  const fitting = await findUsb(selector);
  const [only, ...others] = fitting;
  if (only && others.length === 0) return only;
  if (only) {
    const hint = `Add the serial number, or ?port= with the place: ${inWords(fitting)}.`;
    throw new TransportError("ambiguous-port", name, `"${name}" matches ${fitting.length} USB devices.`, {
      hint,
    });
  }
  const all = await findUsb();
  throw new TransportError("not-found", name, `No USB device matches "${name}".`, {
    hint: all.length === 0 ? "This machine has no USB devices." : `USB devices here: ${inWords(all)}.`,
  });
}

/**
 * `2fe3:0004 "Board" serial number E1 on 1-4`.
 *
 * @param found - as listed
 * @returns one line
 */
export function usbInWords(found: UsbFound): string {
  const product = found.product === undefined ? "" : ` "${found.product}"`;
  const serial = found.serialNumber === undefined ? "" : ` serial number ${found.serialNumber}`;
  return `${usbId(found)}${product}${serial} on ${found.usbPort}`;
}

/**
 * Vendor and product as everybody writes them: four hex digits each.
 *
 * @param device - vendor and product
 * @returns like `2fe3:0004`
 */
export function usbId({ vendorId, productId }: Pick<UsbFound, "vendorId" | "productId">): string {
  return [vendorId, productId].map((number) => number.toString(16).padStart(4, "0")).join(":");
}

const inWords = (devices: readonly UsbFound[]) => devices.map(usbInWords).join(", ");

/** Asked for only after the numbers fit: for a missing text the library would open the device. */
const NOT_YET = { serialNumber: undefined, usbPort: undefined } as const;
const KEYS = ["vendorId", "productId", "serialNumber", "usbPort"] as const;

function fits(found: UsbSelector, selector: UsbSelector): boolean {
  return KEYS.every((key) => selector[key] === undefined || selector[key] === found[key]);
}

function describe(device: LibraryDevice): UsbFound {
  const { deviceVersionMajor: major, deviceVersionMinor: minor, deviceVersionSubminor: subminor } = device;
  const found: UsbFound = {
    vendorId: device.vendorId,
    productId: device.productId,
    release: (major << 8) | (minor << 4) | subminor,
    manufacturer: textOf(() => device.manufacturerName),
    product: textOf(() => device.productName),
    serialNumber: textOf(() => device.serialNumber),
    usbPort: portOf(device),
    open: () => OpenUsb.open(device, found),
  };
  return found;
}

/** For a text the system does not know, the library asks the device, which may be closed to us or gone. */
function textOf(ask: () => string | null | undefined): string | undefined {
  try {
    return cleanText(ask());
  } catch {
    // A device without that text, or without a word for us: it has none here.
    return undefined;
  }
}

function portOf({ bus, ports }: Pick<LibraryDevice, "bus" | "ports">): string {
  const number = /^\d+$/.test(bus) ? String(Number(bus)) : bus;
  return `${number}-${ports.join(".")}`;
}

class OpenUsb implements UsbHandle {
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
