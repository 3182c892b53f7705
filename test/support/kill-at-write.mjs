// Loaded with `node --import`: ends the process as a power cut would, at the Nth change to a file (KILL_AT). Of a write,
// half is done. Without KILL_AT the changes are counted, and the number goes to the file COUNT_TO.
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const killAt = Number(process.env.KILL_AT ?? 0);
let count = 0;

function before(half) {
  count++;
  if (count !== killAt) return;
  half?.();
  process.kill(process.pid, "SIGKILL");
  // The signal may take a moment.
  for (;;);
}

const { openSync, writeSync, renameSync, rmSync, writeFileSync } = fs;
fs.openSync = (path, flags, ...rest) => {
  if (flags !== "r") before();
  return openSync(path, flags, ...rest);
};
fs.writeSync = (file, bytes, offset = 0) => {
  before(() => writeSync(file, bytes, offset, Math.floor((bytes.length - offset) / 2)));
  return writeSync(file, bytes, offset);
};
fs.renameSync = (from, to) => {
  before();
  renameSync(from, to);
};
fs.rmSync = (path, options) => {
  before();
  rmSync(path, options);
};
syncBuiltinESMExports();

process.on("exit", () => {
  if (process.env.COUNT_TO) writeFileSync(process.env.COUNT_TO, String(count));
});
