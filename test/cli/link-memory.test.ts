import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { recallLink, rememberLink } from "../../src/cli/link-memory.js";
import { boardOnTcp, runCli } from "../support/groups-cli.js";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "cache-"));
  vi.stubEnv("XDG_CACHE_HOME", home);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

const file = () => join(home, "bootproof/links.json");

test("what a link taught is there the next time, under its board's key only", () => {
  const memory = { framing: "raw", window: 3, maxMessage: 160, linePauseMs: 20 } as const;
  rememberLink("SN1", memory);
  expect(recallLink("SN1")).toEqual(memory);
  expect(recallLink("SN2")).toEqual({});
});

test("a file that is damaged, or holds what cannot be, is as if it were not there", () => {
  rememberLink("SN1", { framing: "raw" });
  for (const text of [
    "",
    "{",
    "[]",
    "null",
    '{"SN1": 7}',
    '{"SN1": {"framing": "morse", "window": -1, "maxMessage": 1e9}}',
  ]) {
    writeFileSync(file(), text);
    expect(recallLink("SN1")).toEqual({});
  }
  writeFileSync(file(), '{"__proto__": {"framing": "raw"}, "SN1": {"framing": "raw", "window": 2.5}}');
  expect(recallLink("SN1")).toEqual({ framing: "raw" });
  expect(recallLink("toString")).toEqual({});
});

test("two hundred boards are remembered, the last ones", () => {
  for (let n = 0; n < 250; n++) rememberLink(`SN${n}`, { window: 2 });
  expect(Object.keys(JSON.parse(readFileSync(file(), "utf8")))).toHaveLength(200);
  expect(recallLink("SN249")).toEqual({ window: 2 });
  expect(recallLink("SN0")).toEqual({});
});

describe("the program", () => {
  test("keeps what a link taught", async () => {
    const board = await boardOnTcp();
    try {
      const { status } = await runCli(["params", "-d", board.address], { env: { XDG_CACHE_HOME: home } });
      expect(status).toBe(0);
      expect(recallLink(board.address)).toMatchObject({ framing: "console" });
    } finally {
      await board.close();
    }
  });

  test.each([
    ["console", `${"\u007f".repeat(7)}\n\u0006\u0009`],
    ["raw", "\u0008\u0000"],
  ] as const)("begins with the %s framing that it remembers", async (framing, first) => {
    const silent = await silentServer();
    try {
      rememberLink(silent.address, { framing });
      await runCli(["params", "-d", silent.address], { env: { XDG_CACHE_HOME: home } });
      expect(silent.heard().slice(0, first.length)).toBe(first);
    } finally {
      silent.close();
    }
  });
});

/** Hears everything and says nothing. */
async function silentServer() {
  let heard = "";
  const server = createServer((socket) => {
    socket.on("data", (chunk: Buffer) => {
      heard += chunk.toString("latin1");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { address: `tcp:127.0.0.1:${port}`, heard: () => heard, close: () => server.close() };
}

test("a cache that cannot be written is no reason to fail", () => {
  vi.stubEnv("XDG_CACHE_HOME", "/proc/nowhere");
  rememberLink("SN1", { window: 2 });
  expect(recallLink("SN1")).toEqual({});
});
