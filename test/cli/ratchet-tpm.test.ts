import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, json, keyFile, signWords, tempFolder } from "../support/cli-run.js";
import { freePort } from "../support/free-port.js";

const isThere = (program: string) => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
const missing = ["swtpm", "tpm2_nvdefine"].filter((program) => !isThere(program));
if (missing.length > 0 && process.env.CI)
  throw new Error(`the TPM's judge is not installed: ${missing.join(", ")}`);
const reason = missing.length > 0 ? `${missing.join(", ")} not installed` : undefined;

/** A TPM 2.0 in software, by IBM's and Intel's authors; its state is in a folder. */
let tpm: { child: ChildProcess; folder: string; tcti: string };

beforeAll(async () => {
  await ensureBuilt();
  if (reason !== undefined) return;
  const folder = mkdtempSync(join(tmpdir(), "bootproof-tpm-"));
  // tpm2-tools take the next port for the control channel.
  const port = await freePort({ neighbours: 1 });
  const words = ["socket", "--tpm2", "--tpmstate", `dir=${folder}`, "--flags", "not-need-init,startup-clear"];
  const child = spawn(
    "swtpm",
    [...words, "--server", `type=tcp,port=${port},disconnect`, "--ctrl", `type=tcp,port=${port + 1}`],
    { stdio: "ignore" },
  );
  tpm = { child, folder, tcti: `swtpm:host=127.0.0.1,port=${port}` };
  const asks = () =>
    spawnSync("tpm2_getcap", ["properties-fixed"], { env: { ...process.env, TPM2TOOLS_TCTI: tpm.tcti } })
      .status === 0;
  while (!asks()) {
    if (child.exitCode !== null) throw new Error(`swtpm ended with ${child.exitCode}`);
    await delay(100);
  }
});

afterAll(async () => {
  if (tpm === undefined) return;
  const ended = new Promise((resolve) => tpm.child.once("close", resolve));
  tpm.child.kill("SIGKILL");
  await ended;
  rmSync(tpm.folder, { recursive: true, force: true });
});

async function workspace(index: string) {
  const folder = tempFolder();
  const at = (name: string) => join(folder, name);
  const env = { XDG_STATE_HOME: at("state"), TPM2TOOLS_TCTI: tpm?.tcti ?? "" };
  const run = (...words: string[]) => bootproof(words, { env });
  const publicKey = at("public.pem");
  await run("keys", "public", keyFile("ed25519-1"), publicKey);
  const flash = async (version: string, counter: number, ...more: string[]) => {
    const file = at(`${version}.bin`);
    await run(...signWords("good-b", file, version, counter));
    const device = `wasm:no-counter?flash=${at("flash.bin")}`;
    return run(
      "flash",
      file,
      "--key",
      publicKey,
      "-d",
      device,
      "--soak",
      "0",
      "--skip",
      "security-counter",
      ...more,
    );
  };
  const tool = (program: string, ...words: string[]) =>
    spawnSync(program, words, {
      env: { ...process.env, TPM2TOOLS_TCTI: env.TPM2TOOLS_TCTI },
      encoding: "utf8",
    });
  return { at, env, run, flash, tool, bind: () => run("ratchet", "bind", "--index", index) };
}

describe(`a TPM's counter under the ratchet${reason ? ` (skipped: ${reason})` : ""}`, () => {
  it.skipIf(reason !== undefined)(
    "finds out an older copy of the memory that was put back, and a counter that vanished",
    async () => {
      const { at, env, run, flash, tool, bind } = await workspace("0x1500b10");
      const ratchet = at("state/bootproof/ratchet");
      expect((await flash("2.0.0", 5)).status).toBe(0);
      expect(await bind()).toMatchObject({
        status: 0,
        stdout: /Bound to the counter 0x1500b10 of a TPM \(software\)/,
      });
      expect((await bind()).status).toBe(2);
      const older = at("older-copy");
      cpSync(ratchet, older, { recursive: true });
      expect((await flash("2.1.0", 7)).status).toBe(0);
      expect(await json(["ratchet", "status"], { env })).toMatchObject({
        value: { index: "0x1500b10", kind: "software" },
      });

      // The disk is put back to before counter 7: without the TPM the image with counter 6 would pass.
      const newest = at("newest-copy");
      cpSync(ratchet, newest, { recursive: true });
      rmSync(ratchet, { recursive: true });
      cpSync(older, ratchet, { recursive: true });
      expect(await flash("2.2.0", 6)).toMatchObject({
        status: 45,
        stderr: /older copy was put back: .* 2 change\(s\) more/,
      });
      rmSync(ratchet, { recursive: true });
      cpSync(newest, ratchet, { recursive: true });
      expect((await flash("2.3.0", 8)).status).toBe(0);

      // A counter that is made anew starts above the old one, so it does not pass for it.
      expect(tool("tpm2_nvundefine", "0x1500b10", "-C", "o").status).toBe(0);
      expect(await flash("2.4.0", 9)).toMatchObject({
        status: 45,
        stderr: /trusted counter of the ratchet is gone/,
      });
      tool("tpm2_nvdefine", "0x1500b10", "-C", "o", "-s", "8", "-a", "nt=counter|ownerread|ownerwrite");
      tool("tpm2_nvincrement", "0x1500b10", "-C", "o");
      expect((await flash("2.4.0", 9)).status).toBe(45);
      expect((await run("ratchet", "unbind")).status).toBe(0);
      expect((await flash("2.4.0", 9)).status).toBe(0);
    },
  );

  it.skipIf(reason !== undefined)(
    "is only a warning where no TPM answers, unless the policy asks for it",
    async () => {
      const { at, env, run, flash, bind } = await workspace("0x1500b11");
      const { writeFileSync } = await import("node:fs");
      const policy = (wanted: string) => {
        const file = at(`${wanted}.yaml`);
        writeFileSync(
          file,
          `version: 1\nlevel: bench\nsettings: { trustedMemory: ${wanted} }\nrules: { trusted-memory: refuse }\n`,
        );
        return ["--policy", file];
      };
      expect(await flash("2.0.0", 5, ...policy("any"))).toMatchObject({
        status: 48,
        stdout: /bound to no TPM/,
      });
      expect((await bind()).status).toBe(0);
      expect((await flash("2.0.0", 5, ...policy("any"))).status).toBe(0);
      expect(await flash("2.1.0", 6, ...policy("chip"))).toMatchObject({
        status: 48,
        stdout: /software that keeps its state in a file/,
      });
      env.TPM2TOOLS_TCTI = "swtpm:host=127.0.0.1,port=9";
      expect(await flash("2.1.0", 6)).toMatchObject({
        status: 0,
        stderr: /WARNING: .*could not be asked: No TPM answers/,
      });
      expect((await flash("2.2.0", 7, ...policy("any"))).status).toBe(48);
      const elsewhere = { env: { ...env, XDG_STATE_HOME: at("elsewhere") } };
      expect(await bootproof(["ratchet", "bind"], elsewhere)).toMatchObject({
        status: 25,
        stderr: /No TPM answers/,
      });
      expect((await run("ratchet", "bind", "--index", "5")).status).toBe(2);
    },
  );

  it("says what is missing where there are no tpm2-tools", async () => {
    const env = { XDG_STATE_HOME: join(tempFolder(), "state"), PATH: "/nonexistent" };
    expect(await bootproof(["ratchet", "bind"], { env })).toMatchObject({
      status: 25,
      stderr: /tpm2-tools are not installed/,
    });
  });
});
