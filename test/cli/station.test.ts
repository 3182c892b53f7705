import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, start, tempFolder } from "../support/cli-run.js";
import {
  benchFiles,
  heldBoard,
  isQuiet,
  noPtyBoardReason,
  type RunningStation,
  startPtyBoard,
  startStation,
  type TileShown,
  tilesOnce,
} from "../support/station.js";
import { image as signed } from "../support/workflow-board.js";
import { type Fault, isUpload } from "../support/workflow-wire.js";

beforeAll(ensureBuilt);

interface Rec {
  id: string;
  board: string;
  kind: string;
  verdict: string;
  outcome: string;
  message: string;
  begunBefore: number;
  runs?: { version: string };
}

/** A bench of emulated boards that keep their flash, and a station over it. */
async function wasmBench(
  names: readonly string[],
  { variant = "good", more = [] as readonly string[] } = {},
) {
  const files = await benchFiles();
  const rack = join(files.folder, "rack.yaml");
  const row = (name: string) =>
    `  - { name: ${name}, kind: wasm, variant: ${variant}, flash: ${name}.flash, tags: [bench] }`;
  writeFileSync(rack, `boards:\n${[...names.map(row), ...more].join("\n")}\n`);
  const env = { XDG_STATE_HOME: files.state };
  const words = ["--boards", rack, "--key", files.publicKey, "--update", files.update, "--soak", "0"];
  return {
    ...files,
    rack,
    env,
    address: (name: string) => `wasm:${variant}?flash=${join(files.folder, `${name}.flash`)}`,
    station: (...more: string[]) => startStation([...words, ...more], { env }),
    words,
  };
}

async function updateOf(station: RunningStation): Promise<string> {
  const { value } = await station.ask("api/state");
  return (value as { updates: { sha256: string }[] }).updates[0]!.sha256;
}

async function submit(station: RunningStation, body: Record<string, unknown>) {
  const answer = await station.ask("api/jobs", { body });
  expect(answer.status, answer.text).toBe(201);
  return (answer.value as { jobs: { id: string; board: string }[] }).jobs;
}

async function historyOf(station: RunningStation, query = ""): Promise<{ total: number; records: Rec[] }> {
  return (await station.ask(`api/history?${query}`)).value;
}

