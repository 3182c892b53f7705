import { Answer } from "./answer.js";
import type { McumgrCommand, Run } from "./command.js";
import { usageFailure } from "./failure.js";
import { done, simple, unlessRefused } from "./simple.js";

const ask = (op: "read" | "write", group: number, id: number, fields: Record<string, unknown> = {}) => ({
  op,
  group,
  id,
  fields,
});

async function echo(run: Run): Promise<void> {
  const [text] = run.args;
  if (text === undefined) throw usageFailure();
  await simple(ask("write", 0, 0, { d: text }), (answer) => `${answer.text("r")}\n`)(run);
}

async function datetime(run: Run): Promise<void> {
  const [time] = run.args;
  const say = (answer: Answer) => `Datetime(RFC 3339 format): ${answer.text("datetime")}\n`;
  if (time === undefined) return simple(ask("read", 0, 4), say)(run);
  const value = time === "now" ? new Date().toISOString() : time;
  return simple(ask("write", 0, 4, { datetime: value }), done)(run);
}

const TASK_HEAD = "      task\tpri tid  runtime      csw    stksz   stkuse last_checkin next_checkin\n";
const TASK_COLUMNS = [
  ["prio", 3],
  ["tid", 3],
  ["runtime", 8],
  ["cswcnt", 8],
  ["stksiz", 8],
  ["stkuse", 8],
  ["last_checkin", 8],
  ["next_checkin", 8],
] as const;

/** A number in `width` columns; another kind of value in the way Go shows that it is none. */
function column(value: unknown, width: number): string {
  if (typeof value === "bigint" || typeof value === "number") return String(value).padStart(width);
  if (typeof value === "string") return `%!d(string=${value.padStart(width)})`;
  return `%!d(${typeof value}=${String(value).padStart(width)})`;
}

function taskLines(answer: Answer): string {
  const lines = answer.entries("tasks").map(([name, task]) => {
    const fields = new Map(new Answer({ task }).entries("task"));
    const cells = TASK_COLUMNS.map(([key, width]) => column(fields.get(key) ?? 0, width));
    return `  ${name.padStart(8)}\t${cells.join(" ")}\n`;
  });
  return `${TASK_HEAD}${lines.join("")}`;
}

const POOL_COLUMNS = [
  ["blksiz", 5],
  ["nblks", 4],
  ["nfree", 4],
  ["min", 4],
] as const;

function poolLines(answer: Answer): string {
  const head = `${"name".padStart(32)} blksz  cnt free  min\n`;
  const lines = answer.entries("mpools").map(([name, pool]) => {
    const fields = new Map(new Answer({ pool }).entries("pool"));
    const cells = POOL_COLUMNS.map(([key, width]) => column(fields.get(key) ?? 0, width));
    return `${name.padStart(32)} ${cells.join(" ")}\n`;
  });
  return `${head}${lines.join("")}`;
}

async function stat(run: Run): Promise<void> {
  const [name] = run.args;
  if (name === undefined) throw usageFailure();
  await simple(
    ask("read", 2, 0, { name }),
    unlessRefused((answer) => {
      const lines = answer.entries("fields").map(([field, value]) => `${column(value, 10)} ${field}\n`);
      return `stat group: ${answer.text("name")}\n${lines.join("")}`;
    }),
  )(run);
}

/** Names under a heading, by name. */
function named(heading: string, names: readonly string[]): string {
  if (names.length === 0) return `${heading} none\n`;
  return `${heading}\n${[...names]
    .sort((a, b) => (a < b ? -1 : Number(a > b)))
    .map((name) => `    ${name}\n`)
    .join("")}`;
}

async function config(run: Run): Promise<void> {
  const link = await run.session();
  const [name, value] = run.args;
  if (name === undefined) throw usageFailure();
  if (name === "save") return run.io.out(await link.ask(ask("write", 3, 0, { save: true }), done));
  if (value !== undefined) return run.io.out(await link.ask(ask("write", 3, 0, { name, val: value }), done));
  const say = unlessRefused((answer) => `Value: ${answer.text("val")}\n`);
  run.io.out(await link.ask(ask("read", 3, 0, { name }), say));
}

const CRASHES = new Set(["assert", "div0", "jump0", "ref0", "wdog"]);

async function crash(run: Run): Promise<void> {
  const [kind, ...more] = run.args;
  if (kind === undefined || more.length > 0 || !CRASHES.has(kind)) throw usageFailure();
  await simple(ask("write", 5, 0, { t: kind }), done)(run);
}

async function runTest(run: Run): Promise<void> {
  const [name = "all", token] = run.args;
  await simple(ask("write", 7, 0, { testname: name, token: token ?? "" }), done)(run);
}

async function shellExec({ args, io, session }: Run): Promise<void> {
  const link = await session();
  if (args.length === 0) throw usageFailure();
  const say = (answer: Answer) => {
    const output = answer.text("o");
    return `status=${answer.rc}\n${output === "" ? "" : output.endsWith("\n") ? output : `${output}\n`}`;
  };
  io.out(await link.ask(ask("write", 9, 0, { argv: [...args] }), say));
}

export const echoCommand: McumgrCommand = {
  name: "echo",
  about: "Send data to a device and display the echoed back data",
  operands: "<text>",
  run: echo,
};

export const reset: McumgrCommand = {
  name: "reset",
  about: "Perform a soft reset of a device",
  run: async (run) => {
    await (await run.guard())?.restart();
    await simple(ask("write", 0, 5), (answer) => {
      // Read so that an answer of another shape does not count as one.
      void answer.rc;
      return "Done\n";
    })(run);
  },
};

export const osCommands: readonly McumgrCommand[] = [
  {
    name: "config",
    about: "Read or write a config value on a device",
    operands: "<name> [value]",
    run: config,
  },
  { name: "crash", about: "Send a crash command to a device", operands: [...CRASHES].join("|"), run: crash },
  { name: "datetime", about: "Manage datetime on a device", operands: "[rfc-3339-time]", run: datetime },
  {
    name: "mpstat",
    about: "Read mempool statistics from a device",
    run: simple(ask("read", 0, 3), unlessRefused(poolLines)),
  },
  {
    name: "run",
    about: "Run test procedures on a device",
    commands: [
      {
        name: "list",
        about: "List registered tests on a device",
        run: simple(
          ask("read", 7, 1),
          unlessRefused((answer) => named("available tests:", answer.texts("run_list"))),
        ),
      },
      { name: "test", about: "Run tests on a device", operands: "[name] [token]", run: runTest },
    ],
  },
  {
    name: "shell",
    about: "Execute shell commands remotely",
    commands: [
      {
        name: "exec",
        about: "Execute a shell command remotely",
        operands: "<command> [args...]",
        run: shellExec,
      },
    ],
  },
  {
    name: "stat",
    about: "Read statistics for the specified stats_name from a device",
    operands: "<stats_name>",
    commands: [
      {
        name: "list",
        about: "Read the list of Stats names from a device",
        run: simple(
          ask("read", 2, 1),
          unlessRefused((answer) => named("stat groups:", answer.texts("stat_list"))),
        ),
      },
    ],
    run: stat,
  },
  {
    name: "taskstat",
    about: "Read task statistics from a device",
    run: simple(ask("read", 0, 2), unlessRefused(taskLines)),
  },
];
