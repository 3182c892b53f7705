import { describe, expect, test } from "vitest";
import { RequestTimeout } from "../../src/client/client.js";
import { connect } from "../../src/client/connect.js";
import { type HeardRequest, ScriptedPipe } from "../support/pipe-script.js";
import { inVirtualTime } from "../support/workflow-clock.js";

const QUICK = { probeTimeoutMs: 30 };
const PARAMS = { buf_size: 1024, buf_count: 4 };

/** What a server says to the two questions that are asked. */
interface Script {
  params?: Record<string, unknown>;
  consoleEcho?: Record<string, unknown>;
}

function server(script: Script, ignores: (request: HeardRequest) => boolean = () => false) {
  return new ScriptedPipe((request, pipe) => {
    if (ignores(request)) return;
    const answer = request.header.id === 6 ? script.params : script.consoleEcho;
    if (answer) pipe.answer(request, answer);
  });
}

test("before the first question whatever noise may have left in a line is ended", async () => {
  const pipe = server({ params: PARAMS, consoleEcho: { rc: 8 } });
  pipe.linesPerWrite = 1;
  await pipe.write(Buffer.from("half a line"));
  await connect(pipe, { ...QUICK, probes: 1 });
  expect(pipe.requests).toHaveLength(2);
});

describe("application or recovery, and its buffers", () => {
  const cases: { name: string; script: Script; expected: object }[] = [
    {
      name: "application that tells its buffers",
      script: { params: PARAMS, consoleEcho: { rc: 8 } },
      expected: { mode: "application", bufSize: 1024, bufCount: 4, bufSizeFrom: "server" },
    },
    {
      name: "application that does not",
      script: { params: { rc: 8 }, consoleEcho: { rc: 8 } },
      expected: { mode: "application", bufSize: 384, bufSizeFrom: "assumed" },
    },
    {
      name: "recovery that tells its buffer",
      script: { params: { buf_size: 1024, buf_count: 1 }, consoleEcho: { rc: 0 } },
      expected: { mode: "recovery", bufSize: 1024, bufCount: 1, bufSizeFrom: "server" },
    },
    {
      name: "recovery that does not",
      script: { params: { rc: 8 }, consoleEcho: { rc: 0 } },
      expected: { mode: "recovery", bufSize: 512, bufSizeFrom: "assumed" },
    },
    {
      name: "silent to console echo, one buffer",
      script: { params: { buf_size: 600, buf_count: 1 } },
      expected: { mode: "recovery", bufSize: 600, bufCount: 1, bufSizeFrom: "server" },
    },
    {
      name: "silent to console echo, no buffers told",
      script: { params: { rc: 8 } },
      expected: { mode: "unknown", bufSize: 384, bufSizeFrom: "assumed" },
    },
    {
      name: "a buffer that holds nothing",
      script: { params: { buf_size: 0, buf_count: 4 }, consoleEcho: { rc: 8 } },
      expected: { mode: "application", bufSize: 384, bufSizeFrom: "assumed" },
    },
    {
      name: "a buffer beyond what a header can announce",
      script: { params: { buf_size: 0xffffffff, buf_count: 4 }, consoleEcho: { rc: 8 } },
      expected: { mode: "application", bufSize: 0xffff, bufCount: 4, bufSizeFrom: "server" },
    },
    {
      name: "an answer of another shape",
      script: { params: { buf_size: "much" }, consoleEcho: { rc: 8 } },
      expected: { mode: "application", bufSize: 384, bufSizeFrom: "assumed" },
    },
  ];
  test.each(cases)("$name", async ({ script, expected }) => {
    const client = await connect(server(script), QUICK);
    expect(client.server).toEqual({ version: 2, ...expected });
  });
});

describe("the SMP version", () => {
  const script = { params: PARAMS, consoleEcho: { rc: 8 } };

  test("is 1 when the server keeps silent to 2", async () => {
    const client = await connect(
      server(script, ({ header }) => header.version === 2),
      QUICK,
    );
    expect(client.server).toMatchObject({ version: 1, bufSize: 1024, mode: "application" });
  });

  test("is 1 when the server answers 2 in the form of 1", async () => {
    const pipe = new ScriptedPipe((request, self) =>
      self.answer(request, request.header.id === 6 ? PARAMS : { rc: 8 }, { version: 1 }),
    );
    expect((await connect(pipe, QUICK)).server.version).toBe(1);
  });

  test("is 2 although the first request was lost", async () => {
    const client = await connect(
      server(script, ({ index }) => index === 0),
      QUICK,
    );
    expect(client.server).toMatchObject({ version: 2, bufSize: 1024 });
  });

  test("is 2 when the server refuses 1 as too old", async () => {
    const pipe = new ScriptedPipe((request, self) => {
      if (request.index === 0) return;
      const { version, id } = request.header;
      self.answer(request, version === 1 ? { rc: 12 } : id === 6 ? PARAMS : { rc: 8 });
    });
    expect((await connect(pipe, QUICK)).server).toMatchObject({
      version: 2,
      bufSize: 1024,
      bufSizeFrom: "server",
    });
  });
});

