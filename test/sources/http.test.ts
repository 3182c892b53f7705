import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { type FetchOptions, fetchFile } from "../../src/sources/http.js";
import { SourceError } from "../../src/sources/source.js";
import { freePort } from "../support/free-port.js";

/** Servers that do not keep what they promise. */
const content = Uint8Array.from({ length: 100_000 }, (_, index) => (index * 31 + (index >> 8)) & 0xff);
/** Compared as a whole: expect would compare byte by byte. */
const isContent = (bytes: Uint8Array) => Buffer.from(bytes).equals(content);
const folder = mkdtempSync(join(tmpdir(), "bootproof-http-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

type Handler = (request: IncomingMessage, response: ServerResponse, count: number) => void;

async function serve(
  handle: Handler,
  tls?: { key: Buffer; cert: Buffer },
): Promise<{ url: string; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    requests.push(request);
    handle(request, response, requests.length);
  };
  const server = tls ? createTlsServer(tls, onRequest) : createServer(onRequest);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return { url: `${tls ? "https" : "http"}://${tls ? "localhost" : "127.0.0.1"}:${port}/app.bin`, requests };
}

/** As a good server answers, ranges included. `cut`: bytes after which the connection breaks. */
function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { etag = '"v1"', cut }: { etag?: string; cut?: number } = {},
): void {
  const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
  const start = range && request.headers["if-range"] === etag ? Number(range[1]) : 0;
  const body = content.subarray(start);
  response.writeHead(start > 0 ? 206 : 200, {
    etag,
    "content-length": body.length,
    ...(start > 0 && { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` }),
  });
  if (cut === undefined) response.end(body);
  else response.write(body.subarray(0, cut), () => response.destroy());
}

const fails = async (url: string, options: FetchOptions = {}) => {
  const error = await fetchFile(url, options).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(SourceError);
  return error as SourceError;
};

describe("a file is fetched", () => {
  it("whole, with how it came beside it", async () => {
    const { url } = await serve((request, response) => answer(request, response));
    const { bytes, transport } = await fetchFile(url);
    expect(bytes).toSatisfy(isContent);
    expect(transport).toEqual({ url, finalUrl: url, bytes: content.length, resumed: 0 });
  });

  it("on where a cut left it, as often as it takes", async () => {
    const { url, requests } = await serve((request, response, count) =>
      answer(request, response, count < 4 ? { cut: 30_000 } : {}),
    );
    const { bytes, transport } = await fetchFile(url);
    expect(bytes).toSatisfy(isContent);
    expect(transport.resumed).toBe(3);
    expect(requests.map(({ headers }) => headers.range)).toEqual([
      undefined,
      ...[1, 2, 3].map((n) => `bytes=${n * 30_000}-`),
    ]);
  });

  it("from the beginning when the server has no ranges, or the file changed", async () => {
    const noRanges = await serve((request, response, count) => {
      delete request.headers.range;
      answer(request, response, count === 1 ? { cut: 30_000 } : {});
    });
    expect((await fetchFile(noRanges.url)).bytes).toSatisfy(isContent);
    const changed = await serve((request, response, count) =>
      answer(request, response, count === 1 ? { cut: 30_000, etag: '"v0"' } : {}),
    );
    expect((await fetchFile(changed.url)).bytes).toSatisfy(isContent);
    const weak = await serve((request, response, count) =>
      answer(request, response, { etag: 'W/"v1"', ...(count === 1 && { cut: 30_000 }) }),
    );
    expect((await fetchFile(weak.url)).bytes).toSatisfy(isContent);
    expect(weak.requests[1]!.headers.range).toBe(undefined);
  });

  it("after a server that is busy for a moment", async () => {
    const { url } = await serve((request, response, count) => {
      if (count === 1) response.writeHead(503).end();
      else answer(request, response);
    });
    expect((await fetchFile(url)).bytes).toSatisfy(isContent);
  });

  it("where a redirect leads", async () => {
    const { url } = await serve((request, response) => {
      if (request.url === "/app.bin") response.writeHead(302, { location: "/real.bin" }).end();
      else answer(request, response);
    });
    const { bytes, transport } = await fetchFile(url);
    expect(bytes).toSatisfy(isContent);
    expect(transport).toMatchObject({ url, finalUrl: url.replace("app", "real") });
  });

  it("without a length, to the end that chunks mark", async () => {
    const { url } = await serve((_request, response) => {
      response.write(content.subarray(0, 5000));
      response.end(content.subarray(5000));
    });
    expect((await fetchFile(url)).bytes).toSatisfy(isContent);
  });
});

describe("a file is not fetched", () => {
  const quick = { patienceMs: 200, resumes: 1 };

  it.each<[string, Handler, string, RegExp, FetchOptions?]>([
    ["from a server that never answers", () => {}, "not-fetched", /no answer for 0\.2 seconds/],
    [
      "that never ends",
      (_request, response) => {
        const more = () => {
          while (response.write(content));
        };
        response.on("drain", more);
        more();
      },
      "fetch-refused",
      /more than the 1000000 bytes/,
      { maxBytes: 1_000_000 },
    ],
    [
      "that is announced too long",
      (_request, response) => response.writeHead(200, { "content-length": 1e9 }).write("x"),
      "fetch-refused",
      /more than the 1000000/,
      { maxBytes: 1_000_000 },
    ],
    [
      "that is cut each time",
      (request, response) => answer(request, response, { cut: 10 }),
      "not-fetched",
      /could not be fetched completely/,
    ],
    [
      "of a chunked body that is cut",
      (_request, response) => response.write("x", () => response.destroy()),
      "not-fetched",
      /could not be fetched completely/,
    ],
    [
      "that redirects for ever",
      (_request, response) => response.writeHead(302, { location: "/app.bin" }).end(),
      "fetch-refused",
      /more than 5 times/,
    ],
    [
      "that redirects to a file of this machine",
      (_request, response) => response.writeHead(302, { location: "file:///etc/passwd" }).end(),
      "fetch-refused",
      /file:/,
    ],
    [
      "that is not there",
      (_request, response) => response.writeHead(404).end("no"),
      "not-fetched",
      /answers 404/,
    ],
    [
      "that is packed without being asked",
      (_request, response) => response.writeHead(200, { "content-encoding": "gzip" }).end("x"),
      "fetch-refused",
      /encoding gzip/,
    ],
    [
      "of another range than asked for",
      (request, response, count) => {
        if (count === 1) answer(request, response, { cut: 30_000 });
        else
          response
            .writeHead(206, {
              etag: '"v1"',
              "content-range": "bytes 0-99999/100000",
              "content-length": 100_000,
            })
            .end(content);
      },
      "fetch-refused",
      /another range/,
    ],
    [
      "whose total changes under the same name",
      (request, response, count) => {
        if (count === 1) answer(request, response, { cut: 30_000 });
        else
          response
            .writeHead(206, {
              etag: '"v1"',
              "content-range": "bytes 30000-49999/50000",
              "content-length": 20_000,
            })
            .end(content.subarray(30_000, 50_000));
      },
      "fetch-refused",
      /changed while/,
    ],
  ])("%s", async (_what, handle, code, message, options = {}) => {
    const { url } = await serve(handle);
    const error = await fails(url, { ...quick, ...options });
    expect(error.message).toMatch(message);
    expect(error.code).toBe(code);
  });

  it("that comes too slowly", async () => {
    // What measures the rate looks once, as soon as there is something to measure.
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    onTestFinished(() => void vi.useRealTimers());
    const { url } = await serve((_request, response) => {
      response.writeHead(200, { "content-length": 100_000, etag: '"v"' }).write("x");
    });
    const failing = fails(url, { resumes: 1 });
    while (vi.getTimerCount() === 0) await new Promise((resolve) => setImmediate(resolve));
    vi.advanceTimersToNextTimer();
    const error = await failing;
    expect(error.message).toMatch(/only [01] bytes came in 10 seconds/);
    expect(error.code).toBe("not-fetched");
  });

  it("from nobody", async () => {
    const url = `http://127.0.0.1:${await freePort()}/app.bin`;
    expect((await fails(url, quick)).message).toMatch(/ECONNREFUSED/);
  });

  it("after the user stopped it", async () => {
    const abort = new AbortController();
    const { url } = await serve(() => abort.abort(new Error("stopped")));
    await expect(fetchFile(url, { signal: abort.signal })).rejects.toThrow("stopped");
  });
});

describe("over TLS", () => {
  let good: { key: Buffer; cert: Buffer };
  let other: { key: Buffer; cert: Buffer };

  beforeAll(() => {
    const make = (name: string) => {
      const args = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout ${name}.key -out ${name}.crt`;
      expect(spawnSync("openssl", args.split(" "), { cwd: folder }).status).toBe(0);
      return {
        key: readFileSync(join(folder, `${name}.key`)),
        cert: readFileSync(join(folder, `${name}.crt`)),
      };
    };
    good = make("good");
    other = make("other");
  });

  it("only from a server that the given certificate vouches for", async () => {
    const { url } = await serve((request, response) => answer(request, response), good);
    const { bytes, transport } = await fetchFile(url, { ca: [good.cert.toString()] });
    expect(bytes).toSatisfy(isContent);
    expect(transport.certificate).toMatch(/^[0-9a-f]{64}$/);
    expect((await fails(url, { ca: [other.cert.toString()] })).code).toBe("fetch-refused");
    const unknown = await fails(url);
    expect(unknown).toMatchObject({ code: "fetch-refused", hint: expect.stringMatching(/--ca/) });
    expect((await fails(url.replace("localhost", "127.0.0.1"), { ca: [good.cert.toString()] })).code).toBe(
      "fetch-refused",
    );
  });

  it("never on to a server without it", async () => {
    const plain = await serve((request, response) => answer(request, response));
    const { url } = await serve(
      (_request, response) => response.writeHead(302, { location: plain.url }).end(),
      good,
    );
    expect((await fails(url, { ca: [good.cert.toString()] })).message).toMatch(/from HTTPS to HTTP/);
    expect(plain.requests).toHaveLength(0);
  });
});
