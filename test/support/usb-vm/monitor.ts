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
  readonly #waiting = new Map<number, { take(reply: Reply): void; lose(error: Error): void }>();
  readonly #onDeleted = new Map<string, () => void>();
  #next = 1;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => {});
    socket.on("close", () => {
      for (const { lose } of this.#waiting.values()) lose(new Error("QEMU is gone"));
      this.#waiting.clear();
    });
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
    const reply = new Promise<Reply>((take, lose) => this.#waiting.set(id, { take, lose }));
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: words, id })}\n`);
    const { error, return: value } = await reply;
    if (error) throw new Error(`QEMU refused ${command}: ${error.desc}`);
    return value;
  }

  /** Pulls a device out of the machine for good; resolves when it is gone. */
  async remove(id: string): Promise<void> {
    const gone = new Promise<void>((resolve) => {
      this.#onDeleted.set(id, resolve);
    });
    await this.execute("device_del", { id });
    await gone;
  }

  #hear(reply: Reply): void {
    if (reply.event === "DEVICE_DELETED") this.#deleted((reply.data as { device?: string }).device);
    if (reply.id === undefined) return;
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    waiting?.take(reply);
  }

  #deleted(id: string | undefined): void {
    if (id === undefined) return;
    this.#onDeleted.get(id)?.();
    this.#onDeleted.delete(id);
  }
}
