/**
 * A conversation with the firmware on a wasm board, in bytes: what goes out and what comes back is compared with
 * recordings, so nothing of src/smp takes part. Framing is that of board-frames.ts.
 */
import { decode, Encoder } from "cbor-x";
import type { Board } from "../../src/emulator/board.js";
import { type StartOptions, startBoard } from "../../src/emulator/start.js";
import { type ByteStream, TransportError } from "../../src/transport/transport.js";
import { frame, unframe } from "./board-frames.js";

const cbor = new Encoder({ useRecords: false, tagUint8Array: false, variableMapSize: true });

export type Body = Record<string, unknown>;
export interface Answer {
  hex: string;
  body: Body;
  /** The console lines as they came: base64 without marker and line feed. */
  lines: string[];
  /** Everything that came, log text too. */
  sent: string;
}
export interface Question {
  group: number;
  id: number;
  op?: "read" | "write";
  body?: Body;
  version?: 1 | 2;
}

export class FirmwareSession {
  #heard = Buffer.alloc(0);
  #wake: (() => void) | undefined;
  #seq = 0;

  private constructor(
    readonly board: Board,
    private readonly stream: ByteStream,
  ) {
    void this.#listen();
  }

  static async open(options: Partial<StartOptions> = {}): Promise<FirmwareSession> {
    const board = await startBoard({ machine: "wasm", variant: "good", off: true, ...options });
    const stream = await board.connect();
    const session = new FirmwareSession(board, stream);
    if (!options.off) await session.boot(() => board.powerOn());
    return session;
  }

  close(): Promise<void> {
    return this.board.close();
  }

  /** Does what makes the board boot, and waits until the application, or recovery, says on the log that it is there. */
  async boot(how: () => Promise<void>): Promise<void> {
    const from = this.board.log.lines.length;
    await how();
    await this.board.log.waitFor(/started on|recovery/, { from });
  }

  /** Sends bytes as they are. */
  async send(bytes: Uint8Array | string): Promise<void> {
    await this.stream.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** The next answer on the wire. */
  async answer(): Promise<Answer> {
    for (;;) {
      const answer = this.#take();
      if (answer) return answer;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Drops what has come so far: half an answer of a board that lost its power. */
  forget(): void {
    this.#heard = Buffer.alloc(0);
    this.#wake = undefined;
  }

  async ask(question: Question): Promise<Body> {
    await this.send(frame(this.encode(question)));
    return (await this.answer()).body;
  }

  /** The message in hex, with the next sequence number. */
  encode({ group, id, op = "read", body = {}, version = 2 }: Question): string {
    const payload = cbor.encode(body);
    const head = Buffer.alloc(8);
    head[0] = (version === 2 ? 8 : 0) | (op === "write" ? 2 : 0);
    head.writeUInt16BE(payload.length, 2);
    head.writeUInt16BE(group, 4);
    this.#seq = (this.#seq + 1) % 256;
    head[6] = this.#seq;
    head[7] = id;
    return Buffer.concat([head, payload]).toString("hex");
  }

  /** The first whole message of what was heard, and only that: another may be behind it. */
  #take(): Answer | undefined {
    for (let end = this.#heard.indexOf("\n"); end >= 0; end = this.#heard.indexOf("\n", end + 1)) {
      const message = unframe(this.#heard.subarray(0, end + 1));
      if (!message) continue;
      const sent = this.#heard.toString("latin1", 0, end + 1);
      this.#heard = this.#heard.subarray(end + 1);
      return { ...message, lines: linesOf(sent), sent };
    }
    return undefined;
  }

  async #listen(): Promise<void> {
    try {
      for await (const chunk of this.stream.chunks) {
        this.#heard = Buffer.concat([this.#heard, chunk]);
        this.#wake?.();
      }
    } catch (error) {
      // the board was closed, which is how a session ends
      if (!(error instanceof TransportError && error.code === "lost")) throw error;
    }
  }
}

const START = "\x06\x09";
const NEXT = "\x04\x14";

function linesOf(sent: string): string[] {
  return sent.split("\n").flatMap((line) => {
    if (line.startsWith(NEXT)) return [line.slice(NEXT.length)];
    const start = line.indexOf(START);
    return start < 0 ? [] : [line.slice(start + START.length)];
  });
}

/** Console lines, with markers and line feeds, from their base64. */
export function wire(lines: readonly string[]): string {
  return lines.map((line, index) => `${index === 0 ? START : NEXT}${line}\n`).join("");
}

/** The message in the lines of a recording, in hex. Recorded messages are whole: length and CRC are cut off. */
export function recordedMessage(lines: readonly string[]): string {
  return Buffer.concat(lines.map((line) => Buffer.from(line, "base64")))
    .toString("hex")
    .slice(4, -4);
}

/** The body of a message in hex. */
export function bodyOf(hex: string): Body {
  return decode(Buffer.from(hex, "hex").subarray(8)) as Body;
}

/** Sends an image to the secondary as a client would; what the last answer said. */
export async function uploadImage(
  session: FirmwareSession,
  image: Uint8Array,
  options: { sha?: Uint8Array; image?: number; chunk?: number; upgrade?: boolean } = {},
): Promise<Body> {
  const { sha, image: number, chunk = 512, upgrade } = options;
  let off = 0;
  for (;;) {
    const first =
      off === 0
        ? {
            len: image.length,
            ...(sha && { sha }),
            ...(number === undefined ? {} : { image: number }),
            ...(upgrade && { upgrade }),
          }
        : {};
    const data = image.subarray(off, off + chunk);
    const answer = await session.ask({ group: 1, id: 1, op: "write", body: { off, data, ...first } });
    if (typeof answer.off !== "number" || answer.off === image.length) return answer;
    if (answer.off <= off) throw new Error(`the upload stands still at ${off}: ${JSON.stringify(answer)}`);
    off = answer.off;
  }
}

export const RESET: Question = { group: 0, id: 5, op: "write" };
export const STATE: Question = { group: 1, id: 0 };
