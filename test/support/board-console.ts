import type { Board } from "../../src/emulator/board.js";
import type { ByteStream } from "../../src/transport/transport.js";
import { frame, unframe } from "./board-frames.js";

/** One who types SMP into a board's UART: a request at a time, the first whole answer back. */
export class BoardConsole {
  readonly #stream: ByteStream;
  #heard: Uint8Array[] = [];
  #wake: () => void = () => {};
  #failure: unknown;

  private constructor(stream: ByteStream) {
    this.#stream = stream;
    void this.#listen();
  }

  static async on(board: Board): Promise<BoardConsole> {
    return BoardConsole.over(await board.connect());
  }

  static over(stream: ByteStream): BoardConsole {
    return new BoardConsole(stream);
  }

  async ask(message: string): Promise<{ hex: string; body: Record<string, unknown> }> {
    this.#heard = [];
    await this.send(message);
    for (;;) {
      const answer = unframe(Buffer.concat(this.#heard));
      if (answer) return answer;
      if (this.#failure) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async send(message: string): Promise<void> {
    // A reset may have swallowed the middle of an earlier line.
    await this.#stream.write(Buffer.concat([Buffer.from("\n"), frame(message)]));
  }

  /** Lets another connect. */
  async close(): Promise<void> {
    await this.#stream.close();
  }

  async #listen(): Promise<void> {
    try {
      for await (const chunk of this.#stream.chunks) {
        this.#heard.push(chunk);
        this.#wake();
      }
    } catch (error) {
      this.#failure = error;
      this.#wake();
    }
  }
}
