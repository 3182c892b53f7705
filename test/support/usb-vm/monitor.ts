import type { Socket } from "node:net";
import { createInterface } from "node:readline";

interface Reply {
  readonly id?: number;
  readonly event?: string;
  readonly data?: unknown;
  readonly error?: { readonly desc: string };
  readonly return?: unknown;
}

/** QEMU's control line (docs/interop/qmp-spec), with arguments and events: how devices are plugged and pulled. */
export class Monitor {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  readonly #listeners = new Set<(name: string, data: unknown) => void>();
  #next = 1;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => {});
    createInterface({ input: socket }).on("line", (line) => this.#hear(JSON.parse(line) as Reply));
  }

  static async greet(socket: Socket): Promise<Monitor> {
    const monitor = new Monitor(socket);
    await monitor.execute("qmp_capabilities");
    return monitor;
  }

  /** Throws with QEMU's own words. */
  async execute(command: string, words: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const id = this.#next++;
    const reply = new Promise<Reply>((resolve) => this.#waiting.set(id, resolve));
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: words, id })}\n`);
    const { error, return: value } = await reply;
    if (error) throw new Error(`QEMU refused ${command}: ${error.desc}`);
    return value;
  }

  onEvent(listener: (name: string, data: unknown) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #hear(reply: Reply): void {
    if (reply.event !== undefined) for (const tell of this.#listeners) tell(reply.event, reply.data);
    if (reply.id === undefined) return;
    const take = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    take?.(reply);
  }
}
