import type { Command } from "commander";
import type { ResponseOf } from "../../smp/command.js";
import { osTaskStats, TASK_STATES } from "../../smp/groups/os.js";
import { type BoardOptions, boardOptions } from "../board-options.js";
import { withBoard } from "../context.js";
import { printable, table, tone } from "../output.js";

type Task = ResponseOf<typeof osTaskStats>["tasks"][string];

/** Stack sizes come in units of so many bytes. */
const STACK_UNIT = 4;
/** A stack that was ever this full is worth a look. */
const TIGHT_SHARE = 0.9;

export function define(command: Command): void {
  boardOptions(command).action((options: BoardOptions) =>
    withBoard(options, async ({ client }, { out, signal }) => {
      const answer = await client.send(osTaskStats, {}, { signal });
      const tasks = Object.entries(answer.tasks).map(([name, task]) => readTask(name, task));
      out.result(
        { tasks },
        reportedColumns(
          ["TASK", "PRIORITY", "STATE", "STACK USED", "OF", "SWITCHES", "RUNTIME"],
          tasks.map(drawTask),
        ),
      );
    }),
  );
}

/** Without the columns that no task has a figure for. */
function reportedColumns(head: readonly string[], rows: readonly string[][]): string {
  const isReported = (_: string, column: number) => rows.some((row) => row[column] !== "");
  return table(
    head.filter(isReported),
    rows.map((row) => row.filter(isReported)),
  );
}

interface TaskFacts {
  name: string;
  priority: number;
  state: string[];
  /** Bytes. */
  stackUsed?: number;
  stackSize?: number;
  switches?: number | bigint;
  runtime?: number | bigint;
}

function readTask(name: string, task: Task): TaskFacts {
  const size = task.stksiz ?? task.stksize;
  const states = Object.entries(TASK_STATES).filter(([, bit]) => (task.state & bit) !== 0);
  return {
    name,
    priority: task.prio,
    state: states.map(([word]) => word),
    ...(task.stkuse === undefined ? {} : { stackUsed: task.stkuse * STACK_UNIT }),
    ...(size === undefined ? {} : { stackSize: size * STACK_UNIT }),
    ...(task.cswcnt === undefined ? {} : { switches: task.cswcnt }),
    ...(task.runtime === undefined ? {} : { runtime: task.runtime }),
  };
}

function drawTask(task: TaskFacts): string[] {
  const { stackUsed: used, stackSize: size } = task;
  const tight = used !== undefined && size !== undefined && used > size * TIGHT_SHARE;
  const text = (value: number | bigint | undefined) => (value === undefined ? "" : `${value}`);
  return [
    printable(task.name),
    `${task.priority}`,
    task.state.join(" "),
    tight ? tone("warn", text(used)) : text(used),
    text(size),
    text(task.switches),
    text(task.runtime),
  ];
}
