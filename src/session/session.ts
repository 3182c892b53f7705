import type { Client } from "../client/client.js";

/** Opens the way to the board anew. Throws what `openStream` and `connect` throw. */
export type OpenClient = (signal: AbortSignal | undefined) => Promise<Client>;

/**
 * One board under one address, over resets and lost links: the client that speaks to it now, and how to get another.
 */
export class Session {
  readonly #open: OpenClient;
  #client: Client;

  private constructor(open: OpenClient, client: Client) {
    this.#open = open;
    this.#client = client;
  }

  static async open(open: OpenClient, signal?: AbortSignal): Promise<Session> {
    return new Session(open, await open(signal));
  }

  get client(): Client {
    return this.#client;
  }

  /** Lets go of the pipe, which may be dead, and opens it again. */
  async reopen(signal?: AbortSignal): Promise<Client> {
    await this.#client.close();
    this.#client = await this.#open(signal);
    return this.#client;
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}
