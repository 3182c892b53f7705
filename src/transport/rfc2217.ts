import { concat, putU32be, u8, u32be } from "../bytes.js";
import type { Rfc2217Address } from "./address.js";
import { ChunkQueue } from "./chunk-queue.js";
import { openTcp } from "./tcp.js";
import { encodeSub, encodeVerb, escapeData, TELNET_OPTIONS, TelnetDecoder, type Verb } from "./telnet.js";
import { type ByteStream, TransportError } from "./transport.js";

/** Commands of a client, RFC 2217 section 3; a server answers with 100 more. */
const SET = { baudRate: 1, dataSize: 2, parity: 3, stopSize: 4, control: 5 } as const;
const FROM_SERVER = 100;
const FLOW_SUSPEND = FROM_SERVER + 8;
const FLOW_RESUME = FROM_SERVER + 9;
/** Values of SET.control. */
const CONTROL = { noFlowControl: 1, dtrOn: 8, dtrOff: 9, rtsOn: 11, rtsOff: 12 } as const;
const NO_PARITY = 1;

/** Options that a transparent line needs on both sides, and nothing else is agreed to. */
const AGREED: ReadonlySet<number> = new Set([
  TELNET_OPTIONS.binary,
  TELNET_OPTIONS.suppressGoAhead,
  TELNET_OPTIONS.comPort,
]);

export interface Rfc2217Options {
  signal?: AbortSignal | undefined;
  /** How long to wait for the server to agree and to set the line. Default 3000. */
  answerTimeoutMs?: number | undefined;
}

/**
 * Opens a serial port of another machine through a server as ser2net: 8N1, no flow control, the baud rate and DTR and RTS
 * set over there. Throws {@link TransportError}: as TCP does; `failed` when the server speaks no RFC 2217, or sets
 * another baud rate than it was asked for.
 */
export async function openRfc2217(
  address: Rfc2217Address,
  options: Rfc2217Options = {},
): Promise<ByteStream> {
  const { signal, answerTimeoutMs = 3000 } = options;
  const stream = new Rfc2217Stream(await openTcp(address.host, address.port, { signal }), address.baudRate);
  try {
    await stream.setUp(address, { signal, answerTimeoutMs });
    return stream;
  } catch (error) {
    await stream.close();
    throw error;
  }
}

class Rfc2217Stream implements ByteStream {
  readonly name: string;
  readonly chunks = new ChunkQueue();
  readonly baudRate: number;
  readonly #tcp: ByteStream;
  readonly #decoder = new TelnetDecoder();
  /** What we have said of each option, so that no two sides thank each other for ever. */
  readonly #said = new Set<string>();
  #heardVerb: (verb: Verb, option: number) => void = () => {};
  #heardAnswer: (command: number, value: Uint8Array) => void = () => {};
  #failed: (error: unknown) => void = () => {};
  #held: { promise: Promise<void>; release: () => void } | undefined;

  constructor(tcp: ByteStream, baudRate: number) {
    this.#tcp = tcp;
    this.name = tcp.name;
    this.baudRate = baudRate;
    void this.#listen();
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#held?.promise;
    await this.#tcp.write(escapeData(bytes));
  }

  async close(): Promise<void> {
    this.#held?.release();
    this.chunks.end();
    await this.#tcp.close();
  }

