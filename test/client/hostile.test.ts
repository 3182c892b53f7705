import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Client } from "../../src/client/client.js";
import { connect } from "../../src/client/connect.js";
import { RAW_FORGETS_MS } from "../../src/client/flow-control.js";
import { BootproofError } from "../../src/errors.js";
import { run } from "../../src/session/run.js";
import { Session } from "../../src/session/session.js";
import { encodeCbor } from "../../src/smp/cbor.js";
import { consoleFraming } from "../../src/smp/framing/console.js";
import { rawFraming } from "../../src/smp/framing/raw.js";
import { imageList, imageUpload } from "../../src/smp/groups/image.js";
import { osEcho, osInfo, osParams } from "../../src/smp/groups/os.js";
import { joinMessage } from "../../src/smp/header.js";
import { upload } from "../../src/update/upload.js";
import { fuzz } from "../support/fuzz.js";
import { type HeardRequest, ScriptedPipe } from "../support/pipe-script.js";
import { inVirtualTime } from "../support/workflow-clock.js";

/**
 * Devices that do everything but what they should. Whatever they say, a request ends in time with an answer or an error of
 * ours, the next one can be asked, and memory stays bounded. Time is virtual: a deadline that is passed by is a failure, not
 * a slow test.
 */
const TIMEOUT_MS = 100;

type Answerer = (request: HeardRequest, pipe: ScriptedPipe) => void;

const bytes = (max: number) => fc.uint8Array({ minLength: 0, maxLength: max });
const frame = (request: HeardRequest, payload: Uint8Array, changes: object = {}) =>
  consoleFraming().encode(
    joinMessage(
      { ...request.header, op: request.header.op === "read" ? "read-rsp" : "write-rsp", ...changes },
      payload,
    ),
  );

/** CBOR of the kinds that bring decoders down. */
const badCbor: fc.Arbitrary<Uint8Array> = fc.oneof(
  bytes(300),
  // Nested deeper than any answer.
  fc.integer({ min: 1, max: 4000 }).map((depth) => new Uint8Array(depth).fill(0x9f)),
  fc.integer({ min: 1, max: 4000 }).map((depth) => new Uint8Array(depth).fill(0xbf)),
  fc.integer({ min: 1, max: 4000 }).map((depth) => new Uint8Array(depth).fill(0x81)),
  // Lengths that nothing follows: arrays, maps, texts, bytes of up to 2^64.
  fc
    .tuple(fc.constantFrom(0x5b, 0x7b, 0x9b, 0xbb), bytes(20))
    .map(([head, rest]) => Uint8Array.from([head, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ...rest])),
  fc
    .constantFrom("__proto__", "constructor", "prototype", "toString", "rc", "err", "ret")
    .map((key) =>
      Uint8Array.from([
        0xbf,
        0x60 + key.length,
        ...Buffer.from(key),
        ...encodeCbor({ polluted: true, rc: "x", group: -1 }),
        0xff,
      ]),
    ),
);

/** What a hostile device does with one request. */
const answerer: fc.Arbitrary<Answerer> = fc.oneof(
  fc.constant<Answerer>(() => {}),
  bytes(2000).map<Answerer>((noise) => (_, pipe) => pipe.say(noise)),
  badCbor.map<Answerer>((payload) => (request, pipe) => pipe.say(frame(request, payload))),
  badCbor.map<Answerer>(
    (payload) => (request, pipe) =>
      pipe.say(frame(request, payload, { seq: (request.header.seq + 1) % 256 })),
  ),
  // Half a frame; a frame of which each line comes twice; one cut anywhere.
  fc.double({ min: 0, max: 1, noNaN: true }).map<Answerer>((share) => (request, pipe) => {
    const whole = frame(request, encodeCbor({ r: "x".repeat(300) }));
    pipe.say(whole.subarray(0, Math.floor(whole.length * share)));
  }),
  fc.constant<Answerer>((request, pipe) => {
    const lines = Buffer.from(frame(request, encodeCbor({ r: "x".repeat(300) })))
      .toString("latin1")
      .split(/(?<=\n)/);
    pipe.say(lines.map((line) => line + line).join(""));
  }),
  // Lines without end, and announcements of 64 KiB that nothing follows.
  fc.integer({ min: 1, max: 200_000 }).map<Answerer>((length) => (_, pipe) => pipe.say("A".repeat(length))),
  fc.constant<Answerer>((_, pipe) => pipe.say("\u0006\u0009//8AAAAA\n")),
  // The request itself; all the sequence numbers there are; the right answer, late.
  fc.constant<Answerer>((_, pipe) => pipe.say(pipe.writes.at(-1)!)),
  fc.constant<Answerer>((request, pipe) => {
    for (let seq = 0; seq < 256; seq++) pipe.answer(request, { r: "", off: 1 }, { seq });
  }),
  fc
    .integer({ min: 0, max: 1000 })
    .map<Answerer>(
      (ms) => (request, pipe) => void setTimeout(() => pipe.answer(request, { r: "late", off: 7 }), ms),
    ),
  fc.constant<Answerer>((request, pipe) => pipe.answer(request, { off: 2 ** 31, buf_size: 0, buf_count: 0 })),
  fc.constant<Answerer>((request, pipe) =>
    pipe.answer(request, { off: 0, buf_size: 65535, buf_count: 65535 }),
  ),
  fc.constant<Answerer>((_, pipe) => pipe.vanish()),
);

