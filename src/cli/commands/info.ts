import type { Command } from "commander";
import { readFacts } from "../../session/board-facts.js";
import { type BoardOptions, boardOptions } from "../board-options.js";
import { readKnown, withBoard } from "../context.js";
import { drawFacts } from "../draw-facts.js";
import { several } from "../several.js";

interface InfoOptions extends BoardOptions {
  known?: string[];
}

export function define(command: Command): void {
  boardOptions(command)
    .option(
      "--known <file>",
      "an image that may be on the board, or a JSON list of released ones, to name its counter and key (repeatable)",
      several,
    )
    .action((options: InfoOptions) =>
      withBoard(options, async (session, { out, config, signal }) => {
        const known = await readKnown([...(options.known ?? []), ...config.known], out);
        const facts = await readFacts(session, { signal, known });
        out.result(facts, drawFacts(facts));
      }),
    );
}
