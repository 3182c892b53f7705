import type { SerialPort } from "serialport";
import type { SerialAddress } from "./address.js";
import { ChunkQueue } from "./chunk-queue.js";
import {
  accessProblem,
  busyProblem,
  otherReaders,
  type PortProblem,
  portHolders,
  realPath,
  watchForRemoval,
} from "./linux.js";
import { describePort, listSerialPorts } from "./list.js";
import { loadSerialport } from "./native-modules.js";
import { type ByteStream, type SilenceClue, TransportError } from "./transport.js";

/**
 * What serialport's messages mean; it gives no codes. Windows says "Access denied" for a port that is in use, and has
 * no permissions on ports.
 */
const OPEN_FAILURES: readonly { pattern: RegExp; code: PortProblem["code"] }[] = [
  { pattern: /No such file or directory|No such device|File not found/i, code: "not-found" },
  { pattern: /Permission denied|Operation not permitted/i, code: "permission" },
  { pattern: /Cannot lock port|Resource busy|Device or resource busy|Access(?: is)? denied/i, code: "busy" },
];

/**
 * Opens a serial port exclusively, with DTR and RTS set on purpose: a board may be wired to reset on them, and a USB
 * serial port stays mute without DTR. Throws {@link TransportError} `not-found` (naming the ports that exist), `busy`
 * (naming the program), `permission` (naming the group) or `failed`; abort throws the signal's reason.
 */
