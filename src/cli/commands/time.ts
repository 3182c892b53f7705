import type { Command } from "commander";
import { osDatetimeRead, osDatetimeWrite } from "../../smp/groups/os.js";
import { type BoardOptions, boardOptions } from "../board-options.js";
import { withBoard } from "../context.js";
import { printable } from "../output.js";
import { UsageError } from "../usage-error.js";

interface TimeOptions extends BoardOptions {
  utc?: boolean;
}

const UTC_HELP = "the board's clock is in UTC; default: this machine's local time";

export function define(command: Command): void {
  command.addHelpText("after", "\nA board's clock has no time zone: it shows the time that it was set to.");

  boardOptions(command.command("get", { isDefault: true }).description("show the board's clock"))
    .option("--utc", UTC_HELP)
    .action((options: TimeOptions) =>
      withBoard(options, async ({ client }, { out, signal }) => {
        const { datetime } = await client.send(osDatetimeRead, {}, { signal });
        const ahead = secondsAhead(datetime, options.utc ?? false);
        const zone = options.utc ? "UTC" : "this machine's time";
        out.result(
          { datetime, ...(ahead === undefined ? {} : { secondsAhead: ahead }) },
          `${printable(datetime)}${ahead === undefined ? "" : `  (${drawDifference(ahead)} ${zone})`}`,
        );
      }),
    );

  boardOptions(command.command("set").description("set the board's clock from this machine's"))
    .argument("[datetime]", "another time: 2026-09-01T12:34:56")
    .option("--utc", UTC_HELP)
    .action((given: string | undefined, options: TimeOptions) =>
      withBoard(options, async ({ client }, { out, signal }) => {
        if (given !== undefined && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,5})?$/.test(given))
          throw new UsageError(`"${given}" is not a date and time.`, "Write it as 2026-09-01T12:34:56.");
        const datetime = given ?? clockText(new Date(), options.utc ?? false);
        await client.send(osDatetimeWrite, { datetime }, { signal });
        out.result({ datetime }, `The board's clock is set to ${datetime}.`);
      }),
    );
}

/** `YYYY-MM-DDTHH:MM:SS` in UTC or local time. */
export function clockText(date: Date, utc: boolean): string {
  const shifted = utc ? date : new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 19);
}

/** By how much the board's clock is ahead of this machine's; undefined when its text cannot be read as a time. */
function secondsAhead(datetime: string, utc: boolean): number | undefined {
  const board = Date.parse(`${datetime.slice(0, 19)}${utc ? "Z" : ""}`);
  return Number.isNaN(board) ? undefined : Math.round((board - Date.now()) / 1000);
}

function drawDifference(ahead: number): string {
  if (Math.abs(ahead) <= 1) return "the same as";
  return `${Math.abs(ahead)} s ${ahead > 0 ? "ahead of" : "behind"}`;
}
