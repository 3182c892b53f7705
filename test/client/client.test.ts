import { describe, expect, test } from "vitest";
import { Client, RequestTimeout } from "../../src/client/client.js";
import { imageList, imageUpload } from "../../src/smp/groups/image.js";
import { osEcho, osParams, osReset } from "../../src/smp/groups/os.js";
import { shellExec } from "../../src/smp/groups/shell.js";
import { DeviceError } from "../../src/smp/message.js";
import { TransportError } from "../../src/transport/transport.js";
import { type HeardRequest, ScriptedPipe } from "../support/pipe-script.js";

/** Long enough for an answer that comes at once, short enough to wait for one that never does. */
const QUICK = { timeoutMs: 30 };

const echo = (request: HeardRequest, pipe: ScriptedPipe) => pipe.answer(request, { r: request.fields.d });

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.unreachable("it succeeded"),
    (error: unknown) => error,
  );
}

describe("an answer", () => {
  test("belongs to its request by sequence number, which counts up and wraps", async () => {
    const pipe = new ScriptedPipe(echo);
    const client = new Client(pipe);
    for (let n = 0; n < 300; n++) expect(await client.send(osEcho, { d: `${n}` })).toEqual({ r: `${n}` });
    const numbers = pipe.requests.map(({ header }) => header.seq);
    expect(numbers.slice(1).every((seq, n) => seq === (numbers[n]! + 1) % 256)).toBe(true);
    expect(client.counts).toEqual({ sent: 300, answered: 300, repeated: 0, late: 0, faults: 0 });
    expect(client.answeredIn).toBe(2);
  });

  test.each([
    ["another sequence number", { seq: 7 }],
    ["another group", { group: 1 }],
    ["another command", { id: 3 }],
    ["another direction", { op: "read-rsp" as const }],
  ])("to %s is dropped and the wait goes on", async (_, changes) => {
    const pipe = new ScriptedPipe((request, self) => {
      const seq = "seq" in changes ? { seq: (request.header.seq + 7) % 256 } : {};
      self.answer(request, { r: "wrong" }, { ...changes, ...seq });
      self.answer(request, { r: "right" });
    });
    const client = new Client(pipe);
    expect(await client.send(osEcho, { d: "" })).toEqual({ r: "right" });
    expect(client.counts.late).toBe(1);
  });

  test("in version 1 form to a version 2 request is one", async () => {
    const client = new Client(
      new ScriptedPipe((request, pipe) => pipe.answer(request, { r: "old" }, { version: 1 })),
    );
    expect(await client.send(osEcho, { d: "" })).toEqual({ r: "old" });
    expect(client.answeredIn).toBe(1);
  });

  test("in one-byte chunks, with log text before, between and behind, is found; the text is kept", async () => {
    const lines: string[] = [];
    const client = new Client(
      new ScriptedPipe((request, pipe) => {
        const answer = Buffer.from(pipe.answerBytes(request, { r: "x".repeat(200) })).toString("latin1");
        const noisy = answer.split(/(?<=\n)/).join("[00:00:01] <inf> app: busy\r\n");
        for (const byte of Buffer.from(`uart:~$ ${noisy}done\n`, "latin1")) pipe.say(Uint8Array.of(byte));
      }),
      { onText: (line) => lines.push(line) },
    );
    expect(await client.send(osEcho, { d: "" })).toEqual({ r: "x".repeat(200) });
    await client.send(osEcho, { d: "" });
    expect(lines.slice(0, 4)).toEqual([
      "uart:~$ ",
      "[00:00:01] <inf> app: busy",
      "[00:00:01] <inf> app: busy",
      "done",
    ]);
  });

  test("that is an error code is a DeviceError", async () => {
    const client = new Client(new ScriptedPipe((request, pipe) => pipe.answer(request, { rc: 8 })));
    expect(await failureOf(client.send(imageList, {}))).toBeInstanceOf(DeviceError);
  });
});

test("one request at a time: the next is sent when the one before is answered", async () => {
  const pipe = new ScriptedPipe();
  const client = new Client(pipe);
  const first = client.send(osEcho, { d: "1" });
  const second = client.send(osEcho, { d: "2" });
  await new Promise(setImmediate);
  expect(pipe.requests.map(({ fields }) => fields.d)).toEqual(["1"]);
  pipe.answer(pipe.requests[0]!, { r: "1" });
  await first;
  await new Promise(setImmediate);
  expect(pipe.requests.map(({ fields }) => fields.d)).toEqual(["1", "2"]);
  pipe.answer(pipe.requests[1]!, { r: "2" });
  expect(await second).toEqual({ r: "2" });
});