export async function openSerial(
  address: Pick<SerialAddress, "path" | "baudRate" | "dtr" | "rts">,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<ByteStream> {
  const { path, baudRate } = address;
  options.signal?.throwIfAborted();
  await refuseWhatIsKnownToFail(path);
  const { SerialPort } = await loadSerialport();
  const port = new SerialPort({ path, baudRate, autoOpen: false, lock: true, hupcl: false });
  const stream = new SerialStream(path, baudRate, port);
  try {
    await done((callback) => port.open(callback)).catch(async (error: Error) => {
      throw await openError(path, error);
    });
    stream.watch();
    await setLines(port, address);
    options.signal?.throwIfAborted();
  } catch (error) {
    await stream.close();
    throw error;
  }
  return stream;
}

/**
 * Opening pulses DTR, which resets some boards, so what can be known is asked first. A program that took no lock
 * (`cat`, most terminals) would otherwise steal half of every answer. The far side of a pseudo-terminal may hold the
 * near side open for good reasons.
 */
async function refuseWhatIsKnownToFail(path: string): Promise<void> {
  if (process.platform !== "linux") return;
  const denied = accessProblem(path);
  if (denied) throw await problemError(path, denied);
  if (realPath(path).startsWith("/dev/pts/")) return;
  const holders = portHolders(path);
  if (holders.length > 0) throw await problemError(path, busyProblem(path, holders));
}

/** The {@link TransportError} for what serialport said when it could not open `path`. */
export async function openError(path: string, cause: Error): Promise<TransportError> {
  const code = OPEN_FAILURES.find(({ pattern }) => pattern.test(cause.message))?.code ?? "failed";
  return problemError(path, problemFor(code, path, cause), cause);
}

function problemFor(code: PortProblem["code"], path: string, cause: Error): PortProblem {
  switch (code) {
    case "not-found":
      return { code, message: `There is no ${path}.`, hint: "Is the board plugged in?" };
    case "busy":
      return busyProblem(path, process.platform === "linux" ? portHolders(path) : []);
    case "permission":
      return {
        code,
        message: `You have no permission to open ${path}.`,
        hint: "Ask the administrator for access to it.",
      };
    case "failed":
      return { code, message: `Cannot open ${path}: ${cause.message}.`, hint: "Is it a serial port?" };
  }
}

async function problemError(path: string, problem: PortProblem, cause?: Error): Promise<TransportError> {
  const hint = problem.code === "not-found" ? `${problem.hint} ${await portsThatExist()}` : problem.hint;
  return new TransportError(problem.code, path, problem.message, { hint, cause });
}

async function portsThatExist(): Promise<string> {
  const ports = await listSerialPorts().catch(() => []);
  if (ports.length === 0) return "This machine has no serial ports.";
  return `Ports here: ${ports.map((port) => `${port.path} (${describePort(port)})`).join(", ")}.`;
}

/**
 * Pseudo-terminals have no modem lines and many USB drivers refuse the call (they lack "break", which serialport sets
 * along). That is harmless for what opening did anyway, both lines on; it is an error when something else was asked for.
 */
async function setLines(
  port: SerialPort,
  wanted: Pick<SerialAddress, "path" | "dtr" | "rts">,
): Promise<void> {
  const { dtr = true, rts = true } = wanted;
  try {
    // Both, always: serialport switches on what is left out.
    await done((callback) => port.set({ dtr, rts }, callback));
  } catch (cause) {
    if (dtr && rts) return;
    const hint = "Omit dtr= and rts= from the address, or use another adapter.";
    throw new TransportError(
      "failed",
      wanted.path,
      `The driver of ${wanted.path} cannot switch DTR and RTS.`,
      { hint, cause },
    );
  }
}

class SerialStream implements ByteStream {
  readonly name: string;
  readonly baudRate: number;
  readonly chunks: ChunkQueue;
  readonly #port: SerialPort;
  #stopWatching = () => {};
  #lost: TransportError | undefined;
  #closed = false;
  #releasing: Promise<void> | undefined;

  constructor(name: string, baudRate: number, port: SerialPort) {
    this.name = name;
    this.baudRate = baudRate;
    this.#port = port;
    // Not throttled: an unplugged device is only noticed while somebody reads.
    this.chunks = new ChunkQueue();
    port.on("data", (chunk: Uint8Array) => this.chunks.push(chunk));
    port.on("error", (error) => this.#lose(error));
    port.on("close", (error?: Error) => this.#lose(error));
  }

  /**
   * If a device vanishes in the moment after opening, serialport can read zero bytes for ever, at full load and without
   * a word (bindings-cpp issue 162). The kernel removes the device file in any case, so that is watched as well.
   */
  watch(): void {
    if (process.platform !== "linux") return;
    this.#stopWatching = watchForRemoval(this.name, () => {
      this.#lose();
      void this.#release();
    });
  }

  explainSilence(): SilenceClue | undefined {
    if (process.platform !== "linux") return undefined;
    const others = otherReaders(this.name);
    if (others.length === 0) return undefined;
    const names = others.map(({ program, pid }) => `${program} (process ${pid})`).join(", ");
    return {
      message: `${names} has the port open too and may have taken the answers.`,
      hint: `Close ${others[0]!.program}, then try again.`,
    };
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#closed) throw new TransportError("failed", this.name, `${this.name} is already closed.`);
    if (this.#lost) throw this.#lost;
    try {
      await done((callback) => this.#port.write(bytes, callback));
    } catch (error) {
      throw this.#lose(error as Error);
    }
  }

  send(bytes: Uint8Array): void {
    // An error of the port is told of by the port.
    if (!this.#closed && !this.#lost) this.#port.write(bytes);
  }

  close(): Promise<void> {
    this.#closed = true;
    this.chunks.end();
    return this.#release();
  }

  #release(): Promise<void> {
    this.#releasing ??= this.#closePort();
    return this.#releasing;
  }

  async #closePort(): Promise<void> {
    this.#stopWatching();
    if (!this.#port.isOpen) return;
    // Closing a port that is gone reports that it is gone.
    await done((callback) => this.#port.close(callback)).catch(() => {});
  }

  #lose(cause?: Error): TransportError {
    const hint = "Was the cable pulled, or did the board restart? Its port may come back under another name.";
    this.#lost ??= new TransportError("lost", this.name, `${this.name} disconnected.`, { hint, cause });
    this.#stopWatching();
    this.chunks.fail(this.#lost);
    return this.#lost;
  }
}

/** A call that reports through a callback, as a promise. */
function done(call: (callback: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => call((error) => (error ? reject(error) : resolve())));
}
