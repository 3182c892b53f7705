import type { Command } from "commander";
import { osParams } from "../../smp/groups/os-first.js";
import { type BoardOptions, boardOptions } from "../board-options.js";
import { withBoard } from "../context.js";
import { drawValue } from "../draw-value.js";

export function define(command: Command): void {
  boardOptions(command).action((options: BoardOptions) =>
    withBoard(options, async ({ client }, { out, signal }) => {
      const { buf_size, buf_count } = await client.send(osParams, {}, { signal });
      const { largestMessage } = client;
      out.result(
        { bufSize: buf_size, bufCount: buf_count, largestMessage, framing: client.framing.name },
        drawValue({
          "server buffer": `${buf_size} bytes`,
          "how many": buf_count,
          "largest message": `${largestMessage} bytes (${client.framing.name} framing)`,
        }),
      );
    }),
  );
}
