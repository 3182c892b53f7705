import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { boardOnTcp, ownFolder, runCli, startCli, type TcpBoard } from "../support/groups-cli.js";

const folder = ownFolder();
const trace = join(folder.path, "info.jsonl");
let board: TcpBoard;
let recorded: string;

beforeAll(async () => {
  board = await boardOnTcp();
  const { out, status } = await runCli(["info", "-d", board.address, "--trace", trace]);
  expect(status).toBe(0);
  recorded = out;
});
afterAll(async () => {
  await board.close();
  folder.remove();
});

interface Shown {
  direction: string;
  command: string;
  header: { group: number; id: number; seq: number };
  payload: unknown;
}

describe("--trace", () => {
  test("keeps every message as a line, with its time", () => {
    const lines = readFileSync(trace, "utf8").trimEnd().split("\n");
    const records = lines.map(
      (line) => JSON.parse(line) as { direction: string; at: number; command: string },
    );
    expect(records[0]).toMatchObject({ direction: "sent", at: expect.any(Number), command: "os params" });
    expect(records[1]).toMatchObject({ direction: "received", command: "os params" });
    const sent = records.filter(({ direction }) => direction === "sent");
    expect(sent.map(({ command }) => command)).toContain("image list");
    expect(records.filter(({ direction }) => direction === "received")).toHaveLength(sent.length);
  });

  test("is shown as a table and as JSON", async () => {
    const table = await runCli(["trace", "show", trace]);
    expect(table.status).toBe(0);
    expect(table.out).toMatch(/-> +\d+ +OS +os params/);
    expect(table.out).toMatch(/<- +\d+ +trust +trust counters/);
    const shown = (await runCli(["trace", "show", trace, "--json"])).json() as Shown[];
    const answer = shown.find(
      ({ command, direction }) => command === "os params" && direction === "received",
    );
    expect(answer?.payload).toMatchObject({ buf_size: 1024, buf_count: 4 });
  });

  test("whose last line was cut off is shown without it; another line that is none is named", async () => {
    const whole = readFileSync(trace, "utf8");
    const cut = join(folder.path, "cut.jsonl");
    writeFileSync(cut, whole.slice(0, -20));
    const shown = (await runCli(["trace", "show", cut, "--json"])).json() as Shown[];
    expect(shown).toHaveLength(whole.trimEnd().split("\n").length - 1);
    writeFileSync(cut, whole.replace("\n", "x\n"));
    const wrong = await runCli(["trace", "show", cut]);
    expect(wrong.status).toBe(20);
    expect(wrong.err).toContain("line 1: this is not a record of a trace");
  });

  test("a file that cannot be written is said before anything is sent", async () => {
    const { status, err } = await runCli([
      "echo",
      "-d",
      board.address,
      "--trace",
      join(folder.path, "no-such-folder", "x"),
    ]);
    expect(status).toBe(20);
    expect(err).toContain("cannot write the trace");
  });
});

test("a file that is no trace is refused with its line", async () => {
  const bad = join(folder.path, "bad.jsonl");
  writeFileSync(bad, `${readFileSync(trace, "utf8").split("\n")[0]}\n{"direction": "sent"}\n`);
  const { status, err } = await runCli(["trace", "show", bad]);
  expect(status).toBe(20);
  expect(err).toContain("line 2");
});

describe("trace serve", () => {
  test("answers as the board did: the same page comes out of it", async () => {
    const server = startCli(["trace", "serve", trace]);
    const [address] = await server.said(/tcp:127\.0\.0\.1:\d+/);
    const again = await runCli(["info", "-d", address]);
    expect(again.status).toBe(0);
    expect(again.out).toBe(
      recorded.replaceAll(board.address.slice("tcp:".length), address.slice("tcp:".length)),
    );
    // A second client finds the same board: the trace begins anew for it.
    expect((await runCli(["info", "-d", address])).out).toBe(again.out);

    const unknown = await runCli(["echo", "not in the trace", "-d", address]);
    expect(unknown.err).toContain("does not have this command");
    await server.said(/os echo: not in the trace/);
    server.child.kill("SIGINT");
    expect((await server.done).status).toBe(0);
  });

  test("silence in the trace is silence again", async () => {
    const silent = join(folder.path, "silent.jsonl");
    const kept = readFileSync(trace, "utf8")
      .trimEnd()
      .split("\n")
      .filter((line) => {
        const { command, direction } = JSON.parse(line) as { command: string; direction: string };
        return !(command === "image list" && direction === "received");
      });
    writeFileSync(silent, kept.join("\n"));
    const server = startCli(["trace", "serve", silent]);
    const [address] = await server.said(/tcp:127\.0\.0\.1:\d+/);
    const { status, err } = await runCli(["image", "list", "-d", address, "--timeout", "100"]);
    expect(status).not.toBe(0);
    expect(err).toContain("image list");
    expect(err).toContain("did not answer");
    server.child.kill("SIGTERM");
    await server.done;
  });
});
