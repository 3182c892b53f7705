import { createSocket, type RemoteInfo, type Socket, type SocketOptions } from "node:dgram";
import { ChunkQueue, type QueuedStream } from "./chunk-queue.js";
import { type Listener, listening, listenProblem } from "./listener.js";
import { type ByteStream, TransportError } from "./transport.js";

/** What an Ethernet frame of 1500 bytes leaves for data after the headers of IP and UDP; smpclient reckons the same. */
const MAX_DATAGRAM = { 4: 1472, 6: 1452 } as const;

export interface UdpOptions {
  signal?: AbortSignal | undefined;
}

/**
 * Datagrams to and from one SMP server. Nothing is sent yet, so nobody being there shows only later. What others send to
 * our port the kernel drops. Throws {@link TransportError} `not-found` for a host name that means nothing.
 */
export async function openUdp(host: string, port: number, options: UdpOptions = {}): Promise<QueuedStream> {
  const { signal } = options;
  signal?.throwIfAborted();
  const name = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const address = await addressOf(host, name);
  signal?.throwIfAborted();
  const family = address.includes(":") ? 6 : 4;
  const socket = createSocket({ type: family === 6 ? "udp6" : "udp4", lookup: inFigures });
  try {
    await connected(socket, port, address, name);
    return new UdpStream(name, socket, MAX_DATAGRAM[family]);
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** Senders that are kept apart; the one that was silent for longest makes room. */
const MOST_SENDERS = 64;

/**
 * Takes datagrams from anybody, and hands each sender over as a pipe of its own when it is first heard. `port` 0
 * takes a free one.
 *
 * @param host - address to listen at
 * @param port - 1 to 65535, or 0
 * @param onPipe - given each sender when it is first heard
 * @returns the address and port that it has; closing it closes every pipe that came through it
 * @throws {@link TransportError} `busy` when the port is taken
 */
export async function listenUdp(
  host: string,
  port: number,
  onPipe: (pipe: ByteStream) => void,
): Promise<Listener> {
  const family = host.includes(":") ? 6 : 4;
  const socket = createSocket({ type: family === 6 ? "udp6" : "udp4" });
  const senders = new Map<string, SenderStream>();
  socket.on("message", (datagram, from) => {
    const name = `${from.address}:${from.port}`;
    const known = senders.get(name);
    const forget = () => senders.delete(name);
    const sender =
      known ?? new SenderStream(name, socket, from, { maxDatagram: MAX_DATAGRAM[family], forget });
    // Last in the map is heard last.
    senders.delete(name);
    senders.set(name, sender);
    // Strangers go before those who have shown who they are.
    const byWorth = [...senders.values()].sort((a, b) => Number(a.isKept) - Number(b.isKept));
    for (const stream of byWorth.slice(0, -MOST_SENDERS)) void stream.close();
    if (!senders.has(name)) return;
    sender.chunks.push(datagram);
    if (!known) onPipe(sender);
  });
  await listening((done, fail) => socket.once("error", fail).bind(port, host, done)).catch((error: Error) => {
    socket.close();
    throw listenProblem(host, port, error);
  });
  // That an answer could not be delivered is the sender's loss.
  socket.removeAllListeners("error").on("error", () => {});
  return {
    host,
    port: socket.address().port,
    close: async () => {
      await Promise.all([...senders.values()].map((sender) => sender.close()));
      socket.close();
    },
  };
}

/** One sender of datagrams to a port of ours. */
class SenderStream implements ByteStream {
  readonly name: string;
  readonly chunks = new ChunkQueue();
  readonly maxDatagram: number;
  readonly #socket: Socket;
  readonly #to: RemoteInfo;
  readonly #forget: () => void;
  #closed = false;
  isKept = false;

  constructor(
    name: string,
    socket: Socket,
    to: RemoteInfo,
    { maxDatagram, forget }: { maxDatagram: number; forget: () => void },
  ) {
    this.name = name;
    this.maxDatagram = maxDatagram;
    this.#forget = forget;
    this.#socket = socket;
    this.#to = to;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      this.#socket.send(bytes, this.#to.port, this.#to.address, () => resolve());
    });
  }

  keep(): void {
    this.isKept = true;
  }

  /** The next datagram from there begins anew: a wrong token does not lock the port that it came from. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#forget();
    this.chunks.end();
  }
}

/** Addresses are in figures here already, and the module that would look names up takes a tenth of a short run to load. */
const inFigures: NonNullable<SocketOptions["lookup"]> = (address, options, done) => {
  // A family's number, whatever the types say.
  const family = typeof options === "number" ? options : (options.family as number);
  done(null, address, family);
};

/** An IPv4 address in figures. */
const IN_FIGURES = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

async function addressOf(host: string, name: string): Promise<string> {
  if (IN_FIGURES.test(host)) return host;
  try {
    const { lookup } = await import("node:dns/promises");
    return (await lookup(host)).address;
  } catch (cause) {
    throw new TransportError("not-found", name, `Cannot reach ${name}: no such host.`, {
      hint: "Check the host name.",
      cause,
    });
  }
}

function connected(socket: Socket, port: number, address: string, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", (cause) =>
      reject(
        new TransportError("failed", name, `Cannot send to ${name}: ${cause.message}.`, {
          hint: "Check the network and the address.",
          cause,
        }),
      ),
    );
    socket.connect(port, address, () => {
      socket.removeAllListeners("error");
      resolve();
    });
  });
}

class UdpStream implements ByteStream {
  readonly name: string;
  readonly chunks = new ChunkQueue();
  readonly maxDatagram: number;
  readonly #socket: Socket;
  #lost: TransportError | undefined;
  #closed = false;

  constructor(name: string, socket: Socket, maxDatagram: number) {
    this.name = name;
    this.maxDatagram = maxDatagram;
    this.#socket = socket;
    // Each datagram is a chunk of its own: chunks are never joined on the way.
    socket.on("message", (datagram) => this.chunks.push(datagram));
    socket.on("error", (error) => this.#lose(error));
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new TransportError("failed", this.name, `${this.name} is already closed.`);
      if (this.#lost) throw this.#lost;
      this.#socket.send(bytes, (error) => (error ? reject(this.#lose(error)) : resolve()));
    });
  }

  send(bytes: Uint8Array): void {
    if (!this.#closed && !this.#lost) this.#socket.send(bytes, this.#sent);
  }

  readonly #sent = (error: Error | null): void => {
    if (error) this.#lose(error);
  };

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.chunks.end();
    this.#socket.close();
  }

  /** The kernel reports on a later call that the machine over there said nobody listens. */
  #lose(cause: Error): TransportError {
    const refused = (cause as NodeJS.ErrnoException).code === "ECONNREFUSED";
    const message = refused
      ? `Nothing listens at ${this.name}.`
      : `The network connection to ${this.name} is lost: ${cause.message}.`;
    const hint = refused
      ? "Is the board's network up, and is this its SMP port (1337 unless set otherwise)?"
      : "Check the network and the address.";
    this.#lost ??= new TransportError(refused ? "refused" : "lost", this.name, message, { hint, cause });
    if (!this.#closed) this.chunks.fail(this.#lost);
    return this.#lost;
  }
}
