import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { whyMissing } from "./on-path.js";
import { perFile } from "./per-file.js";

/** Why boards cannot be read by smpclient here; undefined when they can. smpmgr, from PyPI, brings it. */
export const noSmpclientReason = whyMissing("python3", "smpmgr");

/** What a board runs. */
export interface ReadByOthers {
  readonly version: string;
  readonly confirmed: boolean;
}

const program = fileURLToPath(new URL("smpclient_reader.py", import.meta.url));
const reader = perFile(start, ({ child }) => child.stdin.end());
let turn: Promise<unknown> = Promise.resolve();

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
  const running = reader();
  running.child.stdin.write(`${path}\n`);
  const { value, done } = await running.answers.next();
  if (done === true) throw new Error(`smpclient ended: ${running.stderr}`);
  const told = JSON.parse(value) as ReadByOthers & { error?: string };
  if (told.error !== undefined) throw new Error(`smpclient on ${path}: ${told.error}\n${running.stderr}`);
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
