import { connect, createServer, type Socket } from "node:net";
import { ChunkQueue, type QueuedStream } from "./chunk-queue.js";
import { type Listener, listening, listenProblem } from "./listener.js";
import { type ByteStream, type SilenceClue, TransportError, type TransportErrorCode } from "./transport.js";

export interface TcpOptions {
  signal?: AbortSignal | undefined;
  /** How long to wait for the other side to accept. */
  connectTimeoutMs?: number | undefined;
}

/** errno of a failed connect -> what it means here. A host that never answers counts as not found. */
const CONNECT_FAILURES: Record<string, { code: TransportErrorCode; message: string; hint: string }> = {
  ECONNREFUSED: {
    code: "refused",
    message: "nothing listens there",
    hint: "Start the emulator or the serial server first, and compare the port number.",
  },
  ENOTFOUND: { code: "not-found", message: "no such host", hint: "Check the host name." },
  EAI_AGAIN: {
    code: "not-found",
    message: "the host name cannot be resolved now",
    hint: "Check the network and the host name.",
  },
  EHOSTUNREACH: {
    code: "not-found",
    message: "the host cannot be reached",
    hint: "Check the network and the address.",
  },
  ENETUNREACH: {
    code: "not-found",
    message: "the network cannot be reached",
    hint: "Check the network and the address.",
  },
  ETIMEDOUT: {
    code: "not-found",
    message: "no answer",
    hint: "Check the address, and that no firewall drops the port.",
  },
};

/**
 * Opens a TCP connection to something that carries a UART: QEMU's socket chardev, ser2net in raw mode.
 * Throws {@link TransportError} `refused`, `not-found` or `failed`; abort throws the signal's reason.
 */
export async function openTcp(host: string, port: number, options: TcpOptions = {}): Promise<QueuedStream> {
  const { signal, connectTimeoutMs = 5000 } = options;
  signal?.throwIfAborted();
  const name = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  // Without noDelay, Nagle's algorithm holds a short request back for some 40 ms.
  const socket = connect({ host, port, noDelay: true });
  try {
    await connected(socket, name, connectTimeoutMs, signal);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return new TcpStream(name, socket);
}

/**
 * Waits for others to connect, and hands each connection over as a pipe. `port` 0 takes a free one.
 *
 * @param host - address to listen at
 * @param port - 1 to 65535, or 0
 * @param onPipe - given each connection
 * @returns the address and port that it has; closing it closes every pipe that came through it
 * @throws {@link TransportError} `busy` when the port is taken
 */
export async function listenTcp(
  host: string,
  port: number,
  onPipe: (pipe: ByteStream) => void,
): Promise<Listener> {
  const pipes = new Set<TcpStream>();
  const server = createServer({ noDelay: true }, (socket) => {
    const pipe = new TcpStream(`${socket.remoteAddress}:${socket.remotePort}`, socket);
    pipes.add(pipe);
    socket.once("close", () => pipes.delete(pipe));
    onPipe(pipe);
  });
  server.maxConnections = MOST_CONNECTIONS;
  await listening((done, fail) => server.once("error", fail).listen(port, host, done)).catch(
    (error: Error) => {
      throw listenProblem(host, port, error);
    },
  );
  const address = server.address();
  return {
    host,
    port: typeof address === "object" && address ? address.port : port,
    close: async () => {
      server.close();
      await Promise.all([...pipes].map((pipe) => pipe.close()));
    },
  };
}

const MOST_CONNECTIONS = 32;

function connected(
  socket: Socket,
  name: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      clearTimeout(timer);
      socket.removeAllListeners();
      signal?.removeEventListener("abort", onAbort);
      // A destroyed socket may still report an error; without a listener that would end the process.
      socket.on("error", () => {});
      act();
    };
    const onAbort = () => settle(() => reject(signal?.reason));
    const timer = setTimeout(() => {
      const error = Object.assign(new Error(`no answer within ${timeoutMs} ms`), { code: "ETIMEDOUT" });
      settle(() => reject(connectError(name, error)));
    }, timeoutMs);
    socket.once("connect", () => settle(resolve));
    socket.once("error", (error) => settle(() => reject(connectError(name, error))));
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

function connectError(name: string, cause: Error): TransportError {
  const errno = (cause as NodeJS.ErrnoException).code ?? "";
  const known = CONNECT_FAILURES[errno];
  if (!known)
    return new TransportError("failed", name, `Cannot connect to ${name}: ${cause.message}.`, { cause });
  return new TransportError(known.code, name, `Cannot connect to ${name}: ${known.message}.`, {
    hint: known.hint,
    cause,
  });
}

class TcpStream implements ByteStream {
  readonly name: string;
  readonly chunks: ChunkQueue;
  readonly #socket: Socket;
  #lost: TransportError | undefined;
  #closed = false;
  /** The beginning of what came: a server that turns a client away may say why. */
  #first = "";

  constructor(name: string, socket: Socket) {
    this.name = name;
    this.#socket = socket;
    this.chunks = new ChunkQueue({ pause: () => socket.pause(), resume: () => socket.resume() });
    socket.on("data", (chunk: Uint8Array) => {
      if (this.#first.length < LONGEST_REASON) this.#first += Buffer.from(chunk).toString("latin1");
      this.chunks.push(chunk);
    });
    socket.on("error", (error) => this.#lose(error));
    socket.on("close", () => this.#lose());
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#closed) throw new TransportError("failed", this.name, `${this.name} is already closed.`);
    if (this.#lost) throw this.#lost;
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error ? reject(this.#lose(error)) : resolve()));
    });
  }

  send(bytes: Uint8Array): void {
    // An error of the socket is told of by the socket.
    if (!this.#closed && !this.#lost) this.#socket.write(bytes);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.chunks.end();
    // Bytes already written (a last request) are still sent; an answer is no longer waited for.
    this.#socket.destroySoon();
  }

  explainSilence(): SilenceClue | undefined {
    if (this.#first !== "") return undefined;
    return {
      message: "The server accepted the connection and sent nothing.",
      hint: "Emulators and serial servers often serve one client at a time and make others wait: is another program connected to it?",
    };
  }

  #lose(cause?: Error): TransportError {
    // What was wrong with what came says more than that the connection ended then.
    const { failure } = this.chunks;
    this.#lost ??= failure instanceof TransportError ? failure : this.#whyLost(cause);
    if (!this.#closed) this.chunks.fail(this.#lost);
    return this.#lost;
  }

  #whyLost(cause: Error | undefined): TransportError {
    const { name } = this;
    const reason = this.#first
      .slice(0, LONGEST_REASON)
      .replace(/[^ -~]+/g, " ")
      .trim();
    if (SERVED_ALREADY.test(reason))
      return new TransportError("busy", name, `${name} serves another client: it says "${reason}".`, {
        hint: "Close the other program that is connected to it, then try again.",
        cause,
      });
    if (this.#first === "")
      return new TransportError("lost", name, `${name} closed the connection without sending a byte.`, {
        hint: "Is another program connected? Emulators and serial servers often serve one client at a time. If not, the program behind this port has ended.",
        cause,
      });
    return new TransportError("lost", name, `${name} closed the connection.`, {
      hint: "The emulator or serial server ended the connection.",
      cause,
    });
  }
}

const LONGEST_REASON = 80;
/** ser2net and its like: "Port already in use", "Device is busy", "Too many connections". */
const SERVED_ALREADY = /\bin use\b|\bbusy\b|\btoo many\b|already (open|connected)/i;
