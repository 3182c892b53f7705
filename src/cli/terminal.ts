import { setTimeout as delay } from "node:timers/promises";
import { Client, type ClientOptions } from "../client/client.js";
import { consoleFraming } from "../smp/framing/console.js";
import { ConsoleText } from "../smp/framing/console-text.js";
import { type ByteStream, TransportError } from "../transport/transport.js";

export interface TerminalOptions {
  /** Opens the wire, at first and when it went away. */
  open(signal: AbortSignal): Promise<ByteStream>;
  /** What the device said, as it said it, without SMP frames. */
  onText(text: string): void;
  /** The wire is open, for the first time or again. */
  onOpen(name: string): void;
  onAway(why: string): void;
  client?: Pick<ClientOptions, "trace" | "timeoutMs">;
  signal: AbortSignal;
}

/** Reasons to wait for a wire that was there before, such as a USB port that is being set up anew. */
const PASSING: readonly string[] = ["not-found", "busy", "permission", "refused", "lost", "failed"];
const REOPEN_MS = 200;

/**
 * A terminal on a device's wire: text goes both ways, and SMP beside it through {@link Terminal.client}. A wire that goes
 * away is opened again when it is back.
 */
export class Terminal {
  readonly #options: TerminalOptions;
  #stream: ByteStream | undefined;
  #client: Client | undefined;

  constructor(options: TerminalOptions) {
    this.#options = options;
  }

  /** Speaks SMP on the wire; undefined while it is away. */
  get client(): Client | undefined {
    return this.#client;
  }

  /** Carries text until the signal ends it. Throws what the first opening throws. */
  async run(): Promise<void> {
    const { signal, open } = this.#options;
    let stream = await open(signal);
    try {
      for (;;) {
        this.#options.onOpen(stream.name);
        const why = await this.#carry(stream);
        if (signal.aborted) return;
        this.#options.onAway(why);
        const again = await this.#reopen();
        if (again === undefined) return;
        stream = again;
      }
    } finally {
      await this.#client?.close();
    }
  }

  /** Types bytes to the device. While the wire is away they are lost, as on any cable. */
  async type(bytes: Uint8Array): Promise<void> {
    try {
      await this.#stream?.write(bytes);
    } catch (error) {
      // The reading side notices the same and waits for the wire.
      if (!(error instanceof TransportError)) throw error;
    }
  }

  /** Resolves with the reason when the wire is gone, or when the signal ended it. */
  async #carry(stream: ByteStream): Promise<string> {
    const { signal, client } = this.#options;
    let ended = (_why: string) => {};
    const over = new Promise<string>((resolve) => {
      ended = resolve;
    });
    const stop = () => ended("");
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    this.#stream = stream;
    const tapped = tap(stream, (chunk) => this.#options.onText(chunk), ended);
    this.#client = new Client(tapped, { ...client, framing: consoleFraming() });
    const why = await over;
    signal.removeEventListener("abort", stop);
    await this.#client.close();
    this.#stream = undefined;
    return why;
  }

  async #reopen(): Promise<ByteStream | undefined> {
    const { signal, open } = this.#options;
    for (;;) {
      await delay(REOPEN_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return undefined;
      try {
        return await open(signal);
      } catch (error) {
        if (signal.aborted) return undefined;
        if (!(error instanceof TransportError) || !PASSING.includes(error.code)) throw error;
      }
    }
  }
}

/** The same wire, with a listener to its text and to its end. */
function tap(stream: ByteStream, onText: (text: string) => void, onEnd: (why: string) => void): ByteStream {
  const frames = new ConsoleText();
  const decoder = new TextDecoder();
  async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
    try {
      for await (const chunk of stream.chunks) {
        const text = decoder.decode(frames.push(chunk), { stream: true });
        if (text !== "") onText(text);
        yield chunk;
      }
      onEnd(`${stream.name} is closed.`);
    } catch (error) {
      onEnd((error as Error).message);
      throw error;
    }
  }
  return {
    name: stream.name,
    write: (bytes) => stream.write(bytes),
    close: () => stream.close(),
    chunks: chunks(),
  };
}
