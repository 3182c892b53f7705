import { spawn } from "node:child_process";
import { onTestFinished } from "vitest";
import { start } from "./cli-run.js";

/** Starts an emulated board behind a pseudo-terminal, as a serial port would show it; gives its path. Both end with the test. */
export async function wasmBoardOnPty(): Promise<string> {
  const board = start(["board", "wasm:good"]);
  const [, port] = await board.waitFor(/tcp:127\.0\.0\.1:(\d+)/);
  const wire = spawn("socat", ["-d", "-d", "PTY,rawer", `TCP:127.0.0.1:${port}`], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  onTestFinished(() => void wire.kill("SIGKILL"));
  return new Promise<string>((resolve, reject) => {
    let log = "";
    wire.stderr.on("data", (text: Buffer) => {
      log += text.toString();
      const path = /PTY is (\/dev\/\S+)/.exec(log)?.[1];
      if (path && log.includes("starting data transfer loop")) resolve(path);
    });
    wire.once("exit", () => reject(new Error(`socat ended: ${log}`)));
  });
}