/** Takes the answerers in turn, over and over. */
function hostile(answerers: readonly Answerer[]): ScriptedPipe {
  return new ScriptedPipe((request, pipe) => answerers[request.index % answerers.length]!(request, pipe));
}

/** Only errors that were made on purpose. */
async function outcome(work: Promise<unknown>): Promise<"answered" | "refused"> {
  try {
    await work;
    return "answered";
  } catch (error) {
    if (error instanceof BootproofError) return "refused";
    throw error;
  }
}

const { numRuns, seed, timeout } = fuzz(300);

describe("a hostile device", { timeout }, () => {
  test("cannot hold a request up past its deadline, nor the one after it", () =>
    inVirtualTime(() =>
      fc.assert(
        fc.asyncProperty(fc.array(answerer, { minLength: 1, maxLength: 6 }), async (answerers) => {
          const pipe = hostile(answerers);
          const client = new Client(pipe, { timeoutMs: TIMEOUT_MS, retries: 2 });
          const start = performance.now();
          for (const command of [osEcho, osParams, osInfo, imageList]) {
            await outcome(
              client.send(command as typeof osInfo, command === osEcho ? ({ d: "x" } as object) : {}),
            );
          }
          expect(performance.now() - start).toBeLessThan(4 * 3 * TIMEOUT_MS + 100);
          expect(({} as Record<string, unknown>).polluted).toBeUndefined();
          await client.close();
        }),
        { numRuns, seed },
      ),
    ));

  test("is recognised or given up in time, whichever framing it pretends to speak", () =>
    inVirtualTime(() =>
      fc.assert(
        fc.asyncProperty(fc.array(answerer, { minLength: 1, maxLength: 6 }), async (answerers) => {
          const pipe = hostile(answerers);
          const start = performance.now();
          await outcome(
            connect(pipe, { probeTimeoutMs: TIMEOUT_MS, probes: 3 }).then((client) => client.close()),
          );
          // Listening to its boot, the questions, the line ends between them, and the silence that a raw server may need.
          const limit = 2500 + 12 * TIMEOUT_MS + RAW_FORGETS_MS;
          expect(performance.now() - start).toBeLessThan(limit);
          expect(pipe.closed).toBe(true);
        }),
        { numRuns, seed },
      ),
    ));

  test("cannot make an upload go on for ever", () =>
    inVirtualTime(() =>
      fc.assert(
        fc.asyncProperty(fc.array(answerer, { minLength: 1, maxLength: 6 }), async (answerers) => {
          const open = async () => {
            const client = new Client(hostile(answerers), { timeoutMs: TIMEOUT_MS, retries: 1 });
            client.server = { ...client.server, bufSize: 256, bufCount: 4, mode: "application" };
            return client;
          };
          const session = await Session.open(open);
          const start = performance.now();
          await outcome(run(upload(session, new Uint8Array(3000).fill(1), { reconnectWithinMs: 1000 })));
          // Ten lost links, each with the patience of a first chunk and the wait for the board.
          expect(performance.now() - start).toBeLessThan(11 * 60_000);
          await session.close();
        }),
        { numRuns: Math.ceil(numRuns / 3), seed },
      ),
    ));

  test("that never stops talking fills no memory", () =>
    inVirtualTime(async () => {
      const pipe = new ScriptedPipe();
      const client = new Client(pipe, { timeoutMs: TIMEOUT_MS, retries: 0 });
      const before = process.memoryUsage().heapUsed + process.memoryUsage().external;
      const talk = new Uint8Array(64 * 1024).fill(0x41);
      const asking = outcome(client.send(osEcho, { d: "" }));
      for (let round = 0; round < 2000; round++) {
        pipe.say(talk);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(await asking).toBe("refused");
      globalThis.gc?.();
      const after = process.memoryUsage().heapUsed + process.memoryUsage().external;
      // 128 MB were said.
      expect(after - before).toBeLessThan(64 * 1024 * 1024);
    }));

  test("on raw framing announces 64 KiB for every answer: each request still ends in time", () =>
    inVirtualTime(async () => {
      const pipe = new ScriptedPipe();
      const write = pipe.write.bind(pipe);
      pipe.write = async (message) => {
        await write(message);
        pipe.say(Uint8Array.of(0x09, 0, 0xff, 0xff, 0, 0, 1, 6, 1, 2, 3));
      };
      const client = new Client(pipe, { framing: rawFraming, timeoutMs: TIMEOUT_MS, retries: 2 });
      const start = performance.now();
      for (let n = 0; n < 5; n++) expect(await outcome(client.send(osParams, {}))).toBe("refused");
      expect(performance.now() - start).toBeLessThan(5 * 3 * TIMEOUT_MS + 100);
    }));

  test("that answers an upload with the wrong number has not answered it", () =>
    inVirtualTime(async () => {
      const pipe = new ScriptedPipe((request, self) =>
        self.answer(request, { off: 9 }, { seq: (request.header.seq + 128) % 256 }),
      );
      const client = new Client(pipe, { timeoutMs: TIMEOUT_MS, retries: 1 });
      expect(await outcome(client.send(imageUpload, { off: 0, data: new Uint8Array(8) }))).toBe("refused");
    }));
});
