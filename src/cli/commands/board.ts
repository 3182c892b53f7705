import { createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import type { Board, Machine } from "../../emulator/board.js";
import { boardVariants } from "../../emulator/catalog.js";
import { startBoard } from "../../emulator/start.js";
import { type ByteStream, TransportError } from "../../transport/transport.js";
import { type CommonOptions, type Context, commonOptions, inContext, wholeNumber } from "../context.js";
import { followLog } from "../open-board.js";
import { table, tone } from "../output.js";
import { UsageError } from "../usage-error.js";

interface BoardCommandOptions extends CommonOptions {
  list?: boolean;
  flash?: string;
  port: number;
  pty?: boolean;
}

export function define(command: Command): void {
  commonOptions(command.argument("[board]", "wasm:VARIANT or qemu:VARIANT", "wasm:good"))
    .option("--list", "show the variants")
    .option("--flash <file>", "keep the flash in this file")
    .option(
      "--port <number>",
      "TCP port on 127.0.0.1; 0 chooses a free one",
      wholeNumber("--port", { max: 65535 }),
      0,
    )
    .option("--pty", "a serial device instead of a TCP port (QEMU only)")
    .addHelpText(
      "after",
      "\nThe board runs until Ctrl-C. Its log goes to stderr. Other programs can reach it at the printed address.",
    )
    .action((name: string, options: BoardCommandOptions) =>
      inContext(options, (context) => (options.list ? listVariants(context) : serve(name, options, context))),
    );
}

async function listVariants({ out }: Context): Promise<void> {
  const variants = boardVariants();
  const rows = variants.map((variant) => [
    variant.broken.length > 0 ? tone("warn", variant.id) : variant.id,
    variant.summary,
    variant.claims.join(" "),
    tone("bad", variant.broken.join(" ")),
  ]);
  out.result(variants, table(["VARIANT", "WHAT IT IS", "CLAIMS", "WEAK ON PURPOSE"], rows));
}

async function serve(name: string, options: BoardCommandOptions, { out, signal }: Context): Promise<void> {
  const { machine, variant } = readName(name);
  if (options.pty && machine !== "qemu")
    throw new UsageError(
      "Only the QEMU board can offer a serial device.",
      "Omit --pty, or name qemu:VARIANT.",
    );
  const board = await startBoard({ machine, variant, flashFile: options.flash, pty: options.pty });
  try {
    followLog(board, out);
    const shop = options.pty ? undefined : await offer(board, options.port);
    const address = shop === undefined ? `serial:${board.tty}` : `tcp:127.0.0.1:${shop.port}`;
    out.result({ board: name, address }, address);
    out.note(`In another terminal: bootproof info -d ${address}`);
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    await shop?.close();
  } finally {
    await board.close();
  }
}

function readName(name: string): { machine: Machine; variant: string } {
  const [machine, variant = "", ...rest] = name.split(":");
  if ((machine !== "wasm" && machine !== "qemu") || variant === "" || rest.length > 0) {
    throw new UsageError(
      `"${name}" names no emulated board.`,
      "Write wasm:VARIANT or qemu:VARIANT; bootproof board --list shows the variants.",
    );
  }
  return { machine, variant };
}

/** That a client has left is heard a moment after the next one may have come. */
const LEAVES_WITHIN_MS = 500;

/** Offers the board's UART on a TCP port of this machine only, to one client at a time, as a serial cable would. */
async function offer(board: Board, wanted: number): Promise<{ port: number; close(): Promise<void> }> {
  let client: { readonly socket: Socket; readonly gone: Promise<void> } | undefined;
  const admit = async (socket: Socket) => {
    socket.on("error", () => socket.destroy());
    if (client) await Promise.race([client.gone, delay(LEAVES_WITHIN_MS, undefined, { ref: false })]);
    if (client || socket.destroyed) return void socket.destroy();
    const gone = join(socket, board).finally(() => {
      client = undefined;
    });
    client = { socket, gone };
  };
  const server = createServer({ noDelay: true }, (socket) => void admit(socket));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(wanted, "127.0.0.1", resolve);
  }).catch((cause: NodeJS.ErrnoException) => {
    throw new TransportError(
      cause.code === "EADDRINUSE" ? "busy" : "failed",
      `127.0.0.1:${wanted}`,
      `Cannot listen on port ${wanted}: ${cause.message}.`,
      { cause, hint: "Choose another --port, or 0 for a free one." },
    );
  });
  const { port } = server.address() as { port: number };
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        client?.socket.destroy();
        server.close(() => resolve());
      }),
  };
}

async function join(socket: Socket, board: Board): Promise<void> {
  const uart: ByteStream = await board.connect();
  socket.on("close", () => void uart.close());
  const outgoing = (async () => {
    for await (const chunk of socket) await uart.write(chunk as Uint8Array);
  })();
  const incoming = (async () => {
    for await (const chunk of uart.chunks) if (!socket.write(chunk)) await drained(socket);
  })();
  // Whichever side ends first ends both; that it did is no error here.
  await Promise.race([outgoing, incoming]).catch(() => undefined);
  socket.destroy();
  await uart.close();
  await Promise.allSettled([outgoing, incoming]);
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once("drain", resolve);
    socket.once("close", () => resolve());
  });
}
