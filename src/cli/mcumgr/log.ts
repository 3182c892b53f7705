import { toHex } from "../../bytes.js";
import { toJson } from "../../smp/json.js";
import { decodePayload } from "../../smp/message.js";
import type { Answer } from "./answer.js";
import type { McumgrCommand, Run } from "./command.js";
import { McumgrFailure, usageFailure } from "./failure.js";
import { goInteger } from "./go-text.js";
import type { Session } from "./session.js";
import { simple } from "./simple.js";

const GROUP = 4;

const TYPES: Readonly<Record<string, string>> = { "0": "STREAM", "1": "MEMORY", "2": "STORAGE" };
const LEVELS: Readonly<Record<string, string>> = {
  "0": "DEBUG",
  "1": "INFO",
  "2": "WARN",
  "3": "ERROR",
  "4": "CRITICAL",
};
const MODULES: Readonly<Record<string, string>> = {
  "0": "DEFAULT",
  "1": "OS",
  "2": "NEWTMGR",
  "3": "NIMBLE_CTLR",
  "4": "NIMBLE_HOST",
  "5": "NFFS",
  "6": "REBOOT",
  "7": "IOTIVITY",
  "8": "TEST",
};

const named = (names: Readonly<Record<string, string>>, value: number | bigint) =>
  `${names[String(value)] ?? "CUSTOM"} (${value})`;

const row = (cells: readonly [string, string, string, string, string, string, string]) => {
  const [index, time, module, level, type, image, message] = cells;
  return `${index.padStart(10)} ${time.padStart(22)} | ${module.padStart(16)} ${level.padStart(16)} ${type.padStart(6)} ${image.padStart(8)} ${message}\n`;
};
const HEAD = row(["[index]", "[timestamp]", "[module]", "[level]", "[type]", "[img]", "[message]"]);

function entryLine(entry: Answer): string {
  const type = entry.text("type");
  const message = entry.bytes("msg");
  return row([
    String(entry.int("index")),
    `${entry.int("ts")}us`,
    named(MODULES, entry.int("module")),
    named(LEVELS, entry.int("level")),
    type,
    toHex(entry.bytes("imghash")),
    type === "str" ? new TextDecoder().decode(message) : type === "cbor" ? jsonOf(message) : toHex(message),
  ]);
}

function jsonOf(message: Uint8Array): string {
  try {
    return JSON.stringify(toJson(decodePayload(message)));
  } catch {
    return toHex(message);
  }
}

function logLines(logs: readonly Answer[]): string {
  return logs
    .map((log) => {
      const type = log.int("type");
      const entries = log.maps("entries").map(entryLine);
      return `Name: ${log.text("name")}\nType: ${TYPES[String(type)] ?? "???"}\n${HEAD}${entries.join("")}`;
    })
    .join("");
}

const NONE = "(no logs retrieved)\n";

interface Where {
  readonly name: string;
  readonly ts: number | bigint;
  readonly index: number | bigint;
}

function read(link: Session, { name, ts, index }: Where) {
  const fields = { log_name: name, ts, index };
  return link.ask({ op: "read", group: GROUP, id: 0, fields }, (answer) => {
    const logs = answer.maps("logs");
    const entries = logs.flatMap((log) => log.maps("entries"));
    return {
      rc: answer.rc,
      next: answer.int("next_index"),
      entries,
      text: logLines(logs),
      count: logs.length,
    };
  });
}

async function show({ args, flags, io, session }: Run): Promise<void> {
  const where = whereOf(args);
  if (flags.get("all") === true) {
    const link = await session();
    if (where.name === "") throw new McumgrFailure("must specify a single log to read when `-a` is used");
    return showAll(link, where, io.out);
  }
  const link = await session();
  const answer = await read(link, where);
  io.out(`Status: ${answer.rc}\nNext index: ${answer.next}\n${answer.count === 0 ? NONE : answer.text}`);
}

/** Reads on behind each answer until nothing comes any more. */
async function showAll(link: Session, where: Where, out: (text: string) => void): Promise<void> {
  let isFirst = true;
  for (let index = where.index; ; ) {
    const answer = await read(link, { ...where, index });
    const last = answer.entries.at(-1);
    if (answer.rc !== 0 || last === undefined) break;
    if (isFirst) out(answer.text);
    else out(answer.entries.map(entryLine).join(""));
    isFirst = false;
    const next = BigInt(last.int("index")) + 1n;
    if (next <= BigInt(index)) throw new McumgrFailure("the device sends the same log entries again");
    index = next;
  }
  if (isFirst) out(NONE);
}

/** Log, least index and least time from the words behind `show`; `last` asks for the last entry. */
function whereOf([name = "", index, time]: readonly string[]): Where {
  if (index === undefined) return { name, ts: 0, index: 0 };
  if (index === "last") return { name, ts: -1, index: 0 };
  const from = goInteger(index, "ParseUint", [0n, 2n ** 64n - 1n]);
  if (typeof from === "string") throw usageFailure(from);
  if (from > 0xffff_ffffn) throw usageFailure("index out of range");
  const ts = time === undefined ? 0n : goInteger(time, "ParseInt", [-(2n ** 63n), 2n ** 63n - 1n]);
  if (typeof ts === "string") throw usageFailure(ts);
  return { name, ts, index: from };
}

/** Names and numbers of a map, one a line. */
function numbered(
  heading: string,
  key: string,
  line: (name: string, value: unknown) => string,
  byNumber: boolean,
) {
  return (answer: Answer): string => {
    if (answer.rc !== 0) return `error: ${answer.rc}\n`;
    const entries = answer.entries(key);
    if (byNumber) entries.sort(([, a], [, b]) => Number(a) - Number(b));
    return `${heading}\n${entries.map(([name, value]) => `    ${line(name, value)}\n`).join("")}`;
  };
}

export const log: McumgrCommand = {
  name: "log",
  about: "Manage logs on a device",
  commands: [
    {
      name: "show",
      about:
        "Show the logs of a device. The arguments narrow down what is shown: a log by its name, the least index\n(`last` for the last entry), the least timestamp.",
      operands: "[log-name [min-index [min-timestamp]]]",
      flags: [{ name: "all", letter: "a", kind: "bool", summary: "read on until all entries are there" }],
      run: show,
    },
    {
      name: "clear",
      about: "Clear the logs on a device",
      run: simple({ op: "write", group: GROUP, id: 1, fields: {} }, ({ rc }) =>
        rc === 0 ? "done\n" : `error: ${rc}\n`,
      ),
    },
    {
      name: "module_list",
      about: "Module List Command",
      run: simple(
        { op: "read", group: GROUP, id: 3, fields: {} },
        numbered("available modules:", "module_map", (name, value) => `${name} (${String(value)})`, false),
      ),
    },
    {
      name: "level_list",
      about: "Level List Command",
      run: simple(
        { op: "read", group: GROUP, id: 4, fields: {} },
        numbered("available levels:", "level_map", (name, value) => `${String(value)}: ${name}`, true),
      ),
    },
    {
      name: "list",
      about: "Log List Command",
      run: simple({ op: "read", group: GROUP, id: 5, fields: {} }, (answer) => {
        if (answer.rc !== 0) return `error: ${answer.rc}\n`;
        const names = answer.texts("log_list").sort((a, b) => (a < b ? -1 : Number(a > b)));
        return `available logs:\n${names.map((name) => `    ${name}\n`).join("")}`;
      }),
    },
  ],
};
