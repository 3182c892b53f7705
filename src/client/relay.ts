import { equalConstantTime } from "../bytes.js";
import { BootproofError } from "../errors.js";
import { CborError, encodeCbor } from "../smp/cbor.js";
import { consoleFraming } from "../smp/framing/console.js";
import { datagramFraming } from "../smp/framing/datagram.js";
import type { Framing } from "../smp/framing/framing.js";
import { rawFraming } from "../smp/framing/raw.js";
import { type Header, joinMessage, MessageError, readMessage } from "../smp/header.js";
import { decodePayload } from "../smp/message.js";
import { TOKEN_REFUSED } from "../transport/bridge-token.js";
import { type ByteStream, TransportError } from "../transport/transport.js";
import type { Client } from "./client.js";
import { windowSizes } from "./flow-control.js";

export interface GuestOptions {
  /** What a guest has to say first, in a line or a datagram of its own. Absent: nothing. */
  token?: string | undefined;
  /** Who serves from now on: another relay when the way to the board was made anew. Default: this one. */
  relay?: (() => Relay) | undefined;
  /** A guest who says nothing for so long is sent away, ms. Default: never. */
  idleMs?: number | undefined;
}

/**
 * Stands between guests and the board: hands back what `pass` brings, or an answer of its own. `guest`: the name of the
 * pipe that the request came by.
 */
export type Intercept = (
  message: Uint8Array,
  guest: string,
  pass: () => Promise<Uint8Array>,
) => Promise<Uint8Array>;

/** Why a guest is no longer served. */
export type GuestEnd =
  | "left"
  | "wrong-token"
  /** It began like HTTP: a browser, which any web page can have connect here. Nothing of it was read as SMP. */
  | "http"
  | "idle";

/** How long a guest's request may stay unanswered: a first chunk erases. The guest repeats it when he thinks fit. */
const PATIENCE_MS = 40_000;
/** After this silence the next request may go out: the one before is lost, or the board is busy and buffers it. */
const SLOT_MS = 2500;
/** Requests of one guest that may wait; more are dropped, as by a board without buffers. */
const MOST_WAITING = 32;
const EMSGSIZE = 7;
const PARAMS = { group: 0, id: 6 } as const;

/**
 * Lets several programs speak to one board at the same time: each request gets a number of ours on its way to the board and
 * its own back with the answer. What a guest is told of the board's buffers holds for the guest's own framing.
 */
export class Relay {
  readonly #client: Client;
  readonly #lost: (error: TransportError) => void;
  readonly #intercept: Intercept | undefined;
  #free: number;
  #waiting: (() => void)[] = [];

  /** `lost`: called when the way to the board is gone; guests' requests stay unanswered until they are asked again. */
  constructor(client: Client, lost: (error: TransportError) => void, intercept?: Intercept) {
    this.#intercept = intercept;
    this.#client = client;
    this.#lost = lost;
    this.#free = windowSizes(client.server, client.framing.name).safe;
  }

  /** Serves one guest until it leaves, falls silent for `idleMs`, is wrong about the token or begins like HTTP. */
  async serve(guest: ByteStream, options: GuestOptions = {}): Promise<GuestEnd> {
    const { relay = () => this } = options;
    const leaving = new AbortController();
    const speaker = new Speaker(guest, options.token);
    let waiting = 0;
    let isIdle = false;
    const sendAway = () => {
      isIdle = true;
      void guest.close();
    };
    const { idleMs } = options;
    const idle = idleMs === undefined ? undefined : setTimeout(sendAway, idleMs).unref();
    try {
      for await (const chunk of guest.chunks) {
        idle?.refresh();
        for (const message of speaker.receive(chunk)) {
          if (waiting >= MOST_WAITING) continue;
          waiting++;
          void relay()
            .#answer(message, speaker, leaving.signal)
            .finally(() => waiting--);
        }
        if (speaker.isHttp) return "http";
        if (speaker.isWrong) {
          // Whoever mistyped it should not have to guess why nothing answers.
          await guest.write(WRONG_TOKEN);
          return "wrong-token";
        }
      }
      return isIdle ? "idle" : "left";
    } catch {
      // The guest went away; the board and the other guests do not care.
      return isIdle ? "idle" : "left";
    } finally {
      clearTimeout(idle);
      leaving.abort();
      await guest.close();
    }
  }

