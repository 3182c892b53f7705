import type { Socket } from "node:net";
import { BoardError } from "./board.js";

/** Longest line QEMU may send us; its answers are a few hundred bytes. */
const LONGEST_LINE = 1024 * 1024;

interface Reply {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** QEMU's machine protocol (docs/interop/qmp-spec): a JSON object a line. Only what a board needs of it. */
export class Qmp {
  readonly #socket: Socket;
  readonly #onEvent: (name: string) => void;
  readonly #waiting = new Map<number, Reply>();
  #next = 1;
  #partial = "";

  /** `socket` as QEMU connected it; commands may be sent before its greeting has come. */
  constructor(socket: Socket, onEvent: (name: string) => void) {
    this.#socket = socket;
    this.#onEvent = onEvent;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => this.#receive(text));
    socket.on("close", () => this.#fail(new BoardError("qemu-failed", "QEMU ended the control connection.")));
  }

  get isClosed(): boolean {
    return this.#socket.destroyed;
  }

  /** What the command returns. Throws {@link BoardError} `qemu-failed`. */
  execute(command: string): Promise<unknown> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      if (this.#socket.destroyed)
        this.#fail(new BoardError("qemu-failed", `QEMU has ended: ${command} was not executed.`));
      else this.#socket.write(`${JSON.stringify({ execute: command, id })}\n`);
    });
  }

  #receive(text: string): void {
    const lines = (this.#partial + text).split("\n");
    this.#partial = lines.pop()!;
    if (this.#partial.length > LONGEST_LINE) this.#socket.destroy();
    for (const line of lines) if (line.trim() !== "") this.#take(JSON.parse(line) as Message);
  }

  #take(message: Message): void {
    if (message.event !== undefined) this.#onEvent(message.event);
    if (message.id === undefined) return;
    const reply = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.error) reply?.reject(new BoardError("qemu-failed", `QEMU refused: ${message.error.desc}`));
    else reply?.resolve(message.return);
  }

  #fail(error: Error): void {
    for (const reply of this.#waiting.values()) reply.reject(error);
    this.#waiting.clear();
  }
}

interface Message {
  event?: string;
  id?: number;
  return?: unknown;
  error?: { desc: string };
}
