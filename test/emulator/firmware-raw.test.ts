import { afterEach, expect, test } from "vitest";
import type { Board } from "../../src/emulator/board.js";
import { startBoard } from "../../src/emulator/start.js";
import type { ByteStream } from "../../src/transport/transport.js";
import { ECHO, ECHO_ANSWER } from "../support/board-frames.js";

/** The raw framing of the firmware: the specification's echo without lines, and what Zephyr's server does to a hasty client. */

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replace(/[^0-9a-f]/g, ""), "hex"));
const hex = (message: Uint8Array) => Buffer.from(message).toString("hex");
const ONE = bytes(ECHO);
const ANSWER = bytes(ECHO_ANSWER);

let board: Board;
let line: ByteStream;
let chunks: AsyncIterator<Uint8Array>;

async function open(bufSize: number): Promise<void> {
  board = await startBoard({
    machine: "wasm",
    variant: "good",
    framing: "raw",
    buffers: { bufSize },
    off: true,
  });
  line = await board.connect();
  chunks = line.chunks[Symbol.asyncIterator]();
  await board.powerOn();
  await board.log.waitFor(/started on/);
}

afterEach(() => board.close());

/** What comes in one piece: the firmware writes a message at once. */
async function heard(): Promise<string> {
  const { value } = await chunks.next();
  return hex(value);
}

/** Written one after the other, each when the board has taken the one before. */
async function send(...pieces: Uint8Array[]): Promise<void> {
  for (const piece of pieces) {
    await line.write(piece);
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

test.each([1, 3, 7, 8, 9, 17])("an echo in pieces of %i bytes is answered", async (size) => {
  await open(1024);
  const pieces = Array.from({ length: Math.ceil(ONE.length / size) }, (_, n) =>
    ONE.subarray(n * size, (n + 1) * size),
  );
  await send(...pieces);
  expect(await heard()).toBe(hex(ANSWER));
});

test("two at once are both dropped; one that comes alone is answered", async () => {
  await open(1024);
  const again = ONE.slice();
  again[6] = 0x43;
  await send(Uint8Array.from([...ONE, ...ONE]), again);
  const expected = ANSWER.slice();
  expected[6] = 0x43;
  expect(await heard()).toBe(hex(expected));
});

test.each([
  ["an op that does not exist", [0x0f, 0, 0, 0, 0, 0, 0x42, 0]],
  ["a message longer than the buffer", [0x0a, 0, 0x10, 0, 0, 0, 0x42, 0]],
])("%s is dropped", async (_, header) => {
  await open(512);
  await send(Uint8Array.from(header), ONE);
  expect(await heard()).toBe(hex(ANSWER));
});

test("a message that fills the largest buffer exactly is answered, one byte more is not", async () => {
  await open(4096);
  const echo = (length: number, seq: number) => {
    const message = new Uint8Array(length).fill(0x61);
    const body = length - 8;
    message.set([0x0a, 0, body >> 8, body & 0xff, 0, 0, seq, 0]);
    message.set([0xa1, 0x61, 0x64, 0x79, (body - 6) >> 8, (body - 6) & 0xff], 8);
    return message;
  };
  // Eight bytes too many: the last of them are dropped as no header, and leave nothing behind.
  await send(echo(4104, 1), echo(4096, 2));
  // Its answer, an indefinite map, is a byte longer than the question: too large, and told so.
  expect(await heard()).toBe("0b00000600000200bf62726307ff");
  await send(echo(4095, 3));
  let answer = "";
  while (answer.length < 2 * 4096) answer += await heard();
  expect(answer).toBe(`0b000ff800000300bf6172790ff1${"61".repeat(4081)}ff`);
});
