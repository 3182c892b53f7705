import { spawn } from "node:child_process";
import { join } from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { interrupting } from "../../src/cli/verb-context.js";
import { ensureBuilt, program } from "../support/cli-build.js";
import { proxy } from "../support/cli-proxy.js";
import { bootproof, json, signedUpdate, start } from "../support/cli-run.js";
import { startDeskBoard } from "../support/desk-board.js";
import { image as signed } from "../support/workflow-board.js";
import { isReset } from "../support/workflow-wire.js";

beforeAll(ensureBuilt);

/** A board that goes on running while programs come and go. */
async function standingBoard(flash?: string): Promise<{ port: number; address: string }> {
  const board = start(["board", "wasm:good", ...(flash === undefined ? [] : ["--flash", flash])]);
  const [address, port] = await board.waitFor(/tcp:127\.0\.0\.1:(\d+)/);
  return { address: address!, port: Number(port) };
}

/** A board that, if `isAway`, lets nobody hear it from its restart on until that is changed. */
async function boardThatStaysAway(isAway: boolean) {
  let hasRestarted = false;
  const desk = await startDeskBoard("good", await signed("good-a"), {
    cable: (message) => {
      const isLost = board.isAway && hasRestarted;
      // Its answer still arrives.
      if (message.direction === "to-host" && isReset(message)) hasRestarted = true;
      return isLost ? "drop" : "pass";
    },
  });
  onTestFinished(() => desk.stop());
  const board = { isAway, address: `tcp:127.0.0.1:${desk.port}` };
  return board;
}

describe("Ctrl-C in the middle of an upload", () => {
  it("ends with 130; the board still runs its old image, and the next run goes on where this one stopped", async () => {
    const { image, publicKey } = await signedUpdate();
    const { address, port } = await standingBoard();
    const cable = await proxy(port, 30_000);
    const first = start(["flash", image, "--key", publicKey, "-d", cable.address]);
    await cable.dead;
    first.child.kill("SIGINT");
    const { status, stdout, stderr } = await first.ended;
    expect({ status, stdout }).toEqual({ status: 130, stdout: "" });
    expect(stderr).toMatch(
      /bootproof: interrupted\. The board has \d+ of \d+ bytes of the image and has not been asked to start it\.\n {2}try: Repeat the same command to continue the upload from there\.\n$/,
    );
    expect(stderr).not.toMatch(/\n {4}at /);

    const info = await json(["info", "-d", address]);
    expect(info.value).toMatchObject({
      images: [{ slots: [{ content: { version: "1.0.0", confirmed: true } }, {}] }],
    });
    const second = await bootproof(["flash", image, "--key", publicKey, "-d", address]);
    expect(second.stderr).toMatch(/The board already has the first \d+ bytes; continuing from there/);
    expect(second.stdout).toMatch(/^confirmed: /);
  });

  it("and an end without a word (kill -9) lose nothing: the next run goes on where this one stopped", async () => {
    const { image, publicKey } = await signedUpdate();
    const { address, port } = await standingBoard();
    const cable = await proxy(port, 30_000);
    const first = start(["flash", image, "--key", publicKey, "-d", cable.address]);
    await cable.dead;
    first.child.kill("SIGKILL");
    await first.ended;
    const second = await bootproof(["flash", image, "--key", publicKey, "-d", address]);
    expect(second.stderr).toMatch(/The board already has the first \d+ bytes; continuing from there/);
    expect(second.stdout).toMatch(/^confirmed: /);
  });

  it("twice ends at once, with the same status", async () => {
    const { image, publicKey } = await signedUpdate();
    const { port } = await standingBoard();
    const cable = await proxy(port, 20_000);
    const running = start(["flash", image, "--key", publicKey, "-d", cable.address]);
    await cable.dead;
    running.child.kill("SIGINT");
    running.child.kill("SIGINT");
    const { status, stderr } = await running.ended;
    expect(status).toBe(130);
    expect(stderr).not.toMatch(/\n {4}at /);
  });

  it("and the end of a service manager (SIGTERM) are the same", async () => {
    const { image, publicKey } = await signedUpdate();
    const { port } = await standingBoard();
    const cable = await proxy(port, 20_000);
    const running = start(["flash", image, "--key", publicKey, "-d", cable.address]);
    await cable.dead;
    running.child.kill("SIGTERM");
    expect((await running.ended).status).toBe(130);
  });

  it("on a board of the program's own leaves a flash file that boots and can be flashed", async () => {
    const { image, publicKey, folder } = await signedUpdate();
    const device = `wasm:good?flash=${join(folder, "flash.bin")}`;
    // Once it is sent it is watched for longer than any signal takes to arrive.
    const running = start(["flash", image, "--key", publicKey, "-d", device, "--soak", "600000"]);
    await running.waitFor(/sending/);
    running.child.kill("SIGINT");
    expect((await running.ended).status).toBe(130);
    const again = await bootproof(["flash", image, "--key", publicKey, "-d", device]);
    expect(again.stdout).toMatch(/^confirmed: /);
  });
});

describe("Ctrl-C while the program", () => {
  const STARTED = /The board was restarted to start the new image, which is not confirmed\./;
  it.each<[string, string[], RegExp, isAway: boolean]>([
    ["waits for the board after the reset", [], /Waiting for the board/, true],
    ["watches the new image", ["--soak", "600000"], /The board is back/, false],
    [
      "runs a health command of this machine",
      ["--health", "sleep 600"],
      /runs version 2\.0\.0 with the hash/,
      false,
    ],
  ])("%s ends with 130, and the same command ends well afterwards", async (_what, words, moment, isAway) => {
    const { image, publicKey } = await signedUpdate();
    const board = await boardThatStaysAway(isAway);
    const running = start(["flash", image, "--key", publicKey, "-d", board.address, ...words]);
    await running.waitFor(moment);
    running.child.kill("SIGINT");
    const { status, stderr } = await running.ended;
    expect(stderr).toMatch(/bootproof: interrupted/);
    expect(stderr).toMatch(STARTED);
    expect(stderr).toMatch(/\n {2}try: Repeat the same command/);
    expect(status).toBe(130);
    board.isAway = false;
    const again = await bootproof(["flash", image, "--key", publicKey, "-d", board.address]);
    expect(again.stdout).toMatch(/^(confirmed|already-running): /);
  });

  it("connects to a silent host ends with 130", async () => {
    const { address, dead } = await silentHost();
    const running = start(["info", "-d", address, "--timeout", "60000"]);
    await dead;
    running.child.kill("SIGINT");
    expect((await running.ended).status).toBe(130);
  });
});

async function silentHost(): Promise<Awaited<ReturnType<typeof proxy>>> {
  const { port } = await standingBoard();
  return proxy(port, 0);
}

it("a reader that closes its end early is no error: the program ends quietly", async () => {
  const pipe = spawn("sh", ["-c", `"${process.execPath}" "${program}" board --list | head -1; echo "done"`]);
  let said = "";
  for (const stream of [pipe.stdout, pipe.stderr])
    stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
  await new Promise((resolve) => pipe.once("close", resolve));
  expect(said).toMatch(/^VARIANT .*\ndone\n$/);
});

it("Ctrl-Break and a closed window are Ctrl-C on Windows; elsewhere SIGHUP is left to nohup", () => {
  expect(interrupting("win32")).toEqual(["SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP"]);
  expect(interrupting("linux")).toEqual(["SIGINT", "SIGTERM"]);
});
