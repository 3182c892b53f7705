import type { Command } from "commander";
import { describePort, listSerialPorts } from "../../transport/list.js";
import { type CommonOptions, commonOptions, inContext } from "../context.js";
import { printable, table, tone } from "../output.js";

export function define(command: Command): void {
  commonOptions(command)
    .addHelpText(
      "after",
      "\nNo port is opened, so no board is disturbed. Emulated boards: bootproof board --list",
    )
    .action((options: CommonOptions) =>
      inContext(options, async ({ out, config, signal }) => {
        const ports = await listSerialPorts({ signal });
        const rows = ports.map((port) => [
          `serial:${port.path}`,
          printable(describePort(port)),
          port.problem ? tone("bad", `no: ${printable(port.problem.message)}`) : tone("good", "yes"),
        ]);
        const boards = Object.entries(config.boards).map(([name, address]) => [
          name,
          printable(address),
          "from the config file",
        ]);
        const hints = ports.flatMap((port) => (port.problem ? [`${port.path}: ${port.problem.hint}`] : []));
        const found =
          rows.length + boards.length > 0
            ? table(["ADDRESS", "WHAT IT IS", "CAN BE OPENED"], [...rows, ...boards])
            : "No serial port, and no board in the config file.";
        out.result(
          { ports, boards: config.boards },
          [found, ...hints.map((hint) => tone("dim", printable(hint)))].join("\n"),
        );
      }),
    );
}
