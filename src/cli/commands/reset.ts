import type { Command } from "commander";
import { BOOT_MODES } from "../../smp/groups/os.js";
import { restart } from "../../workflow/restart.js";
import { run } from "../../workflow/run.js";
import { type BoardOptions, boardOptions, withBoard } from "../context.js";
import { NotDoneError } from "../not-done.js";

interface ResetOptions extends BoardOptions {
  recovery?: boolean;
}

export function define(command: Command): void {
  boardOptions(command)
    .option("--recovery", "restart into the bootloader's serial recovery")
    .action((options: ResetOptions) =>
      withBoard(options, async (session, { out, signal }) => {
        const bootMode = options.recovery ? BOOT_MODES.recovery : undefined;
        const restarted = await run(restart(session, { signal, bootMode }), (event) => {
          if (event.step === "away") out.note("The board went away.");
        });
        const { mode } = session.client.server;
        if (options.recovery && mode !== "recovery") {
          throw new NotDoneError(
            "The board did not enter serial recovery.",
            "Its application must be built with CONFIG_MCUMGR_GRP_OS_RESET_BOOT_MODE and its bootloader with CONFIG_BOOT_SERIAL_BOOT_MODE; else use its button.",
          );
        }
        const state = STATES[mode];
        const says = restarted
          ? `The board has restarted; ${state} answers.`
          : `The board was told to restart, and ${state} answers. Nothing it reports would show whether it did.`;
        out.result({ restarted, server: mode }, says);
      }),
    );
}

const STATES = {
  application: "the application",
  recovery: "serial recovery",
  unknown: "a server of an unknown kind",
} as const;