describe("a station", () => {
  it.skipIf(noPtyBoardReason !== undefined)(
    `says of each board what smpclient reads from it afterwards${noPtyBoardReason ? ` (${noPtyBoardReason})` : ""}`,
    async () => {
      const files = await benchFiles();
      const old = await signed("good-a");
      /** Once set, it is told of the next upload to the second board, which does not arrive. */
      let pulling: (() => void) | undefined;
      const cable: Fault = (message) => {
        if (pulling === undefined || message.direction !== "to-board" || !isUpload(message)) return "pass";
        pulling();
        return "drop";
      };
      const [first, second, foreign] = [
        await startPtyBoard("good", old),
        await startPtyBoard("good", old, { cable }),
        await startPtyBoard("p256", await signed("good-a", { variant: "p256" })),
      ];
      const boards = { first: first!, second: second!, foreign: foreign! };
      const devices = Object.fromEntries(
        Object.entries(boards).map(([name, { path }]) => [name, `serial:${path}`]),
      );
      writeFileSync(join(files.folder, ".bootproof.json"), JSON.stringify({ boards: devices }));
      const station = await startStation(
        ["--key", files.publicKey, "--update", files.update, "--soak", "0"],
        { env: { XDG_STATE_HOME: files.state }, cwd: files.folder },
      );
      await tilesOnce(station, isQuiet);
      const names = Object.keys(boards);
      await submit(station, { kind: "flash", boards: names, update: await updateOf(station), label: "SN-1" });
      const tiles = await tilesOnce(station, isQuiet);
      expect(names.map((name) => tiles[name]!.last?.verdict)).toEqual(["pass", "pass", "fail"]);
      for (const [name, board] of Object.entries(boards)) {
        const { version, confirmed } = tiles[name]!.facts!;
        expect(await board.readByOthers(), name).toEqual({ version, confirmed });
      }
      // A board that another process has is not opened, and it is said who has it.
      const holder = start(["console", "-d", devices.first!, "--for", "600"]);
      await holder.waitFor(/is open/);
      await submit(station, { kind: "look", boards: ["first"] });
      const held = await tilesOnce(station, (now) => isQuiet(now) && now.first!.state === "failing");
      expect(held.first!.message).toMatch(/main\.js console|node/);
      holder.child.kill("SIGINT");
      await holder.ended;
      // A cable that is pulled in the middle holds up that board and no other.
      const isUnderWay = new Promise<void>((resolve) => {
        pulling = resolve;
      });
      const sent = await station.ask("api/updates?name=newer.bin", {
        bytes: await signed("good-b", { version: "2.1.0" }),
      });
      const { sha256 } = (sent.value as { update: { sha256: string } }).update;
      const [lost] = await submit(station, { kind: "flash", boards: ["second"], update: sha256 });
      await isUnderWay;
      await second!.unplug();
      await tilesOnce(station, (now) => now.second!.running?.step === "link lost");
      const { readAt } = tiles.first!.facts!;
      await submit(station, { kind: "look", boards: ["first"] });
      const isRead = ({ state, facts }: TileShown) => state === "idle" && facts?.readAt !== readAt;
      const beside = await tilesOnce(station, (now) => isRead(now.first!));
      expect(beside.second!.running!.job.id).toBe(lost!.id);
      await station.ask(`api/jobs/${lost!.id}`, { method: "DELETE" });
      expect((await tilesOnce(station, isQuiet)).second!.last).toMatchObject({ verdict: "stopped" });
      await station.end();
    },
  );

  it.skipIf(noPtyBoardReason !== undefined)(
    `killed in the middle of a flash and a proof, finishes the one and puts the other back${noPtyBoardReason ? ` (${noPtyBoardReason})` : ""}`,
    async () => {
      const held = await heldBoard();
      const bench = await wasmBench(["right", "spare"], { more: [held.row("left")] });
      const first = await bench.station();
      await tilesOnce(first, isQuiet);
      const before = readFileSync(join(bench.folder, "right.flash"));
      const update = await updateOf(first);
      await submit(first, { kind: "flash", boards: ["left"], update });
      await tilesOnce(first, (now) => now.left!.running?.step === "uploading");
      await submit(first, { kind: "prove-full", boards: ["right"] });
      await tilesOnce(first, () => !readFileSync(join(bench.folder, "right.flash")).equals(before));
      await submit(first, { kind: "flash", boards: ["spare"], update });
      await submit(first, { kind: "flash", boards: ["spare"], update, label: "again" });
      await first.kill();

      held.letGo();
      const second = await bench.station();
      await second.run.waitFor(/left: flash was in progress when the station stopped/);
      const tiles = await tilesOnce(second, isQuiet);
      const { records } = await historyOf(second);
      const of = (board: string, kind: string) =>
        records.filter((one) => one.board === board && one.kind === kind);
      expect(of("left", "flash")).toMatchObject([
        { verdict: "pass", begunBefore: 1, runs: { version: "2.0.0" } },
      ]);
      expect(of("right", "prove-full")).toMatchObject([{ verdict: "unfinished", outcome: "put-back" }]);
      expect(of("spare", "flash")).toHaveLength(2);
      expect(tiles.right!.facts!.version).toBe("1.0.0");
      await second.end();
      expect(readFileSync(join(bench.folder, "right.flash")).equals(before)).toBe(true);
      expect(await held.readByOthers()).toEqual({ version: "2.0.0", confirmed: true });
    },
  );

  it.skipIf(noPtyBoardReason !== undefined)(
    `stops a job and takes one from the queue; ended by Ctrl-C it keeps both for the next start${noPtyBoardReason ? ` (${noPtyBoardReason})` : ""}`,
    async () => {
      const held = await heldBoard();
      const bench = await wasmBench(["only"], { more: [held.row("desk")] });
      const station = await bench.station();
      await tilesOnce(station, isQuiet);
      const [running] = await submit(station, { kind: "prove-full", boards: ["only"] });
      const [waiting] = await submit(station, { kind: "look", boards: ["only"] });
      await tilesOnce(station, (now) => /\//.test(now.only!.running?.step ?? ""));
      expect((await station.ask(`api/jobs/${waiting!.id}`, { method: "DELETE" })).status).toBe(200);
      expect((await station.ask(`api/jobs/${running!.id}`, { method: "DELETE" })).status).toBe(200);
      expect((await station.ask("api/jobs/nothing", { method: "DELETE" })).status).toBe(404);
      const tiles = await tilesOnce(station, isQuiet);
      expect(tiles.only!.last).toMatchObject({ verdict: "stopped" });
      await submit(station, { kind: "flash", boards: ["desk"], update: await updateOf(station) });
      const [next] = await submit(station, {
        kind: "flash",
        boards: ["desk"],
        update: await updateOf(station),
        label: "again",
      });
      await tilesOnce(station, (now) => now.desk!.running?.step === "uploading");
      await station.end();
      held.letGo();
      const again = await bench.station("--no-look");
      await tilesOnce(again, (now) => isQuiet(now) && now.desk!.last?.id === next!.id);
      const { records } = await historyOf(again);
      expect(records.filter(({ board, kind }) => board === "desk" && kind === "flash")).toMatchObject([
        { verdict: "pass", outcome: "already-running", begunBefore: 0 },
        { verdict: "pass", outcome: "confirmed", begunBefore: 1 },
      ]);
      await again.end();
      expect(await held.readByOthers()).toEqual({ version: "2.0.0", confirmed: true });
    },
  );

  it("is alone on its bench, and never opens a board that another process has", async () => {
    const bench = await wasmBench(["only"]);
    const station = await bench.station("--no-look");
    const second = await bootproof(["station", ...bench.words, "--port", "0"], { env: bench.env });
    expect(second.status).toBe(12);
    expect(second.stderr).toContain(`process ${station.run.child.pid}, at ${station.url}`);
    const holder = start(["board", "wasm:good", "--flash", join(bench.folder, "only.flash")]);
    await holder.waitFor(/tcp:/);
    await submit(station, { kind: "look", boards: ["only"] });
    const tiles = await tilesOnce(station, (now) => now.only!.state === "failing");
    expect(tiles.only!.message).toContain(`process ${holder.child.pid}`);
  });

  it("leaves a board alone that another bench's station has, says so, and has it afterwards", async () => {
    const bench = await wasmBench(["shared"]);
    const rack = join(bench.folder, "other-rack.yaml");
    writeFileSync(rack, "boards:\n  - { name: same, kind: wasm, flash: shared.flash }\n");
    const first = await bench.station();
    await tilesOnce(first, (now) => now.shared!.facts !== undefined);
    const second = await startStation(["--boards", rack, "--no-look"], { env: bench.env });
    const [proof] = await submit(first, { kind: "prove-full", boards: ["shared"] });
    await tilesOnce(first, (now) => /\//.test(now.shared!.running?.step ?? ""));
    await submit(second, { kind: "look", boards: ["same"] });
    const held = await tilesOnce(second, (now) => now.same!.state === "failing");
    expect(held.same!.message).toContain(`process ${first.run.child.pid}`);
    expect((await first.ask(`api/jobs/${proof!.id}`, { method: "DELETE" })).status).toBe(200);
    // What was stopped is looked at, which nobody asked for.
    const isStopped = (now: Record<string, TileShown>) => isQuiet(now) && now.shared!.last !== undefined;
    const stopped = await tilesOnce(first, (now) => isStopped(now) && now.shared!.facts !== undefined);
    expect(stopped.shared).toMatchObject({ last: { verdict: "stopped" }, facts: { version: "1.0.0" } });
    await submit(second, { kind: "look", boards: ["same"] });
    const had = await tilesOnce(second, (now) => now.same!.state === "idle");
    expect(had.same!.facts).toEqual({ ...stopped.shared!.facts, readAt: expect.any(String) });
    await first.end();
    await second.end();
  });

  it.skipIf(noPtyBoardReason !== undefined)(
    `shows what is plugged in and out without being asked${noPtyBoardReason ? ` (${noPtyBoardReason})` : ""}`,
    async () => {
      const files = await benchFiles();
      const link = join(files.folder, "port");
      const device = ["-d", `serial:${link}`];
      const station = await startStation([...device, "--key", files.publicKey], {
        env: { XDG_STATE_HOME: files.state },
      });
      const only = async (isSo: (tile: TileShown) => boolean) =>
        Object.values(await tilesOnce(station, (now) => isSo(Object.values(now)[0]!)))[0]!;
      await only(({ state }) => state === "away");
      const board = await startPtyBoard("good", await signed("good-a"), { link });
      const there = await only(({ state, facts }) => state === "idle" && facts !== undefined);
      const { version, confirmed } = there.facts!;
      expect(await board.readByOthers()).toEqual({ version, confirmed });
      await board.unplug();
      const gone = await only(({ state }) => state === "away");
      expect(gone.facts).toBeUndefined();
      const again = await board.plugIn({ link });
      await only(({ state, facts }) => state === "idle" && facts !== undefined);
      await again.unplug();
      await station.end();
    },
  );

  it.skipIf(noPtyBoardReason !== undefined)(
    `finishes the updates of three boards that vanish at one instant and come back under other numbers${noPtyBoardReason ? ` (${noPtyBoardReason})` : ""}`,
    async () => {
      const files = await benchFiles();
      const names = ["one", "two", "three"];
      const link = (name: string) => join(files.folder, `${name}.tty`);
      const boards = Object.fromEntries(names.map((name) => [name, `serial:${link(name)}`]));
      writeFileSync(join(files.folder, ".bootproof.json"), JSON.stringify({ boards }));
      const old = await signed("good-a");
      const uploading = new Set<string>();
      let powerFails: () => void = () => {};
      const hasFailed = new Promise<void>((resolve) => {
        powerFails = resolve;
      });
      const start = (name: string) =>
        startPtyBoard("good", old, {
          link: link(name),
          cable: (message) => {
            if (message.direction === "to-board" && isUpload(message)) uploading.add(name);
            if (uploading.size === names.length) powerFails();
            return "pass";
          },
        });
      const behind = [];
      for (const name of names) behind.push(await start(name));
      const words = ["--key", files.publicKey, "--update", files.update, "--soak", "0", "--wait", "60000"];
      const station = await startStation(words, { env: { XDG_STATE_HOME: files.state }, cwd: files.folder });
      await tilesOnce(station, isQuiet);
      await submit(station, { kind: "flash", boards: names, update: await updateOf(station) });
      await hasFailed;
      await Promise.all(behind.map((board) => board.unplug()));
      await tilesOnce(station, (now) => names.every((name) => now[name]!.running?.step === "link lost"));
      // In another order, so that each gets a number that another had.
      for (const index of [2, 0, 1])
        behind[index] = await behind[index]!.plugIn({ link: link(names[index]!) });
      const tiles = await tilesOnce(station, isQuiet);
      for (const [index, name] of names.entries()) {
        expect(tiles[name]!.last, name).toMatchObject({ verdict: "pass", outcome: "confirmed" });
        const { version, confirmed } = tiles[name]!.facts!;
        expect(await behind[index]!.readByOthers(), name).toEqual({ version, confirmed });
      }
      await station.end();
    },
  );

  it("recovers no board to an image that this host remembers as too old for it", async () => {
    const bench = await wasmBench(["only"], { variant: "no-counter" });
    const station = await bench.station("--no-look");
    const recover = async (update: string) => {
      const [job] = await submit(station, { kind: "recover", boards: ["only"], update, agreed: true });
      const done = await tilesOnce(station, (now) => isQuiet(now) && now.only!.last?.id === job!.id);
      return done.only!.last;
    };
    expect(await recover(await updateOf(station))).toMatchObject({ verdict: "pass" });
    const bytes = Buffer.from(
      await signed("good-a", { variant: "no-counter", version: "2.1.0", counter: 1 }),
    );
    const sent = await station.ask("api/updates?name=older.bin", { bytes });
    expect(await recover((sent.value as { update: { sha256: string } }).update.sha256)).toMatchObject({
      outcome: "refused-by-preflight",
      message: expect.stringMatching(/This host confirmed counter 2 .*the image has counter 1/),
    });
  });

  it("recovers a board that is alive only with consent, and takes nothing from a stranger's words", async () => {
    const bench = await wasmBench(["only"]);
    const station = await bench.station();
    await tilesOnce(station, isQuiet);
    const update = await updateOf(station);
    await submit(station, { kind: "recover", boards: ["only"], update });
    const alive = await tilesOnce(station, (now) => isQuiet(now) && now.only!.last !== undefined);
    expect(alive.only!.last).toMatchObject({ verdict: "fail", outcome: "alive" });
    await submit(station, { kind: "recover", boards: ["only"], update, agreed: true });
    const done = await tilesOnce(station, (now) => isQuiet(now) && now.only!.last!.outcome !== "alive");
    expect(done.only).toMatchObject({ last: { verdict: "pass" }, facts: { version: "2.0.0" } });
    for (const body of [
      { kind: "format", boards: ["only"] },
      { kind: "look", boards: ["nobody"] },
      { kind: "look", boards: [] },
      { kind: "flash", boards: ["only"], update: "../../etc/passwd" },
      { kind: "look", boards: ["only"], label: "x".repeat(200) },
      [],
    ])
      expect((await station.ask("api/jobs", { body })).status, JSON.stringify(body)).toBe(400);
    const noImage = await station.ask("api/updates?name=..%2F..%2Fnotes.txt", {
      bytes: Buffer.from("not firmware"),
    });
    expect(noImage.status).toBe(422);
    expect(noImage.text).not.toContain(bench.folder);
    const large = await station.ask("api/updates", { bytes: new Uint8Array(33 * 1024 * 1024) });
    expect(large.status).toBe(413);
    expect(existsSync(join(bench.folder, "notes.txt"))).toBe(false);
    const hostile = await station.ask("evidence/..%2Fjobs.jsonl");
    expect(hostile.status).toBe(404);
    await station.end();
  });
});

describe("who may ask a station", () => {
  it("is this machine, this origin, this name", async () => {
    const bench = await wasmBench(["only"]);
    const station = await bench.station("--no-look");
    const { port } = new URL(station.url);
    const refused = async (headers: Record<string, string>, path = "api/state") =>
      spawnSync("curl", [
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        ...Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]),
        `${station.url}${path}`,
      ]).stdout.toString();
    expect(await refused({})).toBe("200");
    expect(await refused({ Host: `localhost:${port}` })).toBe("200");
    expect(await refused({ Host: `rebound.example:${port}` })).toBe("421");
    expect(await refused({ Host: "127.0.0.1" })).toBe("421");
    expect(await refused({ Origin: "https://evil.example" })).toBe("403");
    expect(await refused({ Origin: "null" })).toBe("403");
    expect(await refused({ "Sec-Fetch-Site": "cross-site" })).toBe("403");
    const change = await fetch(`${station.url}api/jobs`, {
      method: "POST",
      body: JSON.stringify({ kind: "look", boards: ["only"] }),
    });
    expect(change.status).toBe(403);
    const page = await fetch(station.url);
    expect(page.headers.get("content-security-policy")).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    );
    expect(page.headers.get("access-control-allow-origin")).toBeNull();
    await station.end();
  });

  it.each([
    [["--listen", "0.0.0.0"], /Anybody who reaches 0\.0\.0\.0/],
    [["--token-file", "short"], /A token has at least 16 characters/],
    [["--cert", "short"], /--cert FILE and --tls-key FILE belong together/],
    [["-d", "wasm:nosuch"], /no emulated board "nosuch".*\n.*There are: good/, 10],
  ])("refuses %j", async (words, message, status = 2) => {
    const folder = tempFolder();
    writeFileSync(join(folder, "short"), "secret\n");
    const run = await bootproof(["station", "-d", "wasm:good", "--port", "0", ...words], {
      cwd: folder,
      env: { XDG_STATE_HOME: folder },
    });
    expect(run.status).toBe(status);
    expect(run.stderr).toMatch(message);
  });

  it("has to know a token beyond this machine; TLS with a certificate of its own; who may only look changes nothing", async () => {
    const bench = await wasmBench(["only"]);
    const [operator, viewer] = ["operator", "viewer"].map((name) => {
      const file = join(bench.folder, name);
      writeFileSync(file, `${name}-0123456789abcdef\n`);
      return file;
    });
    const station = await bench.station(
      ...["--listen", "0.0.0.0", "--no-look", "--token-file", operator!, "--viewer-token-file", viewer!],
    );
    const { fingerprint } = JSON.parse(station.run.stdout.split("\n")[0]!) as { fingerprint: string };
    const { port } = new URL(station.url);
    const ask = (token: string | undefined, path: string, body?: unknown) =>
      new Promise<{ status: number; shown: string; cookie: string | undefined }>((resolve, reject) => {
        const asked = request(
          {
            host: "127.0.0.1",
            servername: "localhost",
            port,
            path,
            method: body === undefined ? "GET" : "POST",
            agent: new Agent({ rejectUnauthorized: false }),
            headers: {
              host: `localhost:${port}`,
              "x-bootproof-station": "1",
              ...(token && { authorization: `Bearer ${token}` }),
            },
          },
          (answer) => {
            const shown = (answer.socket as import("node:tls").TLSSocket).getPeerCertificate().fingerprint256;
            answer.resume();
            answer.on("end", () =>
              resolve({ status: answer.statusCode!, shown, cookie: answer.headers["set-cookie"]?.[0] }),
            );
          },
        );
        asked.on("error", reject);
        asked.end(body === undefined ? undefined : JSON.stringify(body));
      });
    const job = { kind: "look", boards: ["only"] };
    expect(await ask(undefined, "/api/state")).toMatchObject({ status: 401, shown: fingerprint });
    expect((await ask("wrong-0123456789abcdef", "/api/state")).status).toBe(401);
    expect((await ask("viewer-0123456789abcdef", "/api/state")).status).toBe(200);
    expect((await ask("viewer-0123456789abcdef", "/api/jobs", job)).status).toBe(403);
    expect((await ask("operator-0123456789abcdef", "/api/jobs", job)).status).toBe(201);
    expect((await ask(undefined, "/api/session", { token: "guess" })).status).toBe(401);
    const session = await ask(undefined, "/api/session", { token: "viewer-0123456789abcdef" });
    expect(session.cookie).toMatch(
      /^bootproof-station=[0-9a-f]{64}; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
    );
    const log = readdirSync(bench.state, { recursive: true, encoding: "utf8" })
      .map((file) => join(bench.state, file))
      .filter((file) => /\.(jsonl?|txt)$/.test(file))
      .map((file) => readFileSync(file, "utf8"))
      .join("");
    expect(`${log}${station.run.stdout}${station.run.stderr}`).not.toContain("0123456789abcdef");
    await station.end();
  });
});

