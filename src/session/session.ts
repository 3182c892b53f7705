import type { Client } from "../client/client.js";

/** Opens the way to the board anew. Throws what `openStream` and `connect` throw. */
export type OpenClient = (signal: AbortSignal | undefined) => Promise<Client>;

/** Asks whoever answers whether it is the board of before; throws when it is another one, or what talking to it throws. */
export type Recognise = (client: Client, signal: AbortSignal | undefined) => Promise<void>;

/**
 * One board under one address, over resets and lost links: the client that speaks to it now, and how to get another.
 */
export class Session {
  readonly #open: OpenClient;
  #client: Client;
  readonly #recognisers: Recognise[] = [];
  #isProven = true;

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
    this.#isProven = false;
    return this.#client;
  }

  /**
   * From here on a board that answers over a link that was opened again is asked who it is: the name of a port is given to
   * whoever is plugged in next. All that were given ask, the last one first.
   *
   * @param recognise - throws when it is another board
   * @returns takes it back
   */
  expect(recognise: Recognise): () => void {
    this.#recognisers.push(recognise);
    return () => {
      const at = this.#recognisers.lastIndexOf(recognise);
      if (at >= 0) this.#recognisers.splice(at, 1);
    };
  }

  /**
   * Asks a board that answers over a link that was opened again, once.
   *
   * @param signal - aborts with its own reason
   * @throws what the recognisers throw: OtherBoardError; TransportError, RequestTimeout when it does not answer after all
   */
  async mustBeSame(signal?: AbortSignal): Promise<void> {
    if (this.#isProven) return;
    for (const recognise of this.#recognisers.toReversed()) await recognise(this.#client, signal);
    this.#isProven = true;
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}
