import { matrix } from "./matrix.js";
import { measure, type Row } from "./row.js";
import { measureStart, type StartRow } from "./start-up.js";

/**
 * How close uploads come to what the line can carry, over simulated lines to real firmware. Arguments: `--json` for one
 * object a row, `--real` to let the work of client and board count on our own board too, and words that a row must contain (`console 1000000`) to run only those.
 */
const words = process.argv.slice(2);
const json = words.includes("--json");
const wanted = words.filter((word) => !word.startsWith("--"));

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
if (!json) console.log(COLUMNS.map(([name, width]) => name.padEnd(width)).join(" "));
for (const setting of matrix) {
  const says = Object.values(setting).map(String);
  if (!wanted.every((word) => says.includes(word))) continue;
  const row = await measure(setting, { real: words.includes("--real") });
  if (row) print(row);
  else console.error(`${setting.board}: skipped, BOOTPROOF_REAL_SERVERS names no folder with it`);
}
