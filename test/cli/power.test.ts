import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { startBoard } from "../../src/emulator/start.js";
import { freePort } from "../support/free-port.js";
import { runCli } from "../support/groups-cli.js";
import { untilSeen } from "../support/limits.js";

const boot = fileURLToPath(new URL("../../firmware-fixtures/prebuilt/boot.bin", import.meta.url));

/** A board in QEMU whose power is two command lines: one starts the machine, one kills it. */
async function bench() {
  const home = mkdtempSync(join(tmpdir(), "power-cli-"));
  const flash = join(home, "flash");
  const pid = join(home, "pid");
  onTestFinished(() => {
    if (existsSync(pid)) {
      try {
        process.kill(Number(readFileSync(pid, "utf8")), "SIGKILL");
      } catch {
        // The last command has killed it already.
      }
    }
    rmSync(home, { recursive: true, force: true });
  });
  // The factory leaves keys and an application in the flash file.
  await (await startBoard({ machine: "qemu", variant: "good", flashFile: flash })).close();
  const port = await freePort();
  const qemu = [
    "qemu-system-arm -M mps2-an385,memory-backend=flash",
    `-object memory-backend-file,id=flash,size=16M,share=on,mem-path=${flash} -kernel ${boot}`,
    "-nodefaults -nic none -display none -monitor none",
    `-chardev socket,id=uart,host=127.0.0.1,port=${port},server=on,wait=off -serial chardev:uart`,
  ].join(" ");
  const on = `${qemu} >/dev/null 2>&1 & echo $! > ${pid}`;
  const off = `kill -9 $(cat ${pid})`;
  const device = `tcp:127.0.0.1:${port}`;
  mkdirSync(join(home, "bootproof"));
  writeFileSync(
    join(home, "bootproof", "config.json"),
    JSON.stringify({
      boards: {
        bench: { device, power: { command: { on, off } } },
        liar: { device, power: { command: { on: "true", off: "true" } } },
      },
    }),
  );
  return (...args: string[]) => runCli(args, { cwd: home, env: { XDG_CONFIG_HOME: home } });
}

test("a board that is killed and started proves its switch; one that is left alone does not", async () => {
  const run = await bench();
  expect((await run("power", "on", "-d", "bench")).status).toBe(0);
  // The command leaves the machine starting; until it has, nothing listens there.
  const up = await untilSeen("the machine listens", async () => {
    const asked = await run("info", "-d", "bench");
    return asked.status === 14 ? undefined : asked;
  });
  expect(up.status, up.err).toBe(0);
  const proof = await run("power", "test", "-d", "bench", "--json");
  expect(proof.err).toMatch(/Before: the board's SMP server.*Gone after.*Back after/s);
  const events = (await run("log", "show", "--type", "power", "--json")).json() as {
    detail: { what: string };
  }[];
  expect(events.map(({ detail }) => detail.what)).toEqual(["on", "off", "on"]);
  expect(proof.json()).toMatchObject({ proved: true, seenBy: "the board's SMP server" });
  const liar = await run("power", "test", "-d", "liar");
  expect(liar.status).toBe(37);
  expect(liar.err).toMatch(/switched off, but the board's SMP server is still there/);
  expect((await run("power", "off", "-d", "bench")).status).toBe(0);
  expect((await run("info", "-d", "bench")).status).not.toBe(0);
});

test("who names the switch needs no board, which without power is nowhere to be found", async () => {
  const run = await bench();
  const by = ["--on-command", "true", "--off-command", "true"];
  for (const action of ["on", "off"])
    expect(await run("power", action, "-d", "serial-of-a-dead-board", ...by)).toMatchObject({ status: 0 });
  expect((await run("power", "test", "-d", "serial-of-a-dead-board", ...by)).status).not.toBe(0);
});

test("a switch by commands needs both, and an action must be one", async () => {
  const run = await bench();
  expect((await run("power", "on", "-d", "liar", "--on-command", "true")).status).toBe(2);
  expect((await run("power", "explode", "-d", "liar")).status).toBe(2);
});

test("the known boards are shown with a source for each fact", async () => {
  const { json } = await runCli(["devices", "--profiles", "--json"]);
  const profiles = json() as { id: string; sources: Record<string, string> }[];
  expect(profiles.map(({ id }) => id)).toContain("nrf54l15dk");
  for (const { sources } of profiles) expect(Object.keys(sources).length).toBeGreaterThan(0);
});
