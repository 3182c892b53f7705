import { setTimeout as delay } from "node:timers/promises";
import { putU8, putU32le } from "../bytes.js";
import { ChunkQueue } from "./chunk-queue.js";
import { listSerialPorts } from "./list.js";
import { type ByteStream, TransportError } from "./transport.js";
import { chooseUsb, type UsbSelector } from "./usb.js";
import type { UsbEndpoint, UsbInterface } from "./usb-descriptors.js";
import { type UsbHandle, usbId } from "./usb-handle.js";

/** A serial port of a USB board, by what the board is and without the kernel's driver. */
export interface UsbCdcAddress extends UsbSelector {
  readonly vendorId: number;
  readonly productId: number;
  /** The control interface of the port that is meant, on a board with several. */
  readonly usbInterface?: number | undefined;
  readonly baudRate: number;
  readonly dtr?: boolean | undefined;
  readonly rts?: boolean | undefined;
}

/** USB CDC 1.2 table 4 and PSTN 1.2 table 13. */
const COMMUNICATION = { class: 0x02, subclass: 0x02 } as const;
const DATA_CLASS = 0x0a;
const REQUEST = { setLineCoding: 0x20, setControlLineState: 0x22 } as const;
const LINE = { dtr: 1, rts: 2 } as const;

/** A read cannot be called off, so closing waits this long at worst. */
const READ_MS = 250;
/** More than a board takes at once gains nothing, and a lost device is noticed sooner. */
const LARGEST_WRITE = 4096;

/** One CDC-ACM port of a device: the interface that controls it and the one that carries its bytes. */
export interface AcmPort {
  readonly control: number;
  readonly data: UsbInterface;
  readonly input: UsbEndpoint;
  readonly output: UsbEndpoint;
  /** Number of the text that names it. */
  readonly nameIndex: number;
}

/**
 * The CDC-ACM ports of a device. The data interface is the next one with bulk endpoints both ways, as every firmware
 * lays it out; descriptors that promise otherwise yield no port.
 */
export function acmPorts(interfaces: readonly UsbInterface[]): AcmPort[] {
  return interfaces
    .filter((one) => one.class === COMMUNICATION.class && one.subclass === COMMUNICATION.subclass)
    .flatMap(({ number, nameIndex }) => {
      const data = interfaces.find((one) => one.number === number + 1 && one.class === DATA_CLASS);
      const bulk = data?.endpoints.filter(({ kind, maxPacket }) => kind === "bulk" && maxPacket > 0) ?? [];
      const input = bulk.find(({ toHost }) => toHost);
      const output = bulk.find(({ toHost }) => !toHost);
      return data && input && output ? [{ control: number, data, input, output, nameIndex }] : [];
    });
}

/**
 * Opens a CDC-ACM port through the USB library, with line coding, DTR and RTS set on purpose. On Linux the kernel's
 * driver steps aside and returns at `close`; a port that a program has open is `busy`. Throws {@link TransportError};
 * abort throws the signal's reason.
 */
