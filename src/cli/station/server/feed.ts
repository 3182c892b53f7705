import type { SSEStreamingApi } from "hono/streaming";
import type { Station } from "../../../station/station.js";

/** Changes of so long are told together, milliseconds: eyes follow no more. */
const GATHER_MS = 250;
/** Proxies and sleeping laptops drop what is silent for long. */
const ALIVE_MS = 20_000;
/** One rack has no more screens. */
const MOST_CLIENTS = 1000;

interface Client {
  readonly stream: SSEStreamingApi;
  isWriting: boolean;
  /** It was still taking earlier news when there was more: it gets the whole view next. */
  isBehind: boolean;
}

/** Tells every open page what changes. Each piece of news is written once and sent to all. */
export class Feed {
  readonly #station: Station;
  readonly #view: () => unknown;
  readonly #clients = new Set<Client>();
  readonly #changed = new Set<string>();
  #isWhole = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #alive: NodeJS.Timeout;
  readonly #stop: () => void;

  /** `view`: all that a page shows before anything changes. */
  constructor(station: Station, view: () => unknown) {
    this.#station = station;
    this.#view = view;
    this.#stop = station.onChange((board) => this.changed(board));
    this.#alive = setInterval(() => this.#send(": alive\n\n"), ALIVE_MS).unref();
  }

  get isFull(): boolean {
    return this.#clients.size >= MOST_CLIENTS;
  }

  /** Without a board, something about the station as a whole changed. */
  changed(board: string | undefined): void {
    if (board === undefined) this.#isWhole = true;
    else this.#changed.add(board);
    this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS);
  }

  /** Serves a page until it leaves. */
  async serve(stream: SSEStreamingApi): Promise<void> {
    const client: Client = { stream, isWriting: false, isBehind: false };
    this.#clients.add(client);
    this.#write(client, this.#wholeView());
    await new Promise<void>((resolve) => stream.onAbort(resolve));
    this.#clients.delete(client);
  }

  close(): void {
    this.#stop();
    clearInterval(this.#alive);
    clearTimeout(this.#timer);
    for (const { stream } of this.#clients) stream.abort();
  }

  #flush(): void {
    this.#timer = undefined;
    const boards = [...this.#changed];
    const isWhole = this.#isWhole;
    this.#changed.clear();
    this.#isWhole = false;
    if (this.#clients.size === 0) return;
    const tiles = boards.flatMap((board) => this.#station.tile(board) ?? []);
    this.#send(isWhole ? this.#wholeView() : message("tiles", tiles));
  }

  #send(text: string): void {
    for (const client of this.#clients) this.#write(client, text);
  }

  #write(client: Client, text: string): void {
    if (client.isWriting) {
      client.isBehind = true;
      return;
    }
    client.isWriting = true;
    void client.stream.write(text).then(() => {
      client.isWriting = false;
      if (!client.isBehind) return;
      client.isBehind = false;
      this.#write(client, this.#wholeView());
    });
  }

  #wholeView(): string {
    return message("view", this.#view());
  }
}

function message(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
