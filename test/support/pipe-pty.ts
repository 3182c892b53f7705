import { type ChildProcess, spawn } from "node:child_process";
import type { ByteStream } from "../../src/transport/transport.js";
import { isOnPath } from "./on-path.js";

/** Why no pseudo-terminal can be made here, or undefined when one can. */
export const noPtyReason: string | undefined = isOnPath("socat")
  ? undefined
  : "socat is not installed (apt-get install socat)";

/** A pseudo-terminal whose far side the test plays. */
export interface Pty {
  /** The near side, to be opened as a serial port. */
  readonly path: string;
  /** Says something as the device. */
  say(bytes: Uint8Array | string): void;
  /** Resolves when what the device has heard, from the start, satisfies `enough`. */
  heard(enough: (all: Buffer) => boolean): Promise<Buffer>;
  /** The device vanishes. */
  unplug(): Promise<void>;
}

/** Makes a raw pseudo-terminal with socat. */
export async function openPty(): Promise<Pty> {
  const child = spawn("socat", ["-d", "-d", "PTY,rawer", "STDIO"], { stdio: ["pipe", "pipe", "pipe"] });
  const path = await announcedPath(child);
  let all = Buffer.alloc(0);
  let check = () => {};
  child.stdout.on("data", (chunk: Buffer) => {
    all = Buffer.concat([all, chunk]);
    check();
  });
  child.stdin.on("error", () => {});
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    path,
    say: (bytes) => void child.stdin.write(bytes),
    heard: (enough) =>
      new Promise((resolve) => {
        check = () => enough(all) && resolve(all);
        check();
      }),
    unplug: () => {
      child.kill("SIGKILL");
      return gone;
    },
  };
}

/** A pseudo-terminal with a board's own end of a cable on its far side; `unplug` ends it. */
export async function ptyOf(stream: ByteStream): Promise<{ path: string; unplug(): void }> {
  const child = spawn("socat", ["-d", "-d", "PTY,rawer", "STDIO"], { stdio: ["pipe", "pipe", "pipe"] });
  const path = await announcedPath(child);
  child.stdin.on("error", () => {});
  child.stdout.on("data", (chunk: Buffer) => void stream.write(new Uint8Array(chunk)));
  void (async () => {
    for await (const chunk of stream.chunks) child.stdin.write(chunk);
  })().catch(() => child.kill("SIGKILL"));
  return { path, unplug: () => void child.kill("SIGKILL") };
}

function announcedPath(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let log = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      log += chunk.toString();
      const path = /PTY is (\/dev\/\S+)/.exec(log)?.[1];
      if (path && log.includes("starting data transfer loop")) resolve(path);
    });
    child.once("exit", () => reject(new Error(`socat ended: ${log}`)));
  });
}
