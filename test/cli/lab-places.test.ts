import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, keyFile, start } from "../support/cli-run.js";
import { type DeskBoard, startDeskBoard } from "../support/desk-board.js";
import { type Lab, noLabgridReason, startHosts } from "../support/labgrid.js";
import { image as signed, trustedKey } from "../support/workflow-board.js";
import { type Fault, isUpload } from "../support/workflow-wire.js";

/** Places of a lab: labgrid's own coordinator, two exporters, our boards behind them. */
const isInCi = ["1", "true"].includes(process.env.CI ?? "");
const HOSTS = [
  ["nrf-1", "nrf-2", "disco-3"],
  ["nrf-3", "disco-1", "disco-2"],
] as const;
const PLACES = HOSTS.flat();

describe.skipIf(noLabgridReason !== undefined && !isInCi)("places of labgrid", () => {
  const made = mkdtempSync(join(tmpdir(), "bootproof-lab-"));
  const image = join(made, "update.bin");
  /** What the boards run at first. */
  const own = join(made, "own.bin");
  const publicKey = join(made, "public.der");
  const boards = new Map<string, DeskBoard>();
  let lab: Lab;
  /** A place whose uploads wait in their midst. */
  let held: string | undefined;
  const cableOf =
    (place: string): Fault =>
    (message) =>
      place === held && message.direction === "to-board" && isUpload(message) ? "drop" : "pass";

  beforeAll(async () => {
    expect(noLabgridReason).toBeUndefined();
    await ensureBuilt();
    writeFileSync(image, await signed("good-b"));
    writeFileSync(publicKey, (await trustedKey()).publicDer);
    const first = await signed("good-a");
    writeFileSync(own, first);
    for (const place of PLACES)
      boards.set(place, await startDeskBoard("good", first, { cable: cableOf(place) }));
    lab = await startHosts(
      HOSTS.map((places) =>
        places.map((place) => ({
          place,
          uart: boards.get(place)!.port,
          power: `${boards.get(place)!.switches}/power/{value}`,
          tags: [`board=${place.startsWith("nrf") ? "nrf52840dk" : "disco"}`],
        })),
      ),
    );
  });
  afterAll(async () => {
    await lab?.stop();
    for (const board of boards.values()) await board.stop();
    rmSync(made, { recursive: true, force: true });
  });

  const env = () => lab.env;
  const flash = (...words: string[]) => ["flash", image, "--key", publicKey, "--soak", "0", ...words];
  /** Nothing is acquired, and nobody is in the queue. */
  const isFree = () =>
    !/acquired: \S+\/\S+/.test(lab.client(["-v", "places"])) && lab.client(["reservations"]) === "";
  const untilFree = async () => {
    while (!isFree()) await delay(200);
  };

  it("go round among three who want several at once; none is left acquired", async () => {
    const runs = await Promise.all([
      bootproof(flash("--tag", "board=nrf52840dk", "--places", "2"), { env: env() }),
      bootproof(flash("--tag", "board=nrf52840dk", "--places", "2", "--together"), { env: env() }),
      bootproof(flash("--place", "nrf-2", "--place", "disco-1"), { env: env() }),
    ]);
    for (const { status, stderr } of runs) expect(status, stderr).toBe(0);
    expect(runs[0]!.stdout).toMatch(/2 of 2 boards succeeded/);
    expect(runs[2]!.stdout).toMatch(/disco-1 +(confirmed|already-running) +2\.0\.0/);
    expect(isFree()).toBe(true);
  });

  it("are given back by a run that is killed in its middle", async () => {
    held = "nrf-1";
    const run = start(flash("--place", "nrf-1", "--no-confirm"), { env: env() });
    await run.waitFor(/Acquired from labgrid: nrf-1/);
    expect(lab.holder("nrf-1")).toMatch(/\//);
    run.child.kill("SIGKILL");
    await run.ended;
    held = undefined;
    await untilFree();
  });

  it("are not kept from others by a run that cannot begin; Ctrl-C leaves the queue", async () => {
    lab.client(["-p", "nrf-2", "acquire"], { LG_USERNAME: "someone" });
    const large = start(flash("--tag", "board=nrf52840dk", "--places", "3"), { env: env() });
    await large.waitFor(/nrf-2 is acquired by \S+\/someone since .*labgrid-client -p nrf-2 release/);
    while (!/\//.test(lab.holder("nrf-1"))) await delay(200);
    const small = await bootproof(flash("--place", "nrf-1"), { env: env() });
    expect(small.status, small.stderr).toBe(0);
    expect(large.stderr).toMatch(/Place nrf-1 is released, because others wait for it/);
    expect(large.stderr).not.toContain("Acquired from labgrid");
    large.child.kill("SIGINT");
    expect((await large.ended).status).toBe(130);
    expect(lab.holder("nrf-2")).toMatch(/someone/);
    lab.client(["-p", "nrf-2", "release"], { LG_USERNAME: "someone" });
    expect(isFree()).toBe(true);
  });

  it("are recovered, and given back", async () => {
    const words = ["recover", own, "--key", publicKey, "--place", "disco-3", "--yes"];
    const alive = await bootproof(words, { env: env() });
    expect(alive.status, alive.stderr).toBe(61);
    expect(alive.stdout).toMatch(/disco-3 +alive/);
    const run = await bootproof([...words, "--although-alive"], { env: env() });
    expect(run.status, run.stderr).toBe(0);
    expect(run.stdout).toMatch(/disco-3 +recovered +1\.0\.0/);
    expect(isFree()).toBe(true);
  });

  it("are proven with their own power switch", async () => {
    const words = [
      "--case",
      "power-cut/upload",
      "--cuts",
      "1",
      "--image",
      own,
      "--key",
      keyFile("ed25519-1"),
    ];
    const run = await bootproof(["prove", "--place", "disco-2", ...words], { env: env() });
    expect(run.status, run.stderr).toBe(0);
    expect(boards.get("disco-2")!.switched).toContain("0");
    expect(isFree()).toBe(true);
  });

  it.each([
    [["--place", "nowhere"], 10, /no place with name=nowhere/],
    [["--tag", "board=nrf52840dk", "--places", "4"], 10, /3 places with board=nrf52840dk; 4 are wanted/],
    [["--place", "nrf-1", "-d", "wasm:good"], 2, /-d and --place cannot be combined/],
    [["--place", "nrf-1", "--each"], 2, /--each/],
    [["--places", "2"], 2, /--tag KEY=VALUE/],
  ])("%j is an error before anything is taken", async (words, status, message) => {
    const run = await bootproof(flash(...words), { env: env() });
    expect(run.status, run.stderr).toBe(status);
    expect(run.stderr).toMatch(message);
  });

  it("need labgrid's client program", async () => {
    const run = await bootproof(flash("--place", "nrf-1"), { env: { ...env(), PATH: made } });
    expect(run.status, run.stderr).toBe(25);
    expect(run.stderr).toContain("pip install labgrid");
  });
});
