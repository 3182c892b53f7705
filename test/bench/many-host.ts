import { createServer, type Socket } from "node:net";
import type { ByteStream } from "../../src/transport/transport.js";
import { subject } from "./subject.js";

/** A process of its own: boards behind lines of so many baud, each a TCP port. Prints the ports; ends with its stdin. */

const [count, baud] = process.argv.slice(2).map(Number) as [number, number];
const MS_A_BYTE = 10_000 / baud;

/** Hands bytes on at the line's pace. The end of each piece is reckoned from the last one's, so that no time is lost to timers. */
function paced(send: (bytes: Uint8Array) => void): (bytes: Uint8Array) => void {
  let freeAt = 0;
  return (bytes) => {
    freeAt = Math.max(performance.now(), freeAt) + bytes.length * MS_A_BYTE;
    setTimeout(() => send(bytes), freeAt - performance.now());
  };
}

async function serve(socket: Socket, open: () => Promise<ByteStream>): Promise<void> {
  const uart = await open();
  const toBoard = paced((bytes) => void uart.write(bytes).catch(() => socket.destroy()));
  const toHost = paced((bytes) => void socket.write(bytes));
  socket.setNoDelay(true);
  socket.on("data", toBoard);
  socket.on("error", () => socket.destroy());
  socket.on("close", () => void uart.close());
  for await (const chunk of uart.chunks) toHost(Uint8Array.from(chunk));
}

const ports = await Promise.all(
  Array.from({ length: count }, async () => {
    const board = await subject.startBoard({
      machine: "wasm",
      variant: "good",
      buffers: { bufSize: 1024, bufCount: 4 },
    });
    const server = createServer(
      (socket) => void serve(socket, () => board.connect()).catch(() => socket.destroy()),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return (server.address() as { port: number }).port;
  }),
);
console.log(JSON.stringify(ports));
process.stdin.resume().once("end", () => process.exit(0));
