// A machine of a user's, as a board file starts one: `machine.mjs PORT IMAGE [FLASH]`. Its UART is a TCP port; with a file
// for its flash it keeps that when it is killed.
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { startBoard } from "bootproof";

const [port, image, flashFile] = process.argv.slice(2);
const board = await startBoard({
  machine: "wasm",
  variant: "good",
  install: new Uint8Array(readFileSync(image)),
  ...(flashFile ? { flashFile } : {}),
});
createServer(async (socket) => {
  const uart = await board.connect();
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => void uart.write(chunk).catch(() => socket.destroy()));
  socket.on("close", () => void uart.close());
  try {
    for await (const chunk of uart.chunks) socket.write(chunk);
  } catch {
    socket.destroy();
  }
}).listen(Number(port), "127.0.0.1");
