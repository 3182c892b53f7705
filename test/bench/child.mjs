// What a child costs: processor time of it and of its children, milliseconds, and its largest memory, MB. Only a parent can
// ask the system for that, and Node does not: Python does.
import { spawnSync } from "node:child_process";

const ASK = `
import os, sys
null = os.open(os.devnull, os.O_RDWR)
child = os.fork()
if child == 0:
    for stream in range(3): os.dup2(null, stream)
    os.execvp(sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(child, 0)
print((used.ru_utime + used.ru_stime) * 1000, used.ru_maxrss / 1024, status)
`;

export function costOf(words) {
  const { stdout, stderr } = spawnSync("python3", ["-c", ASK, ...words], { encoding: "utf8" });
  const [cpuMs, memory, status] = stdout.trim().split(" ").map(Number);
  if (status !== 0) throw new Error(`${words.join(" ")} failed: ${stderr}`);
  return { cpuMs, memory };
}

export const middle = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
