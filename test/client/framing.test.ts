import { describe, expect, test } from "vitest";
import { connect } from "../../src/client/connect.js";
import type { LinkMemory } from "../../src/client/flow-control.js";
import { encodeCbor } from "../../src/smp/cbor.js";
import { consoleFraming } from "../../src/smp/framing/console.js";
import { rawFraming } from "../../src/smp/framing/raw.js";
import { osParams } from "../../src/smp/groups/os.js";
import { decodeHeader, HEADER_SIZE, joinMessage } from "../../src/smp/header.js";
import { ChunkQueue } from "../../src/transport/chunk-queue.js";
import type { ByteStream } from "../../src/transport/transport.js";
import { inVirtualTime } from "../support/workflow-clock.js";

/**
 * A raw UART server as Zephyr 4.4's was seen to behave (native_sim and mps2 builds): eight bytes are a header; one whose op does
 * not exist or whose length fits no buffer is dropped with all that is held; nothing but further bytes ends a wait.
 */
class RawServer implements ByteStream {
  readonly name = "raw server";
  readonly chunks = new ChunkQueue();
  answered = 0;
  /** Every byte that came, in writes. */
  readonly heard: Uint8Array[] = [];
  #held: Uint8Array = new Uint8Array(0);
  readonly #bufSize: number;
  readonly #fifo: number;

  #heardAt = 0;

  /** `fifo`: how many bytes it takes at once. */
  constructor(bufSize: number, fifo: number) {
    this.#bufSize = bufSize;
    this.#fifo = fifo;
  }

  /** Noise began a message whose rest does not come; `heard` is what noise brought to the other side. */
  disturb(heard: Uint8Array): void {
    this.#held = Uint8Array.of(
      2,
      0,
      (this.#bufSize - HEADER_SIZE) >> 8,
      (this.#bufSize - HEADER_SIZE) & 0xff,
    );
    this.#heardAt = performance.now();
    if (heard.length > 0) this.chunks.push(heard);
  }

  get isWaitingForRest(): boolean {
    return this.#held.length > 0;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.heard.push(bytes.slice());
    // CONFIG_MCUMGR_TRANSPORT_RAW_UART_INPUT_TIMEOUT: acted upon when the next byte comes.
    if (performance.now() - this.#heardAt > 3000) this.#held = new Uint8Array(0);
    this.#heardAt = performance.now();
    for (let at = 0; at < bytes.length; at += this.#fifo) this.#take(bytes.subarray(at, at + this.#fifo));
  }

  async close(): Promise<void> {
    this.chunks.end();
  }

  #take(bytes: Uint8Array): void {
    this.#held = Uint8Array.from([...this.#held, ...bytes]);
    if (this.#held.length < HEADER_SIZE) return;
    const op = this.#held[0]! & 7;
    const size = HEADER_SIZE + ((this.#held[2]! << 8) | this.#held[3]!);
    if (op <= 3 && size <= this.#bufSize && this.#held.length < size) return;
    if (op <= 3 && this.#held.length === size) this.#answer(this.#held);
    this.#held = new Uint8Array(0);
  }

  #answer(message: Uint8Array): void {
    this.answered++;
    const header = decodeHeader(message);
    const op = header.op === "read" ? ("read-rsp" as const) : ("write-rsp" as const);
    const fields = header.id === 6 ? { buf_size: this.#bufSize, buf_count: 4 } : { rc: 8 };
    this.chunks.push(joinMessage({ ...header, op }, encodeCbor(fields)));
  }
}

const QUICK = { probeTimeoutMs: 200, probes: 4 };

/** Sizes of real FIFOs. Base64 where a length stands means 11 KB at least, which no server on a UART has as its buffer. */
describe("a raw server is found behind console questions, which do it no harm", () => {
  for (const bufSize of [256, 384, 1024, 2048, 4096, 8192]) {
    test.each([1, 2, 4, 8, 16, 64])(`with a buffer of ${bufSize}, taking %i bytes at once`, (fifo) =>
      inVirtualTime(async () => {
        const server = new RawServer(bufSize, fifo);
        const client = await connect(server, QUICK);
        expect(client.framing.name).toBe("raw");
        expect(client.server).toMatchObject({ bufSize, bufCount: 4, mode: "application" });
        expect(client.pacing.memory.framing).toBe("raw");
      }),
    );
  }
});

describe("a raw server that noise has left with half a message", () => {
  const noise = Uint8Array.of(0xff, 0xfe, 0x80, 0xc3, 0x91, 0xff);

  test("is found after the silence it needs, before the baud rate is blamed", () =>
    inVirtualTime(async () => {
      const server = new RawServer(8192, 1);
      const connecting = connect(server, QUICK);
      server.disturb(noise);
      const client = await connecting;
      expect(client.framing.name).toBe("raw");
      expect(client.server).toMatchObject({ bufSize: 8192 });
    }));

  test("is found though nothing was heard, when it is known to be raw", () =>
    inVirtualTime(async () => {
      const server = new RawServer(8192, 1);
      server.disturb(new Uint8Array(0));
      const client = await connect(server, { ...QUICK, framing: rawFraming });
      expect(client.server).toMatchObject({ bufSize: 8192 });
    }));

  test("answers the last try of a command", () =>
    inVirtualTime(async () => {
      const server = new RawServer(8192, 1);
      const client = await connect(server, { ...QUICK, framing: rawFraming });
      server.disturb(new Uint8Array(0));
      expect(await client.send(osParams, {})).toMatchObject({ buf_size: 8192 });
    }));
});

test("a board that is remembered as raw hears no console question", () =>
  inVirtualTime(async () => {
    const memory: LinkMemory = { framing: "raw" };
    const server = new RawServer(384, 1);
    await connect(server, { ...QUICK, memory });
    expect(server.heard.every((bytes) => bytes.length === HEADER_SIZE + 1 || bytes[0] === 0x0a)).toBe(true);
    expect(server.heard).toHaveLength(server.answered);
  }));

test("one that is told to be console is never asked in raw", () =>
  inVirtualTime(async () => {
    const server = new RawServer(384, 1);
    const failure = await connect(server, { ...QUICK, framing: consoleFraming() }).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: "timeout" });
    expect(server.answered).toBe(0);
  }));
