import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import type { Client } from "../../client/client.js";
import { statList, statRead } from "../../smp/groups/stat.js";
import { DeviceError } from "../../smp/message.js";
import { type BoardOptions, boardOptions } from "../board-options.js";
import { type Context, wholeNumber, withBoard } from "../context.js";
import { printable, table, tone } from "../output.js";
import { UsageError } from "../usage-error.js";

interface StatsOptions extends BoardOptions {
  all?: boolean;
  watch?: boolean | number;
  count?: number;
  csv?: boolean;
}

interface Counter {
  group: string;
  field: string;
  value: number | bigint;
}

const DEFAULT_WATCH_S = 1;

export function define(command: Command): void {
  boardOptions(command)
    .argument("[group...]", "statistics groups; default: list them")
    .option("-a, --all", "every group")
    .option("-w, --watch [seconds]", "read them repeatedly, and show changes", readSeconds)
    .option("-n, --count <times>", "stop after this many readings", wholeNumber("--count", { min: 1 }))
    .option("--csv", "comma separated: time,group,field,value")
    .action((groups: string[], options: StatsOptions) =>
      withBoard(options, async ({ client }, context) => {
        const wanted = groups.length > 0 ? groups : undefined;
        if (wanted === undefined && !options.all && !options.watch && !options.csv)
          return list(client, context);
        const names = wanted ?? (await client.send(statList, {}, { signal: context.signal })).stat_list;
        if (options.watch !== undefined || options.count !== undefined)
          return watch(client, names, options, context);
        const counters = await read(client, names, context);
        const text = options.csv
          ? [CSV_HEADER, ...csvLines(counters, new Date())].join("\n")
          : draw(counters);
        context.out.result({ groups: grouped(counters) }, text);
      }),
    );
}

async function list(client: Client, { out, signal }: Context): Promise<void> {
  const { stat_list } = await client.send(statList, {}, { signal });
  out.result({ groups: stat_list }, stat_list.map(printable).join("\n"));
}

/** Groups whose refusal was told: once is enough. */
const leftOut = new Set<string>();

/** One group that the board refuses is an error; of several, the others are still worth showing. */
async function read(client: Client, names: readonly string[], { out, signal }: Context): Promise<Counter[]> {
  const counters: Counter[] = [];
  for (const name of names) {
    const answer = await client.send(statRead, { name }, { signal }).catch((error: unknown) => {
      if (!(error instanceof DeviceError) || names.length === 1) throw error;
      if (!leftOut.has(name)) out.note(`${printable(name)} is omitted: ${printable(error.message)}`);
      leftOut.add(name);
    });
    const fields = answer?.fields ?? {};
    counters.push(...Object.entries(fields).map(([field, value]) => ({ group: name, field, value })));
  }
  return counters;
}

/** Reads the same counters until told to stop. On a terminal the table stays in its place. */
async function watch(
  client: Client,
  names: readonly string[],
  options: StatsOptions,
  context: Context,
): Promise<void> {
  const { out, signal } = context;
  const seconds = typeof options.watch === "number" ? options.watch : DEFAULT_WATCH_S;
  const live = process.stdout.isTTY === true && !options.json && !options.csv;
  let before: Counter[] | undefined;
  if (options.csv && !options.json) out.line({}, CSV_HEADER);
  for (let reading = 1; ; reading++) {
    const at = new Date();
    const counters = await read(client, names, context);
    if (options.csv && !options.json) for (const line of csvLines(counters, at)) out.line({}, line);
    else {
      const page = draw(counters, before);
      out.line({ at: at.toISOString(), groups: grouped(counters) }, live ? `${CLEAR}${page}` : `${page}\n`);
    }
    if (reading === options.count) return;
    before = counters;
    await delay(seconds * 1000, undefined, { signal });
  }
}

/** Cursor home, and clear what is below it: the table is drawn over the one before. */
const CLEAR = "\u001b[H\u001b[J";

function draw(counters: readonly Counter[], before?: readonly Counter[]): string {
  const rows = counters.map(({ group, field, value }, index) => {
    const last = before?.[index];
    const change = last === undefined ? undefined : BigInt(value) - BigInt(last.value);
    const shown = change === undefined || change === 0n ? "" : `${change > 0n ? "+" : ""}${change}`;
    return [printable(group), printable(field), `${value}`, shown === "" ? "" : tone("strong", shown)];
  });
  const header = ["GROUP", "COUNTER", "VALUE", ...(before ? ["CHANGE"] : [])];
  return table(
    header,
    rows.map((row) => row.slice(0, header.length)),
  );
}

function grouped(counters: readonly Counter[]): Record<string, Record<string, number | bigint>> {
  const groups = [...new Set(counters.map(({ group }) => group))];
  return Object.fromEntries(
    groups.map((group) => [
      group,
      Object.fromEntries(
        counters.filter((counter) => counter.group === group).map(({ field, value }) => [field, value]),
      ),
    ]),
  );
}

const CSV_HEADER = "time,group,field,value";

function csvLines(counters: readonly Counter[], at: Date): string[] {
  return counters.map(({ group, field, value }) =>
    [at.toISOString(), csvCell(group), csvCell(field), `${value}`].join(","),
  );
}

/** RFC 4180. A leading sign would make a spreadsheet take a name for a formula. */
function csvCell(text: string): string {
  const cell = printable(text).replace(/^([=+@-])/, "'$1");
  return /[",]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds >= 0.05 && seconds <= 86_400))
    throw new UsageError(`--watch "${text}" is not a number of seconds from 0.05 to 86400.`);
  return seconds;
}
