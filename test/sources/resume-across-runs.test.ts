import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { partialDownload } from "../../src/cli/partial-download.js";
import { fetchFile } from "../../src/sources/http.js";
import { bootproof, keyFile, start, tempFolder } from "../support/cli-run.js";
import { untilSeen } from "../support/limits.js";
import { image } from "../support/workflow-board.js";

/** What a run leaves of a download when it ends in the middle, and what the next one makes of it. */
let content: Uint8Array;
beforeAll(async () => {
  content = await image("good-b", { version: "2.0.0" });
});

interface Behaviour {
  readonly etag?: string;
  /** Sends so many bytes and then nothing more. */
  readonly hangAfter?: number;
  readonly cutAfter?: number;
  readonly body?: Uint8Array;
}

/** Answers with ranges, each time as it is told to. */
async function serve() {
  const asked: { range: string | undefined; ifRange: string | string[] | undefined }[] = [];
  let how: Behaviour = {};
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const { etag = '"v1"', hangAfter, cutAfter, body = content } = how;
    const { range, "if-range": ifRange } = request.headers;
    asked.push({ range, ifRange });
    const from = range !== undefined && ifRange === etag ? Number(/\d+/.exec(range)![0]) : 0;
    const rest = body.subarray(from);
    response.writeHead(from > 0 ? 206 : 200, {
      etag,
      "content-length": rest.length,
      ...(from > 0 && { "content-range": `bytes ${from}-${body.length - 1}/${body.length}` }),
    });
    if (hangAfter !== undefined) response.write(rest.subarray(0, hangAfter));
    else if (cutAfter !== undefined) response.write(rest.subarray(0, cutAfter), () => response.destroy());
    else response.end(rest);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/app.bin`,
    asked,
    behave: (next: Behaviour) => {
      how = next;
    },
  };
}

function stateHome(): { readonly file: (ending: string) => string; readonly files: () => string[] } {
  const home = mkdtempSync(join(tmpdir(), "bootproof-state-"));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  vi.stubEnv("XDG_STATE_HOME", home);
  onTestFinished(() => void vi.unstubAllEnvs());
  const folder = join(home, "bootproof", "downloads");
  const files = () => readdirSync(folder);
  return { files, file: (ending) => join(folder, files().find((name) => name.endsWith(ending))!) };
}

describe("a download that ended in the middle", () => {
  const run = (url: string) => fetchFile(url, { resumes: 0, partial: partialDownload(url) });

  /** A first run that gets 10000 bytes, and the state that it leaves. */
  async function begun() {
    const state = stateHome();
    const server = await serve();
    server.behave({ cutAfter: 10_000 });
    await expect(run(server.url)).rejects.toThrow(/could not be fetched completely/);
    server.behave({});
    return { ...server, state };
  }

  it("is gone on with by the next run", async () => {
    const { url, asked, state } = await begun();
    expect(statSync(state.file(".part")).mode & 0o777).toBe(process.platform === "win32" ? 0o666 : 0o600);
    const { bytes, transport } = await run(url);
    expect(Buffer.from(bytes).equals(content)).toBe(true);
    expect(transport).toMatchObject({ reused: 10_000, resumed: 0 });
    expect(asked.at(-1)).toEqual({ range: "bytes=10000-", ifRange: '"v1"' });
    expect(state.files()).toEqual([]);
  });

  it("begins again when the server has another version", async () => {
    const { url, behave, asked } = await begun();
    const other = content.map((byte) => byte ^ 1);
    behave({ etag: '"v2"', body: other });
    const { bytes, transport } = await run(url);
    expect(Buffer.from(bytes).equals(other)).toBe(true);
    expect(transport.reused).toBe(undefined);
    expect(asked.at(-1)!.range).toBe("bytes=10000-");
  });

  it.each<[what: string, damage: (state: ReturnType<typeof stateHome>) => void]>([
    ["a byte of it changed", ({ file }) => change(file(".part"), 5)],
    ["what it is of is lost", ({ file }) => writeFileSync(file(".list"), "{")],
    ["its digests are lost", ({ file }) => truncateSync(file(".list"), 40)],
    ["the bytes are lost", ({ file }) => rmSync(file(".part"))],
  ])("begins again when %s", async (_what, damage) => {
    const { url, asked, state } = await begun();
    damage(state);
    const { bytes } = await run(url);
    expect(Buffer.from(bytes).equals(content)).toBe(true);
    expect(asked.at(-1)!.range).toBe(undefined);
  });

  it("uses what is good of it when its end is torn", async () => {
    const state = stateHome();
    const server = await serve();
    const store = partialDownload(server.url);
    store.begin({ etag: '"v1"', total: content.length });
    store.append(content.subarray(0, 4000));
    store.append(content.subarray(4000, 9000));
    truncateSync(state.file(".part"), 8999);
    const { bytes, transport } = await run(server.url);
    expect(Buffer.from(bytes).equals(content)).toBe(true);
    expect(transport.reused).toBe(4000);
  });

  it("is forgotten when the server turns out to lie", async () => {
    const { url, behave, state } = await begun();
    behave({ body: content.subarray(0, 20_000) });
    await expect(run(url)).rejects.toThrow(/changed while it was being fetched/);
    expect(state.files()).toEqual([]);
  });

  it("of a server without a strong ETag is not kept", async () => {
    const state = stateHome();
    const { url, behave } = await serve();
    behave({ etag: 'W/"v1"', cutAfter: 10_000 });
    await expect(run(url)).rejects.toThrow(/could not be fetched completely/);
    expect(() => state.files()).toThrow(/ENOENT/);
  });
});

describe("bootproof verify", () => {
  it("goes on after it was killed, and judges the whole", async () => {
    const env = { XDG_STATE_HOME: tempFolder() };
    const { url, asked, behave } = await serve();
    behave({ hangAfter: 12_345 });
    const words = ["verify", url, "--key", keyFile("ed25519-1"), "--json"];
    const list = join(env.XDG_STATE_HOME, "bootproof", "downloads");
    const running = start(words, { env });
    await untilSeen("12,345 bytes are kept", (seen) => {
      const name = existsSync(list) && readdirSync(list).find((one) => one.endsWith(".list"));
      const sizes = name ? readFileSync(join(list, name), "utf8").trim().split("\n").slice(1) : [];
      const kept = sizes.reduce((sum, line) => sum + Number.parseInt(line, 10), 0);
      seen(kept);
      return kept === 12_345 || undefined;
    });
    running.child.kill("SIGKILL");
    await running.ended;
    behave({});
    const { status, stdout } = await bootproof(words, { env });
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      source: { transport: { reused: 12_345, bytes: content.length } },
      images: [{ result: "good" }],
    });
    expect(asked.at(-1)!.range).toBe("bytes=12345-");
  });

  it("obeys the limits that it is given", async () => {
    const { url, behave } = await serve();
    const words = ["verify", url, "--key", keyFile("ed25519-1")];
    const long = await bootproof([...words, "--fetch-max-bytes", "20000"]);
    expect(long).toMatchObject({
      status: 20,
      stderr: expect.stringMatching(/more than the 20000 bytes.*--fetch-max-bytes/s),
    });
    behave({ hangAfter: 100 });
    const slow = await bootproof([...words, "--fetch-timeout", "1", "--fetch-min-rate", "1"]);
    expect(slow).toMatchObject({ status: 20, stderr: expect.stringMatching(/bytes came in 1 seconds/) });
  });
});

function change(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 1;
  writeFileSync(path, bytes);
}
