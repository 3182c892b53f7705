import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import type { Answer, Order } from "../orders.js";

/** The host, as QEMU's user network shows it. */
const HOST = "10.0.2.2";
const MAX_OUTPUT = 4 << 20;

const running = new Map<number, AbortController>();
const socket = connect(Number(process.argv[2]), HOST);
socket.setNoDelay(true);
// The host ends the machine; without the host there is nobody to work for.
socket.on("close", () => process.exit(0));
socket.on("error", (error) => console.error(`usb-vm: ${error.message}`));
// A fault in what is tested must not take the agent along: it is reported, and tests look for it.
process.on("uncaughtException", (error) => say({ uncaught: error.stack ?? String(error) }));
process.on("unhandledRejection", (error) => say({ uncaught: String((error as Error)?.stack ?? error) }));
createInterface({ input: socket }).on("line", (line) => void obey(JSON.parse(line) as Order));
say({ uncaught: null });

function say(answer: Answer): void {
  socket.write(`${JSON.stringify(answer)}\n`);
}

async function obey(order: Order): Promise<void> {
  if (order.do === "cancel") return running.get(order.id)?.abort();
  const stop = new AbortController();
  running.set(order.id, stop);
  try {
    say({ id: order.id, value: (await perform(order, stop.signal)) ?? null });
  } catch (error) {
    const { name, message, code, hint } = error as Error & { code?: unknown; hint?: unknown };
    say({ id: order.id, error: { name, message, code: String(code), hint: String(hint) } });
  } finally {
    running.delete(order.id);
  }
}

async function perform(order: Order, signal: AbortSignal): Promise<unknown> {
  switch (order.do) {
    case "run":
      return runProgram(order, signal);
    case "write":
      return writeFileSync(order.path, Buffer.from(order.base64, "base64"));
    case "call": {
      const module = (await import(order.module)) as Record<string, (...args: unknown[]) => unknown>;
      return module[order.name]!(...order.args, signal);
    }
    case "cancel":
      return undefined;
  }
}

function runProgram(order: Extract<Order, { do: "run" }>, signal: AbortSignal): Promise<unknown> {
  const [program, ...args] = order.words;
  const started = process.hrtime.bigint();
  const as = order.uid === undefined ? {} : { uid: order.uid, gid: order.uid };
  const child = spawn(program!, args, {
    stdio: ["pipe", "pipe", "pipe"],
    signal,
    killSignal: "SIGKILL",
    env: { ...process.env, ...order.env },
    ...(order.cwd === undefined ? {} : { cwd: order.cwd }),
    ...as,
  });
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      if (output[name].length < MAX_OUTPUT) output[name] += text;
    });
  }
  // A program that reads no input breaks the pipe; that is its business.
  child.stdin.on("error", () => {});
  child.stdin.end(order.input ?? "");
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, killedBy) => {
      const tookMs = Number((process.hrtime.bigint() - started) / 1_000_000n);
      resolve({ code, killedBy, ...output, tookMs });
    });
  });
}