  /** Agrees on the options, then sets the line and waits until that is confirmed. */
  async setUp(
    line: Rfc2217Address,
    options: { signal: AbortSignal | undefined; answerTimeoutMs: number },
  ): Promise<void> {
    const { dtr = true, rts = true, baudRate } = line;
    await this.#await("does not offer to set its serial port", options, (resolve, reject) => {
      this.#heardVerb = (verb, option) => {
        if (option !== TELNET_OPTIONS.comPort) return;
        if (verb === "do" || verb === "will") resolve();
        else reject(this.#error("refuses to set its serial port"));
      };
      this.#say("will", TELNET_OPTIONS.comPort);
      for (const option of [TELNET_OPTIONS.binary, TELNET_OPTIONS.suppressGoAhead]) {
        this.#say("will", option);
        this.#say("do", option);
      }
    });
    const baud = new Uint8Array(4);
    putU32be(baud, 0, baudRate);
    await this.#set(SET.baudRate, baud, options, (value) => {
      const got = value.length >= 4 ? u32be(value, 0) : 0;
      if (got !== baudRate) return `set ${got} baud instead of ${baudRate}`;
      return undefined;
    });
    for (const [command, value] of [
      [SET.dataSize, 8],
      [SET.parity, NO_PARITY],
      [SET.stopSize, 1],
    ] as const) {
      await this.#set(command, Uint8Array.of(value), options);
    }
    // Servers differ in confirming these (some have no such lines), so nothing is waited for.
    const { noFlowControl, dtrOn, dtrOff, rtsOn, rtsOff } = CONTROL;
    for (const value of [noFlowControl, dtr ? dtrOn : dtrOff, rts ? rtsOn : rtsOff]) {
      await this.#tcp.write(encodeSub(Uint8Array.of(TELNET_OPTIONS.comPort, SET.control, value)));
    }
  }

  #set(
    command: number,
    value: Uint8Array,
    options: { signal: AbortSignal | undefined; answerTimeoutMs: number },
    complaint: (value: Uint8Array) => string | undefined = () => undefined,
  ): Promise<void> {
    return this.#await("does not confirm the settings of its serial port", options, (resolve, reject) => {
      this.#heardAnswer = (answered, got) => {
        if (answered !== FROM_SERVER + command) return;
        const wrong = complaint(got);
        if (wrong === undefined) resolve();
        else reject(this.#error(wrong));
      };
      const content = concat(Uint8Array.of(TELNET_OPTIONS.comPort, command), value);
      this.#tcp.write(encodeSub(content)).catch(reject);
    });
  }

  /** What `act` waits for, against a deadline, the signal and the end of the connection. */
  #await(
    complaint: string,
    options: { signal: AbortSignal | undefined; answerTimeoutMs: number },
    act: (resolve: () => void, reject: (error: unknown) => void) => void,
  ): Promise<void> {
    const { signal, answerTimeoutMs } = options;
    return new Promise<void>((resolve, reject) => {
      const onAbort = () => settle(() => reject(signal?.reason));
      const timer = setTimeout(() => settle(() => reject(this.#error(complaint))), answerTimeoutMs);
      const settle = (act: () => void) => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        this.#failed = () => {};
        act();
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      if (signal?.aborted) onAbort();
      this.#failed = (error) => settle(() => reject(error));
      act(
        () => settle(resolve),
        (error) => settle(() => reject(error)),
      );
    });
  }

  async #listen(): Promise<void> {
    try {
      for await (const chunk of this.#tcp.chunks) {
        for (const item of this.#decoder.push(chunk)) {
          if (item.kind === "data") this.chunks.push(item.bytes);
          else if (item.kind === "verb") this.#answerVerb(item.verb, item.option);
          else this.#hearSub(item.bytes);
        }
      }
      this.chunks.end();
    } catch (error) {
      this.#held?.release();
      this.#failed(error);
      this.chunks.fail(error);
    }
  }

  #answerVerb(verb: Verb, option: number): void {
    const agreed = AGREED.has(option);
    if (verb === "do") this.#say(agreed ? "will" : "wont", option);
    if (verb === "will") this.#say(agreed ? "do" : "dont", option);
    this.#heardVerb(verb, option);
  }

  #say(verb: Verb, option: number): void {
    const key = `${verb} ${option}`;
    if (this.#said.has(key)) return;
    this.#said.add(key);
    // That the connection ended is told by the listening side.
    this.#tcp.write(encodeVerb(verb, option)).catch(() => {});
  }

  #hearSub(bytes: Uint8Array): void {
    if (bytes.length < 2 || u8(bytes, 0) !== TELNET_OPTIONS.comPort) return;
    const command = u8(bytes, 1);
    if (command === FLOW_SUSPEND) this.#held ??= holding();
    if (command === FLOW_RESUME) {
      this.#held?.release();
      this.#held = undefined;
    }
    this.#heardAnswer(command, bytes.subarray(2));
  }

  #error(what: string): TransportError {
    return new TransportError("failed", this.name, `The server at ${this.name} ${what}.`, {
      hint: "Switch RFC 2217 on at the server (ser2net: telnet(rfc2217)), or use tcp: and configure the line on the server.",
    });
  }
}

function holding(): { promise: Promise<void>; release: () => void } {
  let release = () => {};
  const promise = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { promise, release };
}