describe("a station with a past", () => {
  const folderOf = (state: string) => {
    const stations = join(state, "bootproof/station");
    return join(stations, readdirSync(stations)[0]!);
  };

  it("shows 10,000 records, filters and counts them, and tells 100 pages of a change", async () => {
    const bench = await wasmBench(["left", "right"]);
    await (await bench.station("--no-look")).end();
    const journal = join(folderOf(bench.state), "jobs.jsonl");
    const lines = Array.from({ length: 10_000 }, (_, index) => {
      const at = new Date(Date.UTC(2026, 0, 1) + index * 60_000).toISOString();
      const record = {
        id: `old-${index}`,
        board: index % 2 ? "left" : "right",
        kind: "flash",
        queuedAt: at,
        startedAt: at,
        endedAt: new Date(Date.parse(at) + 4000).toISOString(),
        begunBefore: 0,
        label: `SN-${index}`,
        verdict: index % 10 ? "pass" : "fail",
        outcome: index % 10 ? "confirmed" : "timeout",
        exitStatus: index % 10 ? 0 : 16,
        message: index === 7 ? '=HYPERLINK("http://evil"), "quoted"' : "It runs.",
        retries: index % 100 ? 0 : 1,
        where: `wasm:${index % 2}`,
      };
      return JSON.stringify({ at, kind: "ended", record });
    });
    // The last line was being written when the power went.
    writeFileSync(journal, `${lines.join("\n")}\n{"at":"2026-`);
    const station = await bench.station();
    await tilesOnce(station, isQuiet);
    const { value } = await station.ask("api/history?board=right&verdict=fail&limit=5");
    expect(value).toMatchObject({
      total: 1000,
      records: [{ id: "old-9990" }, {}, {}, {}, {}],
      statistics: {
        all: { jobs: 1000, failed: 1000, failures: [{ outcome: "timeout", count: 1000 }], retries: 100 },
        byPort: { "wasm:0": { jobs: 1000 } },
      },
    });
    expect(await historyOf(station, "text=sn-1234")).toMatchObject({ total: 1 });
    expect(await historyOf(station, "from=2026-01-02&to=2026-01-02")).toMatchObject({ total: 1440 });
    for (const [query, message] of [
      ["kind=look%20out", /no kind of job "look out".*flash, together/],
      ["verdict=good", /no verdict "good".*pass, fail/],
      ["from=x", /"from" is "x", which is no time.*2026-01-31/],
      ["to=2026-13-45", /"to" is "2026-13-45", which is no time/],
    ] as const) {
      const answer = await station.ask(`api/history?${query}`);
      expect(answer.status, query).toBe(400);
      expect((answer.value as { error: string }).error, query).toMatch(message);
    }
    expect(await historyOf(station, "from=2026-01-02T00:00:00Z&to=2026-01-02")).toMatchObject({
      total: 1440,
    });
    const csv = await station.ask("api/history.csv?text=quoted");
    expect(csv.headers.get("content-disposition")).toContain("bootproof-history.csv");
    expect(csv.text.split("\r\n")[1]).toContain(`"'=HYPERLINK(""http://evil""), ""quoted"""`);
    expect((await station.ask("api/history.json")).value).toHaveLength(10_000);

    const leaving = new AbortController();
    const pages = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const answer = await fetch(`${station.url}api/events`, { signal: leaving.signal });
        return answer.body!.pipeThrough(new TextDecoderStream()).getReader();
      }),
    );
    const untilTold = async (page: ReadableStreamDefaultReader<string>) => {
      for (let told = ""; !/"outcome":"confirmed".*"label":"told to all"/.test(told); ) {
        const { value: more, done } = await page.read();
        if (done) throw new Error("the stream ended");
        told += more;
      }
    };
    const told = Promise.all(pages.map(untilTold));
    const update = await updateOf(station);
    await submit(station, { kind: "flash", boards: ["left"], update, label: "told to all" });
    await told;
    // Pages that are closed take nothing with them.
    leaving.abort();
    await submit(station, { kind: "look", boards: ["left"] });
    expect((await tilesOnce(station, isQuiet)).left!.state).toBe("idle");
    await station.end();
    const last = readFileSync(journal, "utf8").trimEnd().split("\n");
    expect(last.map((line) => JSON.parse(line) as { kind: string }).at(-1)!.kind).toBe("ended");
    expect(last).toHaveLength(10_003);
  });

  it("names the line of its journal that somebody edited", async () => {
    const bench = await wasmBench(["only"]);
    await (await bench.station("--no-look")).end();
    writeFileSync(join(folderOf(bench.state), "jobs.jsonl"), '{"at":"x","kind":"nonsense"}\n');
    const run = await bootproof(["station", ...bench.words, "--port", "0"], { env: bench.env });
    expect(run.status).toBe(20);
    expect(run.stderr).toMatch(/Line 1 of .*jobs\.jsonl is not an entry of a station/);
  });

  const disk = tempMount();
  it.skipIf(typeof disk === "string")(
    `begins no job while the disk is full, and goes on when it is not${typeof disk === "string" ? ` (${disk})` : ""}`,
    async () => {
      const mounted = mountSmall();
      const bench = await wasmBench(["only"]);
      const station = await startStation(bench.words, { env: { XDG_STATE_HOME: mounted } });
      await tilesOnce(station, isQuiet);
      const update = await updateOf(station);
      const filler = join(mounted, "filler");
      spawnSync("dd", ["if=/dev/zero", `of=${filler}`, "bs=1k"]);
      await submit(station, { kind: "flash", boards: ["only"], update });
      const state = (await station.ask("api/state")).value as {
        journalProblem?: string;
        tiles: { queue: [] }[];
      };
      expect(state.journalProblem).toContain("ENOSPC");
      expect(state.tiles[0]!.queue).toHaveLength(1);
      spawnSync("rm", [filler]);
      const tiles = await tilesOnce(station, (now) => isQuiet(now) && now.only!.last !== undefined);
      expect(tiles.only!.last!.verdict).toBe("pass");
      await station.end();
    },
  );
});

/** Why no small disk can be mounted here; undefined when one can. */
function tempMount(): string | undefined {
  const probe = spawnSync("sh", [
    "-c",
    "d=$(mktemp -d) && mount -t tmpfs -o size=64k none $d && umount $d && rmdir $d",
  ]);
  return probe.status === 0 ? undefined : "no file system may be mounted here";
}

function mountSmall(): string {
  const folder = join(tempFolder(), "small");
  mkdirSync(folder);
  spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "none", folder]);
  onTestFinished(() => void spawnSync("umount", ["-l", folder]));
  return folder;
}