  async #answer(message: Uint8Array, speaker: Speaker, signal: AbortSignal): Promise<void> {
    try {
      const pass = () => this.#ask(message, signal);
      const answer = await (this.#intercept?.(message, speaker.name, pass) ?? pass());
      await speaker.say(this.#inGuestsTerms(answer, speaker.framing));
    } catch (error) {
      if (error instanceof TransportError && error.pipe === this.#client.name) this.#lost(error);
      // Otherwise silence: it is what the board itself would have answered with, and who has left hears nothing any more.
      else if (!(error instanceof BootproofError || signal.aborted)) throw error;
    }
  }

  async #ask(message: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const { header } = readMessage(message);
    if (header.op !== "read" && header.op !== "write") return message.subarray(0, 0);
    if (message.length > this.#client.largestMessage) return refusal(header);
    const release = await this.#slot();
    try {
      return await this.#client.relay(message, { signal, timeoutMs: PATIENCE_MS });
    } finally {
      release();
    }
  }

  /** A place among the requests under way; it is given back at the latest when a board would long have answered. */
  async #slot(): Promise<() => void> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free--;
    let isHeld = true;
    const release = () => {
      clearTimeout(timer);
      if (!isHeld) return;
      isHeld = false;
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    };
    const timer = setTimeout(release, this.#client.beforeRepeatMs(SLOT_MS));
    return release;
  }

  /** The board counts length and CRC of console framing as part of its buffer; a guest by UDP must not. */
  #inGuestsTerms(answer: Uint8Array, framing: Framing): Uint8Array {
    const { header, payload } = readMessage(answer);
    if (header.group !== PARAMS.group || header.id !== PARAMS.id) return answer;
    const fields = fieldsOf(payload);
    if (typeof fields?.buf_size !== "number") return answer;
    const overhead = SOME_SIZE - framing.largestMessage(SOME_SIZE);
    return joinMessage(header, encodeCbor({ ...fields, buf_size: this.#client.largestMessage + overhead }));
  }
}

/** Any that fits a datagram: what a framing takes of a buffer does not depend on its size. */
const SOME_SIZE = 1024;

function refusal(header: Header): Uint8Array {
  const op = header.op === "read" ? "read-rsp" : "write-rsp";
  return joinMessage({ ...header, op }, encodeCbor({ rc: EMSGSIZE }));
}

function fieldsOf(payload: Uint8Array): Record<string, unknown> | undefined {
  try {
    return decodePayload(payload);
  } catch (error) {
    if (error instanceof CborError) return undefined;
    throw error;
  }
}

const LF = 0x0a;
const WRONG_TOKEN = new TextEncoder().encode(TOKEN_REFUSED);
/** What SMP begins with: a console frame, or the raw header, whose first byte holds version and op. Never a letter. */
const beginsLikeHttp = (first: number) => first >= 0x41 && first <= 0x5a;

/** What one guest says, and in which framing: whichever his first message is in. */
class Speaker {
  isWrong = false;
  isHttp = false;
  #hasBegun = false;
  readonly #guest: ByteStream;
  readonly #decoders;
  #framing: Framing | undefined;
  #token: Uint8Array | undefined;
  #held: Uint8Array = new Uint8Array(0);

  constructor(guest: ByteStream, token: string | undefined) {
    this.#guest = guest;
    this.#token = token === undefined ? undefined : Buffer.from(token, "utf8");
    const framings =
      guest.maxDatagram === undefined ? [consoleFraming(), rawFraming] : [datagramFraming(guest.maxDatagram)];
    this.#decoders = framings.map((framing) => ({ framing, decoder: framing.decoder() }));
  }

  get name(): string {
    return this.#guest.name;
  }

  get framing(): Framing {
    return this.#framing ?? this.#decoders[0]!.framing;
  }

  receive(chunk: Uint8Array): Uint8Array[] {
    const bytes = this.#token ? this.#pastToken(chunk) : chunk;
    const messages: Uint8Array[] = [];
    if (bytes.length === 0) return messages;
    // Only streams: no web page can send a datagram. One byte tells, so nothing has reached a decoder yet.
    if (!this.#hasBegun && this.#guest.maxDatagram === undefined) this.isHttp = beginsLikeHttp(bytes[0]!);
    this.#hasBegun = true;
    if (this.isHttp) return messages;
    for (const { framing, decoder } of this.#decoders) {
      if (this.#framing && this.#framing !== framing) continue;
      for (const received of decoder.push(bytes)) {
        if (received.kind !== "message" || !isRequest(received.bytes)) continue;
        this.#framing = framing;
        this.#guest.keep?.();
        messages.push(received.bytes);
      }
    }
    return messages;
  }

  say(message: Uint8Array): Promise<void> {
    return this.#guest.write(this.framing.encode(message));
  }

  /** The token stands in a line or a datagram of its own; what comes behind it is for the board. */
  #pastToken(chunk: Uint8Array): Uint8Array {
    const token = this.#token!;
    const all = Uint8Array.from([...this.#held, ...chunk.subarray(0, token.length + 2)]);
    const end = all.indexOf(LF);
    const isWhole = end >= 0 || this.#guest.maxDatagram !== undefined;
    if (!isWhole && all.length <= token.length) {
      this.#held = all;
      return new Uint8Array(0);
    }
    const said = all.subarray(0, end < 0 ? all.length : end);
    const isRight = said.length === token.length && equalConstantTime(said, token);
    this.isWrong = !isRight;
    if (!isRight) return new Uint8Array(0);
    this.#token = undefined;
    return end < 0 ? new Uint8Array(0) : chunk.subarray(end + 1 - this.#held.length);
  }
}

/** Noise heard as raw may look like a message; a request it is only with an op and flags that requests have. */
function isRequest(message: Uint8Array): boolean {
  try {
    const { header } = readMessage(message);
    return header.op === "read" || header.op === "write";
  } catch (error) {
    if (error instanceof MessageError) return false;
    throw error;
  }
}
