import type { Command } from "commander";
import { storageErase } from "../../smp/groups/zephyr.js";
import { confirm } from "../ask.js";
import { type BoardOptions, boardOptions } from "../board-options.js";
import { withBoard } from "../context.js";

/** Erasing a partition of slow flash takes long, and is not to be started twice. */
const ERASE_TIMEOUT_MS = 60_000;

interface EraseOptions extends BoardOptions {
  yes?: boolean;
}

export function define(command: Command): void {
  boardOptions(
    command
      .command("erase")
      .description("erase the storage partition: all settings, and whatever else is stored there"),
  )
    .option("-y, --yes", "do not ask")
    .action((options: EraseOptions) =>
      withBoard(options, async ({ client }, { out, signal }) => {
        const sure = await confirm(`All settings of ${client.name} will be lost. Erase them?`, {
          yes: options.yes,
          signal,
        });
        if (!sure) return out.result({ erased: false }, "Nothing was erased.");
        await client.send(storageErase, {}, { signal, timeoutMs: options.timeout ?? ERASE_TIMEOUT_MS });
        out.result(
          { erased: true },
          "The storage partition is erased. Restart the board, so that it starts with defaults.",
        );
      }),
    );
}
