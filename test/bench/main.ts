import { measureMany } from "./many.js";
import { matrix } from "./matrix.js";
import { measureRivals } from "./rivals.js";
import { clockOf, measure, type Row } from "./row.js";
import { measureStart, type StartRow } from "./start-up.js";

const HELP = `How close transfers come to what a line can carry: our own firmware, and servers that
nobody here wrote, behind a simulated serial line. Words choose rows; a row has to have all of them.

  npm run bench                        all rows and the start-up: about ten minutes
  npm run bench -- virtual             our board by a clock that stands still while anybody works:
                                       only the line takes time, and the same comes out each time
  npm run bench -- real                QEMU and real servers by the wall clock: wants a quiet machine
  npm run bench -- console 1000000     what has both: board, framing, baud, added delay, buffer size,
                                       number of buffers, error rate (0.0001), "fs put", "fs get"
  npm run bench -- boards              1 to 64 boards driven by one process, at 115200 and 1 Mbaud;
                                       "boards 8" stops at 8
  npm run bench -- rivals              uploads by this and by other programs, by turns, to real servers
                                       over a pseudo-terminal; "rivals 1000000" only those lines
  npm run bench -- start-up            how long the command takes to begin, against bare Node

  --json   one object a row      --real   our board by the wall clock too

Real servers: BOOTPROOF_REAL_SERVERS names a folder of Zephyr builds with their manifest.json.
"bootproof help speed" says how to read a row.`;

const words = process.argv.slice(2);
const json = words.includes("--json");
const real = words.includes("--real");
const wanted = words.filter((word) => !word.startsWith("--"));
const odd = words.filter((word) => word.startsWith("--") && !["--json", "--real"].includes(word));
if (odd.length > 0 || words.includes("-h")) {
  console.log(HELP);
  process.exit(words.includes("--help") || words.includes("-h") ? 0 : 2);
}

if (wanted[0] === "boards") {
  for await (const row of measureMany(wanted[1] === undefined ? undefined : Number(wanted[1]))) {
    const { boards, baud, goodput, ratio, cpuPerBoard, memoryPerBoard = "-" } = row;
    console.log(
      json
        ? JSON.stringify(row)
        : `${boards} boards at ${baud} baud: ${goodput} B/s, ratio ${ratio}; a board: cpu ${cpuPerBoard} of a process each, ${memoryPerBoard} MB`,
    );
  }
  process.exit(0);
}

if (wanted[0] === "rivals") {
  for await (const row of measureRivals(wanted.slice(1))) {
    const { link, baud, delayMs, program, runs, goodput, ceilingRatio, oursAgainst } = row;
    const against = oursAgainst === undefined ? "" : `; bootproof ${oursAgainst} of it`;
    console.log(
      json
        ? JSON.stringify(row)
        : `${link} at ${baud} baud, ${delayMs} ms: ${program} ${goodput} B/s, ${ceilingRatio} of the ceiling (median of ${runs})${against}`,
    );
  }
  process.exit(0);
}

const COLUMNS = [
  ["link", 34],
  ["what", 7],
  ["framing", 8],
  ["baud", 8],
  ["delayMs", 8],
  ["buffer", 7],
  ["bufferCount", 12],
  ["errorRate", 10],
  ["goodput", 8],
  ["ceiling", 8],
  ["ceilingOf", 10],
  ["ratio", 6],
  ["worst", 6],
  ["reachable", 9],
  ["verdict", 12],
  ["window", 6],
  ["messageLength", 13],
  ["clock", 7],
] as const satisfies readonly (readonly [keyof Row, number])[];

function print(row: Row | StartRow): void {
  if (json) console.log(JSON.stringify(row));
  else if ("startUp" in row) {
    const { startUp, ratio, atMost, ms, bareNodeMs } = row;
    console.log(
      `start-up, ${startUp}: ${ms} ms, bare node ${bareNodeMs} ms, ratio ${ratio} (at most ${atMost})`,
    );
  } else console.log(COLUMNS.map(([name, width]) => String(row[name]).padEnd(width)).join(" "));
}

if (wanted.length === 0 || wanted.includes("start-up")) for (const row of await measureStart()) print(row);
const chosen = matrix.filter((setting) => {
  const message = [...Object.values(setting).map(String), clockOf(setting, { real })];
  return wanted.every((word) => message.includes(word));
});
if (chosen.length === 0 && !wanted.includes("start-up")) {
  console.error(`No row has ${wanted.join(" and ")}. Try npm run bench -- --help.`);
  process.exit(2);
}
if (!json && chosen.length > 0) console.log(COLUMNS.map(([name, width]) => name.padEnd(width)).join(" "));
for (const setting of chosen) {
  const row = await measure(setting, { real });
  if (row) print(row);
  else console.error(`${setting.board}: skipped, BOOTPROOF_REAL_SERVERS names no folder with it`);
}
