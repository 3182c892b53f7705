/** Telnet as RFC 2217 needs it (RFC 854, 855). Pure: bytes in, values out. */

export const IAC = 0xff;
const SE = 0xf0;
const SB = 0xfa;

/** Option negotiation verbs. */
export const VERBS = { will: 0xfb, wont: 0xfc, do: 0xfd, dont: 0xfe } as const;
export type Verb = keyof typeof VERBS;

export const TELNET_OPTIONS = { binary: 0, suppressGoAhead: 3, comPort: 44 } as const;

export type TelnetItem =
  | { kind: "data"; bytes: Uint8Array }
  | { kind: "verb"; verb: Verb; option: number }
  /** The content of a subnegotiation, the option's number first. */
  | { kind: "sub"; bytes: Uint8Array };

/** Subnegotiations of RFC 2217 have ten bytes at most, but for a signature; the rest of a longer one is dropped. */
const MAX_SUB = 256;

const NAMES = new Map<number, Verb>(Object.entries(VERBS).map(([name, code]) => [code, name as Verb]));

/** Data as it goes over a telnet connection: each 255 is sent twice. */
export function escapeData(bytes: Uint8Array): Uint8Array {
  let extra = 0;
  for (const byte of bytes) if (byte === IAC) extra++;
  if (extra === 0) return bytes;
  const escaped = new Uint8Array(bytes.length + extra);
  let at = 0;
  for (const byte of bytes) {
    escaped[at++] = byte;
    if (byte === IAC) escaped[at++] = IAC;
  }
  return escaped;
}

export function encodeVerb(verb: Verb, option: number): Uint8Array {
  return Uint8Array.of(IAC, VERBS[verb], option);
}

export function encodeSub(content: Uint8Array): Uint8Array {
  return Uint8Array.of(IAC, SB, ...escapeData(content), IAC, SE);
}

type State = "data" | "iac" | "verb" | "sub" | "sub-iac";

/** Takes a telnet connection apart, in whatever chunks it comes. */
export class TelnetDecoder {
  #state: State = "data";
  #verb: Verb = "wont";
  #sub: number[] = [];

  push(chunk: Uint8Array): TelnetItem[] {
    const items: TelnetItem[] = [];
    // Most chunks of data have no 255 in them.
    if (this.#state === "data" && !chunk.includes(IAC)) return [{ kind: "data", bytes: chunk }];
    let data: number[] = [];
    const flush = () => {
      if (data.length > 0) items.push({ kind: "data", bytes: Uint8Array.from(data) });
      data = [];
    };
    for (const byte of chunk) {
      const item = this.#step(byte, data);
      if (!item) continue;
      flush();
      items.push(item);
    }
    flush();
    return items;
  }

  #step(byte: number, data: number[]): TelnetItem | undefined {
    switch (this.#state) {
      case "data":
        if (byte === IAC) this.#state = "iac";
        else data.push(byte);
        return undefined;
      case "iac":
        this.#afterIac(byte, data);
        return undefined;
      case "verb":
        this.#state = "data";
        return { kind: "verb", verb: this.#verb, option: byte };
      case "sub":
        if (byte === IAC) this.#state = "sub-iac";
        else if (this.#sub.length < MAX_SUB) this.#sub.push(byte);
        return undefined;
      case "sub-iac":
        return this.#inSubAfterIac(byte);
    }
  }

  #afterIac(byte: number, data: number[]): void {
    const verb = NAMES.get(byte);
    if (byte === IAC) data.push(byte);
    if (verb) this.#verb = verb;
    if (byte === SB) this.#sub = [];
    // Commands of one byte (no operation, go ahead, are you there) ask nothing of us.
    this.#state = verb ? "verb" : byte === SB ? "sub" : "data";
  }

  #inSubAfterIac(byte: number): TelnetItem | undefined {
    this.#state = byte === SE ? "data" : "sub";
    if (byte === SE) return { kind: "sub", bytes: Uint8Array.from(this.#sub) };
    if (byte === IAC && this.#sub.length < MAX_SUB) this.#sub.push(byte);
    return undefined;
  }
}
