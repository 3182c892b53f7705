// Loaded with `node --import`: ends the process as a power cut would, at the Nth change to a file (KILL_AT). Of a write,
// half is done. Without KILL_AT the changes are counted, and the number goes to the file COUNT_TO. KILL_ONCE is a pattern: the
// process ends as soon as a file has its name whose name and content have it.
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const killAt = Number(process.env.KILL_AT ?? 0);
let count = 0;

function before(half) {
  count++;
  if (count !== killAt) return;
  half?.();
  end();
}

function end() {
  process.kill(process.pid, "SIGKILL");
  // The signal may take a moment.
  for (;;);
}

const once = process.env.KILL_ONCE === undefined ? undefined : new RegExp(process.env.KILL_ONCE);
const { openSync, readFileSync, writeSync, renameSync, rmSync, statSync, writeFileSync } = fs;
fs.openSync = (path, flags, ...rest) => {
  if (flags !== "r") before();
  return openSync(path, flags, ...rest);
};
fs.writeSync = (file, bytes, offset = 0, ...rest) => {
  before(() => writeSync(file, bytes, offset, Math.floor((bytes.length - offset) / 2)));
  return writeSync(file, bytes, offset, ...rest);
};
fs.renameSync = (from, to) => {
  before();
  renameSync(from, to);
  if (once && statSync(to).isFile() && once.test(`${to}\n${readFileSync(to, "latin1")}`)) end();
};
fs.rmSync = (path, options) => {
  before();
  rmSync(path, options);
};
syncBuiltinESMExports();

process.on("exit", () => {
  if (process.env.COUNT_TO) writeFileSync(process.env.COUNT_TO, String(count));
});