describe("on silence", () => {
  test("a command that may be repeated is sent again, with the same number", async () => {
    const pipe = new ScriptedPipe(
      (request, self) => request.index === 2 && self.answer(request, { r: "at last" }),
    );
    const client = new Client(pipe);
    expect(await client.send(osEcho, { d: "" }, QUICK)).toEqual({ r: "at last" });
    expect(new Set(pipe.requests.map(({ header }) => header.seq)).size).toBe(1);
    expect(client.counts).toMatchObject({ sent: 3, repeated: 2, answered: 1 });
  });

  test.each([
    ["os params", osParams, {}, 4],
    ["image upload", imageUpload, { off: 0, data: Uint8Array.of(1) }, 4],
    ["os reset", osReset, {}, 1],
    ["shell exec", shellExec, { argv: ["fire"] }, 1],
  ] as const)("%s is sent as often as it may be", async (_, command, request, times) => {
    const pipe = new ScriptedPipe();
    const client = new Client(pipe, { ...QUICK, retries: 3 });
    const error = (await failureOf(
      client.send(command as typeof osReset, request as object),
    )) as RequestTimeout;
    expect(error).toBeInstanceOf(RequestTimeout);
    expect(error).toMatchObject({ code: "timeout", command: command.name, attempts: times, timeoutMs: 30 });
    expect(pipe.requests).toHaveLength(times);
  });

  test("a command that must not run twice is sent once, whatever is asked", async () => {
    const pipe = new ScriptedPipe();
    await failureOf(new Client(pipe).send(shellExec, { argv: ["fire"] }, { ...QUICK, retries: 5 }));
    expect(pipe.requests).toHaveLength(1);
  });

  test("a slow answer to the first try counts on the second; its double is dropped", async () => {
    const pipe = new ScriptedPipe((request, self) => {
      if (request.index !== 1) return;
      self.answer(self.requests[0]!, { r: "slow" });
      self.answer(request, { r: "again" });
    });
    const client = new Client(pipe);
    expect(await client.send(osEcho, { d: "" }, QUICK)).toEqual({ r: "slow" });
    await new Promise(setImmediate);
    expect(client.counts.late).toBe(1);
  });

  test("an answer that comes after the end is not taken for the next one", async () => {
    const pipe = new ScriptedPipe((request, self) => {
      if (request.index === 0) return;
      self.answer(self.requests[0]!, { r: "too late" });
      self.answer(request, { r: "right" });
    });
    const client = new Client(pipe);
    await failureOf(client.send(osEcho, { d: "1" }, { ...QUICK, retries: 0 }));
    expect(await client.send(osEcho, { d: "2" })).toEqual({ r: "right" });
    expect(client.counts.late).toBe(1);
  });
});

describe("a silence is told with what was heard instead", () => {
  const garbage = Uint8Array.from({ length: 200 }, (_, n) => (n * 37 + 128) % 256);
  const cases: {
    received: string;
    script: (request: HeardRequest, pipe: ScriptedPipe) => void;
    hint: RegExp;
  }[] = [
    { received: "nothing", script: () => {}, hint: /Is the board on/ },
    {
      received: "text",
      script: (_, pipe) => pipe.say("<inf> app: \u001b[0mstarted\n"),
      hint: /log or shell port/,
    },
    { received: "text", script: (_, pipe) => pipe.say("uart:~$ "), hint: /log or shell port/ },
    { received: "noise", script: (_, pipe) => pipe.say(garbage), hint: /baud rate is probably wrong/ },
    {
      received: "damaged",
      script: (request, pipe) => pipe.say(damaged(pipe.answerBytes(request, { r: "hello" }))),
      hint: /lower baud rate/,
    },
    { received: "echo", script: (_, pipe) => pipe.say(pipe.writes.at(-1)!), hint: /Something echoes/ },
    {
      received: "other-answers",
      script: (request, pipe) => pipe.answer(request, {}, { seq: (request.header.seq + 1) % 256 }),
      hint: /longer --timeout/,
    },
  ];
  test.each(cases)("$heard", async ({ received, script, hint }) => {
    const client = new Client(new ScriptedPipe(script));
    const error = (await failureOf(
      client.send(osEcho, { d: "hello" }, { ...QUICK, retries: 1 }),
    )) as RequestTimeout;
    expect(error.received).toBe(received);
    expect(error.hint).toMatch(hint);
    expect(error.message).toMatch(/^os echo: scripted did not answer 2 requests of 30 ms each/);
  });

  test("text is quoted, without what could steer a terminal", async () => {
    const client = new Client(new ScriptedPipe((_, pipe) => pipe.say("\u001b[2Jboot: no image\r\n")));
    const error = (await failureOf(client.send(osReset, {}, QUICK))) as RequestTimeout;
    expect(error.text).toBe("[2Jboot: no image");
    expect(error.message).toContain('("[2Jboot: no image")');
  });

  function damaged(frame: Uint8Array): Uint8Array {
    const bytes = frame.slice();
    bytes[10] = bytes[10] === 0x41 ? 0x42 : 0x41;
    return bytes;
  }
});

