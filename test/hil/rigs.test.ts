import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { boardVariant, fixtureKeyPath, signedFixture } from "bootproof/boards";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { parseBoardFile } from "../../hil/board-files/board-file.js";
import { attachedIn } from "../../hil/boards/labgrid.js";
import { runProof } from "../../hil/index.js";
import { proveBoard } from "../../hil/prove.js";
import type { BoardResult } from "../../hil/result.js";
import { type DeskBoard, startDeskBoard } from "../support/desk-board.js";
import { type Lab, noLabgridReason, startLab } from "../support/labgrid.js";
import { isOnPath } from "../support/on-path.js";
import { noSer2netReason, startSer2net } from "../support/ser2net.js";

/** The ways in which boards of other people are reached, each with a board of ours at the far end. */
let folder: string;
const closing: (() => unknown)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "rig-"));
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  rmSync(folder, { recursive: true });
});

const noQemuReason = isOnPath("qemu-system-arm")
  ? undefined
  : "qemu-system-arm is not installed: sudo apt-get install qemu-system-arm";

/** What a board runs at first. */
const ownImage = (machine: "qemu" | "wasm", variant = "good"): Promise<Uint8Array> =>
  signedFixture("good-a", machine, boardVariant(variant), { version: "3.0.0", counter: 4 });

async function desk(options: { serial?: boolean; variant?: string } = {}): Promise<DeskBoard> {
  const { serial = false, variant = "good" } = options;
  const image = await ownImage(serial ? "qemu" : "wasm", variant);
  writeFileSync(join(folder, "own.bin"), image);
  const started = await startDeskBoard(variant, image, { serial });
  closing.push(() => started.stop());
  return started;
}

const FACTS = `
    image: own.bin
    starts-within-ms: 10000
    keys: { signing: ${fixtureKeyPath("ed25519-1")} }`;

function prove(facts: string, cases: readonly string[]): Promise<BoardResult> {
  const bench = `boards:\n  - name: desk${facts}${FACTS}\n`;
  const entry = parseBoardFile(join(folder, "bench.yaml"), bench)[0]!;
  const signal = new AbortController().signal;
  return proveBoard(entry, { signal, seed: 5, cases, cuts: 1, journals: join(folder, "journals") });
}

const hooks = ({ hook }: DeskBoard) => `
    power: { on: ${JSON.stringify(hook("power/1"))}, off: ${JSON.stringify(hook("power/0"))}, settle-ms: 50 }
    reset: ${JSON.stringify(hook("reset"))}`;

/** A refusal, a revert, and cuts of the power that only a switch can make. */
const CASES = ["authenticity/foreign-key", "trial/never-confirmed", "power-cut/upload"] as const;

function mustHold(result: BoardResult): void {
  expect(result.unusable).toBeUndefined();
  const seen = result.cases.map(({ id, verdict, observed }) =>
    verdict === "holds" ? id : `${id}: ${observed}`,
  );
  expect(seen).toEqual(CASES);
  expect(result.putBack.ok, result.putBack.message).toBe(true);
}

/** For a `describe`: without this program its tests are skipped, and say so. */
const needs = (reason: string | undefined) =>
  beforeEach((context) => {
    if (reason !== undefined) context.skip(reason);
  });

describe("a board on a serial port, with a switched hub and a reset line", () => {
  needs(noQemuReason);

  it("loses its power when it is asked to, and is judged", async () => {
    const board = await desk({ serial: true });
    mustHold(
      await prove(`\n    kind: attached\n    address: serial:${board.board.tty}${hooks(board)}`, CASES),
    );
    expect(new Set(board.switched)).toEqual(new Set(["0", "1", "reset"]));
  });

  it("the same behind Debian's ser2net (RFC 2217)", async (context) => {
    if (noSer2netReason !== undefined) return context.skip(noSer2netReason);
    const board = await desk({ serial: true });
    const server = await startSer2net(board.board.tty!, "telnet(rfc2217)");
    closing.push(() => server.stop());
    const address = `rfc2217:127.0.0.1:${server.port}?baud=115200`;
    mustHold(await prove(`\n    kind: attached\n    address: ${address}${hooks(board)}`, CASES));
    expect(board.switched).toContain("0");
  });
});

describe("a relay with a web interface", () => {
  it("takes the power away and gives it back", async () => {
    const board = await desk();
    const calls = `{ on: "${board.switches}/power/1", off: "${board.switches}/power/0" }`;
    const power = `power: { http: ${calls}, settle-ms: 20 }`;
    mustHold(
      await prove(`\n    kind: attached\n    address: tcp:127.0.0.1:${board.port}\n    ${power}`, CASES),
    );
    expect(new Set(board.switched)).toEqual(new Set(["0", "1"]));
  });
});

describe("commands of a board file", () => {
  it("that fail are the reason why nothing was judged", async () => {
    const board = await desk();
    const power = `power: { on: "echo no such port >&2; exit 3", off: "true" }`;
    const result = await prove(
      `\n    kind: attached\n    address: tcp:127.0.0.1:${board.port}\n    ${power}`,
      CASES,
    );
    expect(result.unusable).toMatch(
      /^desk, power on: .* ended with 3. Its output: no such port.*Try it by hand/,
    );
  });
});

