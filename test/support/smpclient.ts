import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";
import { whyMissing } from "./on-path.js";

/** Why boards cannot be read by smpclient here; undefined when they can. smpmgr, from PyPI, brings it. */
export const noSmpclientReason = whyMissing("python3", "smpmgr");

/** What a board runs. */
export interface ReadByOthers {
  readonly version: string;
  readonly confirmed: boolean;
}

const program = fileURLToPath(new URL("smpclient_reader.py", import.meta.url));
let reader:
  | { child: ChildProcessWithoutNullStreams; answers: AsyncIterator<string>; stderr: string }
  | undefined;
let turn: Promise<unknown> = Promise.resolve();
afterAll(() => reader?.child.stdin.end());

/**
 * What smpclient reads of the running image over a serial port. Its Python is started once a test file: it takes longer to
 * start than to read.
 */
export function readBySmpclient(path: string): Promise<ReadByOthers> {
  const answer = turn.then(() => ask(path));
  turn = answer.catch(() => undefined);
  return answer;
}

async function ask(path: string): Promise<ReadByOthers> {
  reader ??= start();
  reader.child.stdin.write(`${path}\n`);
  const { value, done } = await reader.answers.next();
  if (done === true) throw new Error(`smpclient ended: ${reader.stderr}`);
  const told = JSON.parse(value) as ReadByOthers & { error?: string };
  if (told.error !== undefined) throw new Error(`smpclient on ${path}: ${told.error}\n${reader.stderr}`);
  return told;
}

function start() {
  const child = spawn("python3", [program], { stdio: ["pipe", "pipe", "pipe"] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const started = { child, answers, stderr: "" };
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    started.stderr += text;
  });
  return started;
}