test("a board that is booting is left to finish its log before it is asked", async () => {
  const order: string[] = [];
  const pipe = server({ params: PARAMS, consoleEcho: { rc: 8 } }, () => order.push("asked") < 0);
  const boot = ["*** Booting ***\n", "image ok\n", "started\n"];
  pipe.say(boot[0]!);
  let next = 1;
  const talking = setInterval(
    () => (next < boot.length ? pipe.say(boot[next++]!) : clearInterval(talking)),
    15,
  );
  await connect(pipe, { ...QUICK, onText: (line) => order.push(line) });
  expect(order.slice(0, 4)).toEqual(["*** Booting ***", "image ok", "started", "asked"]);
});

test("a board that rests in the middle of its start is not asked before it is through", async () => {
  const order: string[] = [];
  const pipe = server({ params: PARAMS, consoleEcho: { rc: 8 } }, () => order.push("asked") < 0);
  pipe.say("I: Starting bootloader\n");
  setTimeout(() => pipe.say("I: Jumping to the first image slot\n"), 300);
  await connect(pipe, { ...QUICK, onText: (line) => order.push(line) });
  expect(order.slice(0, 3)).toEqual([
    "I: Starting bootloader",
    "I: Jumping to the first image slot",
    "asked",
  ]);
});

test("a board that was heard starting is asked three times as often, and the silence is named after it", async () => {
  const pipe = new ScriptedPipe();
  pipe.say("*** Booting MCUboot v2.4.0 ***\n");
  const error = await connect(pipe, { ...QUICK, probes: 2 }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({
    code: "timeout",
    received: "boot",
    hint: expect.stringMatching(/leave its power on/),
  });
  expect(pipe.requests).toHaveLength(6);
});

test("a board that answers late after its start is found", async () => {
  const pipe = server({ params: PARAMS, consoleEcho: { rc: 8 } }, ({ index }) => index < 4);
  pipe.say("I: Swap type: test\n");
  expect((await connect(pipe, { ...QUICK, probes: 2 })).server).toMatchObject({ version: 2, bufSize: 1024 });
});

test("however late a board answers, its answer counts while it is being asked", () =>
  inVirtualTime(async () => {
    const deaf: number[] = [];
    // Five questions in each of two framings, half a second each, with a rest between them.
    for (let lateMs = 0; lateMs < 4900; lateMs += 7) {
      const pipe = new ScriptedPipe((request, self) => {
        const fields = request.header.id === 6 ? PARAMS : { rc: 8 };
        setTimeout(() => self.answer(request, fields), lateMs);
      });
      await connect(pipe).then(
        (client) => client.close(),
        () => deaf.push(lateMs),
      );
    }
    expect(deaf).toEqual([]);
  }));

test("nobody there: the stream is closed and what was heard is told", async () => {
  const pipe = new ScriptedPipe();
  const error = await connect(pipe, { ...QUICK, probes: 2 }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RequestTimeout);
  expect(error).toMatchObject({ received: "nothing", attempts: 4 });
  expect(pipe.requests.map(({ header }) => header.version)).toEqual([2, 1]);
  expect(pipe.closed).toBe(true);
});

test("abort throws the reason and closes the stream", async () => {
  const pipe = new ScriptedPipe();
  const controller = new AbortController();
  const reason = new Error("stop");
  const connecting = connect(pipe, { signal: controller.signal }).catch((error: unknown) => error);
  controller.abort(reason);
  expect(await connecting).toBe(reason);
  expect(pipe.closed).toBe(true);
});

test("a device that vanishes meanwhile is lost", async () => {
  const pipe = new ScriptedPipe((_, self) => self.vanish());
  expect(await connect(pipe, QUICK).catch((error: unknown) => error)).toMatchObject({ code: "lost" });
});
