import type { Command } from "commander";
import { listGroups } from "../../session/groups.js";
import { type BoardOptions, boardOptions } from "../board-options.js";
import { withBoard } from "../context.js";
import { printable, table } from "../output.js";

export function define(command: Command): void {
  boardOptions(command).action((options: BoardOptions) =>
    withBoard(options, async (session, { out, signal }) => {
      const found = await listGroups(session, { signal });
      const rows = found.groups.map(({ group, name, handlers }) => [
        `${group}`,
        printable(name ?? ""),
        handlers === undefined ? "" : `${handlers}`,
      ]);
      if (found.from === "tried")
        out.note("The board cannot list its groups; the common ones were tried, there may be others.");
      out.result(found, table(["GROUP", "NAME", "COMMANDS"], rows));
    }),
  );
}
