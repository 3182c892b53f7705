import { describe, expect, test } from "vitest";
import { Client, type ServerFacts } from "../../src/client/client.js";
import { type TransferPlan, transfer } from "../../src/client/transfer.js";
import type { RequestOf, ResponseOf } from "../../src/smp/command.js";
import { rawFraming } from "../../src/smp/framing/raw.js";
import { imageUpload } from "../../src/smp/groups/image.js";
import { type HeardRequest, ScriptedPipe } from "../support/pipe-script.js";
import { inVirtualTime } from "../support/workflow-clock.js";

type Request = RequestOf<typeof imageUpload>;
type Response = ResponseOf<typeof imageUpload>;

const TOTAL = 40_000;
/** What a message spends on header, map and keys is less than this. */
const AROUND = 40;

/** A file of which only offsets count. */
const plan: TransferPlan<Request, Response> = {
  command: imageUpload,
  ask: (offset, maxMessage) => {
    if (offset >= TOTAL) return undefined;
    const data = new Uint8Array(Math.min(maxMessage - AROUND, TOTAL - offset));
    return { request: { off: offset, data }, next: offset + data.length };
  },
  wanted: ({ off }) => off,
};

const FACTS: ServerFacts = {
  version: 2,
  bufSize: 512,
  bufCount: 5,
  bufSizeFrom: "server",
  mode: "application",
};

/** A server that takes what fits its offset, one message after the other, and may lose some. */
class Server {
  wants = 0;
  heard = 0;
  /** Messages sent and not yet answered, and the most there were. */
  underWay = 0;
  mostUnderWay = 0;
  lengths: number[] = [];
  readonly pipe: ScriptedPipe;
  readonly #isLost: (request: HeardRequest, server: Server) => boolean;
  readonly #messageMs: number;
  #freeAt = 0;