export async function openUsbCdc(
  address: UsbCdcAddress,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<ByteStream> {
  options.signal?.throwIfAborted();
  const name = addressName(address);
  const handle = await (await chooseUsb(address, name)).open();
  let stream: UsbCdcStream | undefined;
  try {
    const port = await choosePort(handle, address, name);
    await refuseWhatAProgramUses(handle, port, name, options.signal);
    options.signal?.throwIfAborted();
    stream = new UsbCdcStream(name, handle, port);
    await handle.claim(port.control);
    await handle.claim(port.data.number);
    await setLineCoding(handle, port, address.baudRate);
    await setLines(handle, port, address);
    options.signal?.throwIfAborted();
  } catch (error) {
    await (stream ?? handle).close();
    throw error;
  }
  stream.listen();
  return stream;
}

function addressName(address: UsbCdcAddress): string {
  const serial = address.serialNumber === undefined ? "" : `:${address.serialNumber}`;
  return `usb:${usbId(address)}${serial}`;
}

async function choosePort(
  handle: UsbHandle,
  { usbInterface }: UsbCdcAddress,
  name: string,
): Promise<AcmPort> {
  const ports = acmPorts(handle.interfaces);
  const meant = ports.filter(({ control }) => usbInterface === undefined || control === usbInterface);
  const [only, ...others] = meant;
  if (only && others.length === 0) return only;
  const known = await portsInWords(handle, ports);
  if (only) {
    const hint = `Add ?interface=N: ${known}.`;
    throw new TransportError("ambiguous-port", name, `"${name}" has ${meant.length} serial ports.`, { hint });
  }
  const hint = known === "" ? "It declares no CDC-ACM interface at all." : `Its serial ports: ${known}.`;
  throw new TransportError("not-found", name, `"${name}" has no such serial port.`, { hint });
}

async function portsInWords(handle: UsbHandle, ports: readonly AcmPort[]): Promise<string> {
  const words: string[] = [];
  for (const { control, nameIndex } of ports) {
    const text = await handle.text(nameIndex);
    words.push(text === undefined ? String(control) : `${control} (${text})`);
  }
  return words.join(", ");
}

/** udev opens a port that has just appeared, and lets go again at once; whoever uses one keeps it for longer. */
const QUICK_CHECK_MS = 1500;
const LOOK_EVERY_MS = 100;

/** The driver would let go even while somebody types into the port: their terminal would die without a word. */
async function refuseWhatAProgramUses(
  { found }: UsbHandle,
  port: AcmPort,
  name: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (process.platform !== "linux") return;
  const end = performance.now() + QUICK_CHECK_MS;
  for (;;) {
    const ports = await listSerialPorts();
    const tty = ports.find((one) => one.usbPort === found.usbPort && one.usbInterface === port.control);
    if (tty?.problem?.code !== "busy") return;
    if (performance.now() > end)
      throw new TransportError("busy", name, tty.problem.message, { hint: tty.problem.hint });
    await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}

async function setLineCoding(handle: UsbHandle, port: AcmPort, baudRate: number): Promise<void> {
  const coding = new Uint8Array(7);
  putU32le(coding, 0, baudRate);
  putU8(coding, 6, 8);
  await handle.controlOut(toControl(port, REQUEST.setLineCoding, 0), coding);
}

async function setLines(
  handle: UsbHandle,
  port: AcmPort,
  { dtr = true, rts = true }: Pick<UsbCdcAddress, "dtr" | "rts">,
): Promise<void> {
  const value = (dtr ? LINE.dtr : 0) | (rts ? LINE.rts : 0);
  await handle.controlOut(toControl(port, REQUEST.setControlLineState, value), new Uint8Array(0));
}

function toControl(port: AcmPort, request: number, value: number) {
  return { type: "class", recipient: "interface", request, value, index: port.control } as const;
}

class UsbCdcStream implements ByteStream {
  readonly name: string;
  readonly chunks: ChunkQueue;
  readonly #handle: UsbHandle;
  readonly #port: AcmPort;
  /** Writes go out one after the other: an endpoint takes one transfer at a time. */
  #writing: Promise<void> = Promise.resolve();
  #wake: (() => void) | undefined;
  #isPaused = false;
  #isClosed = false;
  #lost: TransportError | undefined;
  #releasing: Promise<void> | undefined;

  constructor(name: string, handle: UsbHandle, port: AcmPort) {
    this.name = name;
    this.#handle = handle;
    this.#port = port;
    this.chunks = new ChunkQueue({
      pause: () => {
        this.#isPaused = true;
      },
      resume: () => {
        this.#isPaused = false;
        this.#wake?.();
      },
    });
  }

  /** Reads until the port closes or the device goes away. */
  listen(): void {
    void this.#read().catch((error) => this.#lose(error));
  }

  write(bytes: Uint8Array): Promise<void> {
    const work = this.#writing.then(() => this.#send(bytes));
    // The next write waits for this one; whether it worked is its own caller's business.
    this.#writing = work.catch(() => {});
    return work;
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.chunks.end();
    this.#wake?.();
    return this.#release();
  }

  /**
   * One packet at a time: a larger read would be held back by a firmware that ends on a full packet and forgets the
   * empty one that should follow.
   */
  async #read(): Promise<void> {
    const { number, maxPacket } = this.#port.input;
    while (!this.#isClosed) {
      const packet = await this.#handle.bulkIn(number, maxPacket, READ_MS);
      if (packet) this.chunks.push(packet);
      if (this.#isPaused && !this.#isClosed) await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  async #send(bytes: Uint8Array): Promise<void> {
    const { number, maxPacket } = this.#port.output;
    const step = LARGEST_WRITE - (LARGEST_WRITE % maxPacket) || maxPacket;
    try {
      for (let at = 0; at < bytes.length; at += step) {
        this.#mustBeOpen();
        await this.#handle.bulkOut(number, bytes.subarray(at, at + step));
      }
      this.#mustBeOpen();
      // A firmware may wait for a packet that is not full to know that the host is done.
      if (bytes.length > 0 && bytes.length % maxPacket === 0)
        await this.#handle.bulkOut(number, new Uint8Array(0));
    } catch (error) {
      throw this.#isClosed ? error : this.#lose(error);
    }
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw new TransportError("failed", this.name, `${this.name} is already closed.`);
    if (this.#lost) throw this.#lost;
  }

  #lose(cause: unknown): TransportError {
    const hint = "Was the cable pulled, or did the board restart?";
    this.#lost ??= new TransportError("lost", this.name, `${this.name} disconnected.`, { hint, cause });
    this.chunks.fail(this.#lost);
    void this.#release();
    return this.#lost;
  }

  /** DTR falls as it does when a driver closes a port: firmware takes that for "nobody listens". */
  #release(): Promise<void> {
    this.#releasing ??= (async () => {
      if (!this.#lost) await setLines(this.#handle, this.#port, { dtr: false, rts: false }).catch(() => {});
      await this.#handle.close();
    })();
    return this.#releasing;
  }
}
