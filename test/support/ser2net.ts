import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "./free-port.js";

/** Why Debian's serial server cannot run here, or undefined when it can. */
export const noSer2netReason: string | undefined =
  spawnSync("ser2net", ["-v"]).status === null
    ? "ser2net is not installed (apt-get install ser2net)"
    : undefined;

export interface Ser2net {
  readonly port: number;
  stop(): Promise<void>;
}

/** Offers a serial port on a TCP port of this machine. `accepter`: in ser2net's words, e.g. `telnet(rfc2217)`. */
export async function startSer2net(device: string, accepter: string): Promise<Ser2net> {
  const port = await freePort();
  const home = mkdtempSync(join(tmpdir(), "ser2net-"));
  const config = join(home, "ser2net.yaml");
  writeFileSync(
    config,
    `connection: &board\n  accepter: ${accepter},tcp,127.0.0.1,${port}\n  connector: serialdev,${device},9600n81,local\n`,
  );
  const child = spawn("ser2net", ["-n", "-d", "-c", config], { stdio: "ignore" });
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  await untilListening(port, child);
  return {
    port,
    stop: async () => {
      child.kill("SIGKILL");
      await gone;
      rmSync(home, { recursive: true });
    },
  };
}

async function untilListening(port: number, child: ChildProcess): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`ser2net ended with ${child.exitCode}`);
    const listens = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => resolve(true));
      socket.on("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
    if (listens) return;
    await delay(20);
  }
}
