import { createServer, type Socket } from "node:net";
import { Replay, type Replayed } from "../diagnosis/replay.js";
import { consoleFraming } from "../smp/framing/console.js";
import type { Framing } from "../smp/framing/framing.js";
import { rawFraming } from "../smp/framing/raw.js";
import { MessageError } from "../smp/header.js";
import { TransportError } from "../transport/transport.js";
import type { KeptRecord } from "./trace-file.js";

export interface TraceServer {
  readonly port: number;
  close(): Promise<void>;
}

export interface ServeOptions {
  /** On 127.0.0.1; 0 takes a free one. */
  port: number;
  /** Told of every request. */
  onRequest(message: Uint8Array, replayed: Replayed): void;
}

/**
 * Answers from a trace on a TCP port of this machine, each connection from the beginning. The framing is the client's:
 * a first byte of a console marker or a line end is console framing, anything else raw.
 */
export async function serveTrace(
  records: readonly KeptRecord[],
  options: ServeOptions,
): Promise<TraceServer> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    // A client that goes away in the middle is no error of the server's.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    // A client that went away is no error of the server's.
    converse(socket, new Replay(records), options).catch(() => socket.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, "127.0.0.1", resolve);
  }).catch((cause: NodeJS.ErrnoException) => {
    throw new TransportError(
      cause.code === "EADDRINUSE" ? "busy" : "failed",
      `127.0.0.1:${options.port}`,
      `Cannot listen on port ${options.port}: ${cause.message}.`,
      { cause, hint: "Choose another --port, or 0 for a free one." },
    );
  });
  const { port } = server.address() as { port: number };
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** No trace has longer requests: what a client sends beyond it is noise. */
const LIMITS = { maxMessage: 65_533 } as const;

/** Reads on only when the client has taken its answers: one that never reads them fills no memory. */
async function converse(socket: Socket, replay: Replay, { onRequest }: ServeOptions): Promise<void> {
  let framing: Framing | undefined;
  let decoder: ReturnType<Framing["decoder"]> | undefined;
  for await (const chunk of socket as AsyncIterable<Uint8Array>) {
    framing ??= framingOf(chunk[0]);
    decoder ??= framing.decoder(LIMITS);
    for (const received of decoder.push(chunk)) {
      if (received.kind !== "message") continue;
      const replayed = answerTo(replay, received.bytes);
      if (replayed === undefined) continue;
      onRequest(received.bytes, replayed);
      for (const message of replayed.messages)
        if (!socket.write(framing.encode(message))) await taken(socket);
    }
  }
}

/** The client has taken what was written, or is gone. */
function taken(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off("drain", done).off("close", done);
      resolve();
    };
    socket.on("drain", done).on("close", done);
    if (socket.destroyed) done();
  });
}

function framingOf(first: number | undefined): Framing {
  const isConsole = first === 0x06 || first === 0x0a || first === 0x0d;
  return isConsole ? consoleFraming() : rawFraming;
}

function answerTo(replay: Replay, message: Uint8Array): Replayed | undefined {
  try {
    return replay.answer(message);
  } catch (error) {
    // Whole frames may carry what is no message; the recorded device would not have understood it either.
    if (error instanceof MessageError) return undefined;
    throw error;
  }
}