  constructor(isLost: (request: HeardRequest, server: Server) => boolean = () => false, messageMs = 10) {
    this.#isLost = isLost;
    this.#messageMs = messageMs;
    this.pipe = new ScriptedPipe((request) => this.#take(request));
  }

  client(facts: Partial<ServerFacts> = {}, options = {}): Client {
    const client = new Client(this.pipe, { timeoutMs: 500, ...options });
    client.server = { ...FACTS, ...facts };
    return client;
  }

  #take(request: HeardRequest): void {
    this.heard++;
    const { off = 0, data } = request.fields as { off?: number; data?: Uint8Array };
    if (data) this.lengths.push(data.length);
    if (this.#isLost(request, this)) return;
    this.underWay++;
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
    // The wire is slow and carries one after the other; the answer comes a moment later.
    this.#freeAt = Math.max(performance.now(), this.#freeAt) + this.#messageMs;
    setTimeout(
      () => {
        if (data && off === this.wants) this.wants += data.length;
        this.underWay--;
        this.pipe.answer(request, data ? { off: this.wants } : { rc: 8 });
      },
      this.#freeAt - performance.now() + 30,
    );
  }
}

async function carry(client: Client, offset = 0): Promise<number[]> {
  const offsets: number[] = [];
  for await (const { wanted } of transfer(client, plan, { offset })) offsets.push(wanted);
  return offsets;
}

describe("the window", () => {
  test("starts at one, grows while that helps, and never holds more than the server has buffers for", () =>
    inVirtualTime(async () => {
      const server = new Server();
      const seen: number[] = [];
      const client = server.client();
      for await (const _ of transfer(client, plan)) seen.push(client.pacing.writing.window.size);
      expect(seen[0]).toBe(1);
      expect(Math.max(...seen)).toBe(4);
      expect(server.mostUnderWay).toBe(4);
      expect(server.wants).toBe(TOTAL);
    }));

  test.each([
    ["a server with one buffer", { bufCount: 1 }],
    ["a server that does not say", { bufCount: undefined }],
    ["serial recovery, whatever it says", { mode: "recovery", bufCount: 4 }],
  ] as const)("stays one for %s", (_, facts) =>
    inVirtualTime(async () => {
      const server = new Server();
      await carry(server.client(facts as Partial<ServerFacts>));
      expect(server.mostUnderWay).toBe(1);
      expect(server.wants).toBe(TOTAL);
    }),
  );

  test("stays one on raw framing, where a second message spoils the first", () => {
    const client = new Client(new ScriptedPipe(), { framing: rawFraming });
    client.server = FACTS;
    expect(client.pacing.writing.window.size).toBe(1);
    for (let n = 0; n < 100; n++) client.pacing.writing.window.answered(1000, n);
    expect(client.pacing.writing.window.size).toBe(1);
  });

  test("falls when the server says that it has no buffer left", () =>
    inVirtualTime(async () => {
      const server = new Server();
      const answer = server.pipe.answer.bind(server.pipe);
      let refusals = 0;
      server.pipe.answer = (request, fields, changes) => {
        const isOut = server.mostUnderWay > 2 && refusals === 0;
        if (isOut) refusals++;
        answer(request, isOut ? { rc: 2 } : fields, changes);
      };
      await carry(server.client());
      expect(refusals).toBe(1);
      expect(server.wants).toBe(TOTAL);
    }));

  test("shrinks at the first loss, and is tried again", () =>
    inVirtualTime(async () => {
      let lost = false;
      const server = new Server((_, { mostUnderWay }) => {
        if (lost || mostUnderWay < 3) return false;
        lost = true;
        return true;
      });
      const client = server.client();
      const seen: number[] = [];
      for await (const _ of transfer(client, plan)) seen.push(client.pacing.writing.window.size);
      const peak = seen.indexOf(4);
      expect(peak).toBeGreaterThan(0);
      expect(seen.slice(peak)).toContain(2);
      expect(server.wants).toBe(TOTAL);
    }));

  test("that was learned is where the next transfer begins", () =>
    inVirtualTime(async () => {
      const first = new Server().client();
      await carry(first);
      expect(first.pacing.memory).toMatchObject({ framing: "console", window: 4 });
      const server = new Server();
      const second = server.client({}, { memory: first.pacing.memory });
      for await (const _ of transfer(second, plan)) break;
      expect(server.mostUnderWay).toBe(4);
    }));
});

describe("what gets lost", () => {
  test.each([2, 3, 5, 7])(
    "each %ith message: all arrives, in order, from the offset the device wants",
    (nth) =>
      inVirtualTime(async () => {
        const server = new Server(({ index }) => index % nth === nth - 1);
        const offsets = await carry(server.client());
        expect(server.wants).toBe(TOTAL);
        expect(offsets.at(-1)).toBe(TOTAL);
      }),
  );

  test("long messages, by a server that drops bursts: shorter ones are found and remembered", () =>
    inVirtualTime(async () => {
      const server = new Server(({ fields }) => ((fields.data as Uint8Array | undefined)?.length ?? 0) > 300);
      const client = server.client();
      await carry(client);
      expect(server.wants).toBe(TOTAL);
      expect(client.pacing.memory.maxMessage).toBeLessThanOrEqual(300 + AROUND);
      const tooLong = server.lengths.filter((length) => length > 300).length;
      expect(tooLong).toBeLessThan(server.lengths.length / 4);
    }));

  test("one answer: the next one says that nothing was lost, and nothing is sent again", () =>
    inVirtualTime(async () => {
      const server = new Server();
      const answer = server.pipe.answer.bind(server.pipe);
      let answers = 0;
      server.pipe.answer = (...words) => {
        if (++answers !== 41) answer(...words);
      };
      await carry(server.client());
      expect(server.wants).toBe(TOTAL);
      const sent = server.lengths.reduce((sum, length) => sum + length, 0);
      expect(sent - TOTAL).toBeLessThanOrEqual(512 * 4);
    }));

  test("everything: it gives up when an ordinary request would", () =>
    inVirtualTime(async () => {
      const server = new Server(() => true);
      const start = performance.now();
      await expect(carry(server.client({}, { timeoutMs: 500, retries: 3 }))).rejects.toMatchObject({
        code: "timeout",
      });
      // Four times 500 ms of silence, give or take the last wait.
      expect(performance.now() - start).toBeGreaterThan(1999);
      expect(performance.now() - start).toBeLessThan(3000);
    }));
});

describe("one message alone", () => {
  /** What the device hears right after the message that it lost. */
  async function afterTheLost(facts: Partial<ServerFacts>): Promise<HeardRequest> {
    const lost: number[] = [];
    const server = new Server(({ fields, index }) => {
      const isLost = index === 2 && fields.data !== undefined;
      if (isLost) lost.push(index);
      return isLost;
    });
    await carry(server.client(facts));
    expect(server.wants).toBe(TOTAL);
    return server.pipe.requests[lost[0]! + 1]!;
  }

  test("is given up as soon as the device answers a short question behind it", () =>
    inVirtualTime(async () => {
      expect((await afterTheLost({ bufCount: 5 })).header.group).toBe(0);
    }));

  test.each([1, 2])("has nothing asked behind it where there are %i buffers", (bufCount) =>
    inVirtualTime(async () => {
      expect((await afterTheLost({ bufCount })).header.group).toBe(1);
    }),
  );
});

describe("a request that may take long", () => {
  const patient: typeof plan = {
    ...plan,
    ask: (offset, maxMessage) => {
      const asked = plan.ask(offset, maxMessage);
      return asked && offset === 0 ? { ...asked, patienceMs: 40_000 } : asked;
    },
  };

  test("is waited for alone while the device is busy and says nothing", () =>
    inVirtualTime(async () => {
      let busyUntil = Number.POSITIVE_INFINITY;
      const held: HeardRequest[] = [];
      const pipe = new ScriptedPipe((request, self) => {
        if (busyUntil === Number.POSITIVE_INFINITY) {
          busyUntil = performance.now() + 20_000;
          setTimeout(() => self.answer(request, { off: (request.fields.data as Uint8Array).length }), 20_000);
        } else if (performance.now() < busyUntil) held.push(request);
        else
          self.answer(request, {
            off: (request.fields.off as number) + (request.fields.data as Uint8Array).length,
          });
      });
      const client = new Client(pipe);
      client.server = FACTS;
      for await (const _ of transfer(client, patient)) break;
      const uploads = pipe.requests.filter(({ header }) => header.group === 1);
      expect(uploads).toHaveLength(1);
      expect(held.every(({ header }) => header.group === 0)).toBe(true);
      // Its answer and the request have a buffer each; what is one too many would end a Zephyr server.
      expect(held.length).toBeGreaterThan(0);
      expect(held.length).toBeLessThanOrEqual((FACTS.bufCount ?? 0) - 2);
    }));

  test("that was lost is sent again as soon as the device answers something asked behind it", () =>
    inVirtualTime(async () => {
      let first = true;
      const server = new Server(() => {
        const isLost = first;
        first = false;
        return isLost;
      });
      const start = performance.now();
      for await (const _ of transfer(server.client(), patient)) break;
      expect(performance.now() - start).toBeLessThan(5000);
      expect(server.wants).toBeGreaterThan(0);
    }));
});

test("abort throws the reason, and ordinary requests go on", () =>
  inVirtualTime(async () => {
    const server = new Server();
    const client = server.client();
    const controller = new AbortController();
    const reason = new Error("stop");
    let seen = 0;
    const carrying = (async () => {
      for await (const _ of transfer(client, plan, { signal: controller.signal }))
        if (++seen === 5) controller.abort(reason);
    })();
    await expect(carrying).rejects.toBe(reason);
    expect((await client.send(imageUpload, { off: 1, data: new Uint8Array(8) })).off).toBe(server.wants);
  }));

test("a transfer and ordinary requests take turns", () =>
  inVirtualTime(async () => {
    const server = new Server();
    const client = server.client();
    let answered = 0;
    for await (const { wanted } of transfer(client, plan)) {
      if (wanted < TOTAL / 2 || answered > 0) continue;
      await expect(client.send(imageUpload, { off: 1, data: new Uint8Array(1) })).resolves.toBeDefined();
      answered++;
    }
    expect(answered).toBe(1);
    expect(server.wants).toBe(TOTAL);
  }));