describe("a place of labgrid", () => {
  const lab = (host: string, more = "") => `targets:
  rack:
    resources:
    - NetworkSerialPort: { host: ${host}, port: 4000, speed: 57600${more} }`;
  const place = { kind: "labgrid", place: "rack", coordinator: "lab:20408" } as const;

  it.each([
    [lab("10.0.0.7"), "rfc2217:10.0.0.7:4000?baud=57600"],
    [lab("10.0.0.7", ", protocol: raw"), "tcp:10.0.0.7:4000"],
    [lab('"fe80::1"', ", protocol: raw"), "tcp:[fe80::1]:4000"],
    [lab("10.0.0.7").replace("4000", "null"), undefined],
    ["targets: { rack: { resources: [] } }", undefined],
  ])("says where its serial port is", (env, address) => {
    expect(attachedIn(place, env)?.address).toBe(address);
  });

  it("has a power switch when one of its resources is one", () => {
    const pdu = `${lab("a")}\n    - NetworkPowerPort: { model: netio, host: b, index: 3 }`;
    expect(attachedIn(place, lab("a"))?.power).toBeUndefined();
    expect(attachedIn(place, pdu)?.power?.config).toEqual({
      kind: "command",
      on: "labgrid-client -x lab:20408 -p rack power on",
      off: "labgrid-client -x lab:20408 -p rack power off",
    });
  });

  describe("of labgrid's own coordinator and exporter", () => {
    needs(noLabgridReason);
    let own: Uint8Array;
    let rack: Lab | undefined;
    let board: DeskBoard | undefined;
    const bench = () => rack!;
    const facts = () => `\n    kind: labgrid\n    place: rack-1\n    coordinator: ${bench().coordinator}`;

    beforeAll(async () => {
      if (noLabgridReason !== undefined) return;
      own = await ownImage("wasm");
      board = await startDeskBoard("good", own);
      rack = await startLab("rack-1", { uart: board.port, power: `${board.switches}/power/{value}` });
    });
    afterAll(async () => {
      await rack?.stop();
      await board?.stop();
    });
    beforeEach(() => {
      writeFileSync(join(folder, "own.bin"), own);
      vi.stubEnv("PATH", bench().env.PATH);
    });
    afterEach(() => void vi.unstubAllEnvs());

    it("is taken, judged with its power switched, and given back", async () => {
      mustHold(await prove(facts(), CASES));
      expect(board!.switched).toContain("0");
      expect(bench().holder()).toBe("None");
    });

    it("that somebody else has is left alone", async () => {
      const switched = board!.switched.length;
      bench().client(["-p", "rack-1", "acquire"], { LG_USERNAME: "someone" });
      const result = await prove(facts(), CASES);
      expect(result.unusable).toMatch(/could not acquire place rack-1: .*someone/);
      expect(bench().holder()).toMatch(/someone/);
      expect(board!.switched.length).toBe(switched);
      bench().client(["-p", "rack-1", "release"], { LG_USERNAME: "someone" });
      expect(bench().holder()).toBe("None");
    });

    it("that this user has taken stays taken", async () => {
      bench().client(["-p", "rack-1", "acquire"]);
      expect((await prove(facts(), ["authenticity/foreign-key"])).unusable).toBeUndefined();
      expect(bench().holder()).not.toBe("None");
      bench().client(["-p", "rack-1", "release"]);
      expect(bench().holder()).toBe("None");
    });

    it("that nobody made is a reason", async () => {
      const result = await prove(facts().replace("rack-1", "rack-9"), CASES);
      expect(result.unusable).toMatch(/place pattern rack-9 matches nothing/);
    });
  });
});

describe("a bench of several boards", () => {
  it("runs them at once; one that is not there is a reason and no pass", async () => {
    const first = await desk();
    const second = await desk({ variant: "no-signature" });
    const row = (name: string, port: number) =>
      `\n  - name: ${name}\n    kind: attached\n    address: tcp:127.0.0.1:${port}${FACTS}`;
    const boardFile = join(folder, "boards.yaml");
    writeFileSync(boardFile, `boards:${row("one", first.port)}${row("two", second.port)}${row("gone", 9)}\n`);
    process.env.XDG_STATE_HOME = folder;
    closing.push(() => delete process.env.XDG_STATE_HOME);
    const signal = new AbortController().signal;
    const hooks = { version: "1", signal, note: () => {}, progress: () => {} };
    const { report, ending } = await runProof({ boardFile, cases: ["authenticity/unsigned"] }, hooks);

    const [one, two, gone] = report.boards;
    expect(one?.cases.map(({ verdict }) => verdict)).toEqual(["holds"]);
    expect(two?.cases.map(({ verdict }) => verdict)).toEqual(["does-not-hold"]);
    expect(gone?.unusable).toMatch(/nothing listens there/);
    expect(ending).toBe("claim-broken");
    const [a, b] = [one!.cases[0]!, two!.cases[0]!];
    expect(a.startedAt).toBeLessThan(b.startedAt + b.elapsedMs);
    expect(b.startedAt).toBeLessThan(a.startedAt + a.elapsedMs);
  });

  it("two runs at once over one board: the second is told who has it", async () => {
    const board = await desk();
    const facts = `\n    kind: attached\n    address: tcp:127.0.0.1:${board.port}`;
    const runs = await Promise.all([
      prove(facts, ["authenticity/unsigned"]),
      prove(facts, ["authenticity/unsigned"]),
    ]);
    const reasons = runs.map(({ unusable }) => unusable ?? "");
    expect(reasons.filter((reason) => reason === "")).toHaveLength(1);
    expect(reasons.join("")).toMatch(/Another run \(process \d+\) is on board desk/);
    expect(runs.find(({ unusable }) => unusable === undefined)?.putBack.ok).toBe(true);
  });
});
