import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { LogEvent } from "../../src/trust/events.js";
import { AuditLog } from "../../src/trust-store/audit-log.js";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, keyFile, signedUpdate, start, tempFolder } from "../support/cli-run.js";

beforeAll(ensureBuilt);

async function workspace() {
  const { image, publicKey } = await signedUpdate();
  const folder = join(tempFolder(), "audit");
  const env = { BOOTPROOF_LOG_FOLDER: folder };
  const log = new AuditLog({ folder });
  return {
    folder,
    image,
    env,
    log,
    flash: ["flash", image, "--key", publicKey, "-d", "wasm:good", "--soak", "0"],
    run: (...words: string[]) => bootproof(words, { env }),
    events: async (): Promise<LogEvent[]> => {
      const { size } = (await log.checkpoint(log.newest())).checkpoint;
      return [...log.events(log.newest(), size)];
    },
  };
}

describe("the audit log of the program", () => {
  it("has an update from its decision to its end, with a proof, and a refusal with its rule", async () => {
    const { run, flash, events, image, log } = await workspace();
    const proof = join(tempFolder(), "update.tlog-proof");
    expect((await run(...flash, "--log-proof", proof)).status).toBe(0);
    const update = await events();
    expect(update.map(({ type }) => type)).toEqual([
      ...[
        "tool.start",
        "board.identify",
        "policy.decision",
        "upload.start",
        "upload.done",
        "mark.test",
        "reset",
      ],
      ...["boot.observed", "health.result", "confirm", "install", "tool.stop"],
    ]);
    expect(new Set(update.map(({ job }) => job)).size).toBe(1);
    const install = update.find(({ type }) => type === "install")!;
    expect(install).toMatchObject({
      board: { address: "wasm:good" },
      image: { version: "2.0.0", counter: 2, hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
      result: "ok",
      detail: { outcome: "confirmed" },
      actor: { host: expect.any(String) },
      tool: expect.stringMatching(/^bootproof \d/),
    });
    expect((await run("log", "check", proof)).stdout).toContain('"type":"install"');

    expect((await run("flash", image, "-d", "wasm:good")).status).toBe(3);
    const refused = (await events()).slice(update.length);
    expect(refused.map(({ type }) => type)).toEqual([
      ...["tool.start", "board.identify", "refusal", "policy.decision", "tool.stop"],
    ]);
    expect(refused[2]).toMatchObject({ rule: "signature", result: "refused" });
    expect((await log.verify(1)).problems).toEqual([]);
  });

  it("has what was let pass, single steps, a counter that was seen to move, signatures and failed verifications", async () => {
    const { run, flash, events, image } = await workspace();
    expect((await run(...flash, "--settle", "--skip", "power-cut-safe")).status).toBe(0);
    expect(await events()).toContainEqual(
      expect.objectContaining({ type: "counter.advance", detail: { how: "observed", stored: 2 } }),
    );
    await run("flash", image, "-d", "wasm:good", "--skip", "signature", "--no-confirm", "--soak", "0");
    await run("image", "erase", "-d", "wasm:good");
    await run("verify", image, "--key", keyFile("p256-1"));
    await run(
      "sign",
      "--pad-header",
      "-S",
      "0x20000",
      "-v",
      "1.0.0",
      "-k",
      keyFile("p256-1"),
      image,
      `${image}.2`,
    );
    const kept = (await events()).map(({ type, rule, result }) =>
      [type, rule, result].filter(Boolean).join(" "),
    );
    expect(kept).toEqual(
      expect.arrayContaining([
        "policy.override signature ok",
        "erase ok",
        "refusal refused",
        "sign.response ok",
      ]),
    );
  });

  it("has neither plain reads, nor a wrong command line, nor what --no-log leaves out", async () => {
    const { run, flash, log } = await workspace();
    await run("info", "-d", "wasm:good");
    await run("echo", "hello", "-d", "wasm:good");
    await run("flash", "--nonsense");
    await run("--no-log", ...flash);
    expect((await run(...flash, "--no-log")).status).toBe(0);
    expect(log.numbers()).toEqual([]);
  });

  it("keeps no values of settings and no words of shell commands", async () => {
    const { run, events } = await workspace();
    await run("settings", "write", "app/password", "hunter2", "-d", "wasm:good");
    await run("shell", "-d", "wasm:good", "echo hunter2");
    const kept = await events();
    expect(kept.length).toBeGreaterThan(0);
    expect(JSON.stringify(kept)).not.toContain("hunter2");
  });

  it("is whole after kill -9 in the middle of an update, and goes on", async () => {
    const { flash, env, log, run } = await workspace();
    const running = start(flash, { env });
    while (log.numbers().length === 0) await delay(5);
    running.child.kill("SIGKILL");
    await running.ended;
    expect((await run(...flash)).status).toBe(0);
    const { problems, checkpoint } = await log.verify(1);
    expect(problems).toEqual([]);
    expect(checkpoint.size).toBeGreaterThan(12);
  });

  it("is no reason for an update to fail: a folder that cannot be used is a warning", async () => {
    const { folder, run, flash } = await workspace();
    writeFileSync(folder, "not a folder");
    const ended = await run(...flash);
    expect(ended).toMatchObject({ status: 0, stdout: expect.stringMatching(/^confirmed/) });
    expect(ended.stderr).toMatch(
      /WARNING: This run is not in the audit log\. .*is a file; audit logs are kept in a folder/,
    );
    expect(ended.stderr.match(/audit log/g)?.length).toBeLessThan(4);
  });

  it("names the link of the chain that refused an update: its source, before a board is touched", async () => {
    const { run, events, image } = await workspace();
    const folder = tempFolder();
    const artifact = join(folder, "update.mender");
    const write = ["artifact", "write", artifact, image, "--name", "rel-2", "--device-type", "boardA"];
    expect((await run(...write)).status).toBe(0);
    const at = (name: string) => join(folder, name);
    const board = ["--key", keyFile("ed25519-1"), "-d", "wasm:good"];
    await run("keys", "public", keyFile("p256-1"), at("p256.pem"));
    writeFileSync(at("cut.mender"), readFileSync(artifact).subarray(0, 4000));
    const changed = Buffer.from(readFileSync(artifact));
    changed[changed.length - 2000]! ^= 1;
    writeFileSync(at("changed.mender"), changed);
    writeFileSync(at("manifest.json"), JSON.stringify({ files: [{ file: "app.bin", size: 17 }] }));
    writeFileSync(at("app.bin"), readFileSync(image));
    const zip =
      "import zipfile\nwith zipfile.ZipFile('lies.zip', 'w') as z: [z.write(f) for f in ('manifest.json', 'app.bin')]";
    expect(spawnSync("python3", ["-c", zip], { cwd: folder }).status).toBe(0);
    const server = createServer((_request, response) => response.end(readFileSync(image)));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/app.bin`;
    const refusals: [string[], string][] = [
      [["flash", artifact, ...board, "--device-type", "boardB"], "source/artifact-device-type"],
      [["flash", artifact, ...board, "--artifact-key", at("p256.pem")], "source/artifact-signature"],
      [["flash", at("cut.mender"), ...board], "source/bad-artifact"],
      [["flash", at("changed.mender"), ...board], "source/"],
      [["flash", at("lies.zip"), ...board], "source/manifest"],
      [["flash", `${url}/gone`, ...board, "--fetch-max-bytes", "1000"], "source/fetch-refused"],
      [["flash", url, "-d", "wasm:good"], "source/key"],
    ];
    for (const [words, rule] of refusals) {
      expect((await run(...words)).status).not.toBe(0);
      const refusal = (await events()).findLast(({ type }) => type === "refusal")!;
      expect(refusal).toMatchObject({ result: "refused", rule: expect.stringContaining(rule) });
      expect(refusal.board).toBe(undefined);
    }
  });
});
