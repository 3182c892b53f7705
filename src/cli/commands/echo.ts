import type { Command } from "commander";
import { osEcho } from "../../smp/groups/os-first.js";
import { type BoardOptions, boardOptions } from "../board-options.js";
import { wholeNumber, withBoard } from "../context.js";
import { NotDoneError } from "../not-done.js";
import { printable } from "../output.js";
import { UsageError } from "../usage-error.js";

interface EchoOptions extends BoardOptions {
  size?: number;
}

export function define(command: Command): void {
  boardOptions(command)
    .argument("[text]", "the text to repeat", "hello")
    .option(
      "--size <bytes>",
      "send a text of this length instead, to test the server's buffers",
      wholeNumber("--size", { max: 0xffff }),
    )
    .action((text: string, options: EchoOptions) =>
      withBoard(options, async ({ client }, { out, signal }) => {
        const said = options.size === undefined ? text : "x".repeat(options.size);
        if (new TextEncoder().encode(said).length + ECHO_OVERHEAD > client.largestMessage)
          throw new UsageError(
            `The text is too long: the longest message this board takes has ${client.largestMessage} bytes.`,
            "Longer ones would get no answer.",
          );
        const start = performance.now();
        const { r } = await client.send(osEcho, { d: said }, { signal });
        const ms = Math.round(performance.now() - start);
        if (r !== said)
          throw new NotDoneError(
            `The board returned a different text: "${printable(r.slice(0, 80))}".`,
            "Bytes may get lost in transit: try a lower baud rate.",
          );
        out.result({ text: r, ms }, printable(r));
      }),
    );
}

/** Header, map, key, and the longest head of a text. */
const ECHO_OVERHEAD = 8 + 1 + 2 + 3;
