import type { Command } from "commander";
import { drawCompletion, SHELLS } from "../completion.js";
import { UsageError } from "../usage-error.js";

export function define(command: Command): void {
  command.argument("<shell>", `one of ${SHELLS.join(", ")}`).action((name: string) => {
    const shell = SHELLS.find((one) => one === name);
    if (shell === undefined)
      throw new UsageError(
        `There is no completion for the shell "${name}".`,
        `Choose one of: ${SHELLS.join(", ")}.`,
      );
    process.stdout.write(drawCompletion(shell, command.parent!));
  });
}