describe("a server that loses bursts of lines", () => {
  const long = { d: "x".repeat(300) };

  test("gets them with pauses, first on the repeat, then at once", async () => {
    const pipe = new ScriptedPipe(echo);
    pipe.linesPerWrite = 2;
    const client = new Client(pipe);
    for (let n = 0; n < 3; n++)
      expect(await client.send(osEcho, long, { timeoutMs: 300 })).toEqual({ r: long.d });
    expect(client.pacing.isSlow).toBe(true);
    expect(client.counts).toMatchObject({ sent: 5, repeated: 2, answered: 3 });
  });

  test("is not slowed down for short messages", async () => {
    const pipe = new ScriptedPipe(echo);
    const client = new Client(pipe);
    await client.send(osEcho, { d: "short" });
    expect(pipe.writes).toHaveLength(1);
    expect(client.pacing.isSlow).toBe(false);
  });
});

describe("abort", () => {
  const reason = new Error("stop");

  test("throws the reason, before and during a request; the client stays usable", async () => {
    const pipe = new ScriptedPipe((request, self) => request.fields.d === "2" && echo(request, self));
    const client = new Client(pipe);
    expect(await failureOf(client.send(osEcho, { d: "0" }, { signal: AbortSignal.abort(reason) }))).toBe(
      reason,
    );
    expect(pipe.requests).toHaveLength(0);

    const controller = new AbortController();
    const sending = client.send(osEcho, { d: "1" }, { signal: controller.signal });
    await new Promise(setImmediate);
    controller.abort(reason);
    expect(await failureOf(sending)).toBe(reason);
    expect(await client.send(osEcho, { d: "2" })).toEqual({ r: "2" });
  });

  test("of a request that waits for its turn: it is never sent, and those behind it are", async () => {
    const pipe = new ScriptedPipe();
    const client = new Client(pipe);
    const first = client.send(osEcho, { d: "1" });
    const controller = new AbortController();
    const second = client.send(osEcho, { d: "2" }, { signal: controller.signal });
    const third = client.send(osEcho, { d: "3" });
    await new Promise(setImmediate);
    controller.abort(reason);
    expect(await failureOf(second)).toBe(reason);
    expect(pipe.requests).toHaveLength(1);
    pipe.answer(pipe.requests[0]!, { r: "1" });
    await first;
    await new Promise(setImmediate);
    pipe.answer(pipe.requests[1]!, { r: "3" });
    expect(await third).toEqual({ r: "3" });
  });
});

describe("a device that vanishes", () => {
  test("fails the request under way and every later one with lost", async () => {
    const client = new Client(new ScriptedPipe((_, pipe) => pipe.vanish()));
    expect(await failureOf(client.send(osEcho, { d: "" }))).toMatchObject({ code: "lost" });
    expect(await failureOf(client.send(osEcho, { d: "" }))).toMatchObject({ code: "lost" });
  });

  test("with half an answer said is lost all the same", async () => {
    const client = new Client(
      new ScriptedPipe((request, pipe) => {
        pipe.say(pipe.answerBytes(request, { r: "hello" }).subarray(0, 12));
        pipe.vanish();
      }),
    );
    expect(await failureOf(client.send(osEcho, { d: "" }))).toMatchObject({ code: "lost" });
    expect(client.counts.faults).toBe(1);
  });
});

test("closing fails the request under way and those that wait; closing twice is harmless", async () => {
  const pipe = new ScriptedPipe();
  const client = new Client(pipe);
  const sending = [client.send(osEcho, { d: "1" }), client.send(osEcho, { d: "2" })].map(failureOf);
  await new Promise(setImmediate);
  await client.close();
  await client.close();
  for (const error of await Promise.all(sending)) expect(error).toBeInstanceOf(TransportError);
  expect(pipe.closed).toBe(true);
});

test("a request longer than the buffer that the server told is refused here, not dropped there", async () => {
  const pipe = new ScriptedPipe(echo);
  const client = new Client(pipe, QUICK);
  client.server = { ...client.server, bufSize: 100, bufSizeFrom: "server" };
  // 8 of header, 1 of map, 2 of key, 2 of the text's head; console framing needs 4 of the buffer.
  expect(await client.send(osEcho, { d: "x".repeat(83) })).toEqual({ r: "x".repeat(83) });
  const failure = await failureOf(client.send(osEcho, { d: "x".repeat(84) }));
  expect(failure).toMatchObject({ code: "too-long", expected: 96, got: 97 });
  expect(pipe.requests).toHaveLength(1);

  client.server = { ...client.server, bufSizeFrom: "assumed" };
  expect(await client.send(osEcho, { d: "x".repeat(84) })).toEqual({ r: "x".repeat(84) });
});

test("what may be sent only once, and needs many lines, is sent with rests between them", async () => {
  const pipe = new ScriptedPipe((request, self) => self.answer(request, { o: "", ret: 0 }));
  pipe.linesPerWrite = 1;
  const client = new Client(pipe);
  expect(await client.send(shellExec, { argv: ["x".repeat(290)] })).toEqual({ o: "", ret: 0 });
  expect(client.pacing.isSlow).toBe(false);
});
