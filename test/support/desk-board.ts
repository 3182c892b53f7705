import { createServer as createWebServer } from "node:http";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { startBoard } from "bootproof";
import type { Board } from "bootproof/boards";
import { BadCable, type Fault } from "./workflow-wire.js";

/** A board as on a desk: its UART is a TCP port or a serial one, its power switch and its reset button are web addresses. */
export interface DeskBoard {
  readonly board: Board;
  /** Of the TCP port, for boards without a serial one. */
  readonly port: number;
  /** `…/power/1`, `…/power/0` and `…/reset`. */
  readonly switches: string;
  /** What was switched so far: `1`, `0`, `reset`. */
  readonly switched: readonly string[];
  /** A command line for a shell that switches. */
  hook(what: "power/1" | "power/0" | "reset"): string;
  stop(): Promise<void>;
}

/** `serial`: in QEMU, whose UART is then `board.tty`. `cable`: what happens to each message on the TCP port. */
export async function startDeskBoard(
  variant: string,
  image: Uint8Array,
  { serial = false, cable }: { serial?: boolean; cable?: Fault } = {},
): Promise<DeskBoard> {
  const how = serial ? ({ machine: "qemu", pty: true } as const) : ({ machine: "wasm" } as const);
  const board = await startBoard({ ...how, variant, install: image });
  await board.log.waitFor(/started/, { from: 0 });
  // One after the other, as with a real cable.
  let turn: Promise<void> = Promise.resolve();
  const uart = createServer((socket) => {
    turn = turn.then(() => bridge(board, socket, cable));
  });
  const switched: string[] = [];
  const web = createWebServer((request, response) => {
    const asked = /\/(\w+)$/.exec(request.url ?? "")?.[1] ?? "";
    switched.push(asked);
    const act = asked === "1" ? board.powerOn() : asked === "0" ? board.powerOff() : board.reset();
    act.then(
      () => response.end("1"),
      () => response.writeHead(500).end(),
    );
  });
  const port = await listen(uart);
  const switches = `http://127.0.0.1:${await listen(web)}`;
  return {
    board,
    port,
    switches,
    switched,
    hook: (what) => `curl --fail --silent --show-error --output /dev/null ${switches}/${what}`,
    stop: async () => {
      uart.close();
      web.close();
      web.closeAllConnections();
      await board.close();
    },
  };
}

async function listen(server: {
  listen(port: number, host: string, done: () => void): unknown;
  address(): unknown;
}) {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

/** Ends, without a word, when either side does. */
async function bridge(board: Board, socket: Socket, cable: Fault | undefined): Promise<void> {
  const port = await board.connect();
  const uart = cable ? new BadCable(port, cable) : port;
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: Uint8Array) => void uart.write(chunk).catch(() => socket.destroy()));
  socket.on("close", () => void uart.close());
  try {
    for await (const chunk of uart.chunks) socket.write(chunk);
  } catch {
    socket.destroy();
  }
  await uart.close();
}
