import type { Command } from "commander";
import { readFacts } from "../../session/board-facts.js";
import { restart } from "../../session/restart.js";
import { run } from "../../session/run.js";
import type { Session } from "../../session/session.js";
import { BOOT_MODES } from "../../smp/groups/os.js";
import type { StepGuard } from "../audit/ratchet-guard.js";
import { guardFor, guardOptions, type StepOptions } from "../audit/step-options.js";
import { boardOptions } from "../board-options.js";
import { type Context, inContext, onBoard, wholeNumber } from "../context.js";
import { NotDoneError } from "../not-done.js";

interface ResetOptions extends StepOptions {
  recovery?: boolean;
  force?: boolean;
  wait?: number;
}

export function define(command: Command): void {
  guardOptions(boardOptions(command))
    .option("--recovery", "restart into the bootloader's serial recovery")
    .option("--force", "restart even if the application reports that it is busy")
    .option(
      "--wait <ms>",
      "how long the board may stay silent (default 60000)",
      wholeNumber("--wait", { min: 1000, max: 3_600_000 }),
    )
    .action((options: ResetOptions) =>
      inContext(options, async (context) => {
        const guard = await guardFor(options, context);
        await onBoard(options, context, async (session, identity) => {
          await mustMayStart(session, guard(identity), context);
          await reset(session, options, context);
        });
      }),
    );
}

/** What is marked on the board would run. A restart into serial recovery starts it later. */
async function mustMayStart(session: Session, guard: StepGuard, { signal }: Context): Promise<void> {
  if (guard.isNeeded) await guard.restart(await readFacts(session, { signal }));
}

async function reset(session: Session, options: ResetOptions, { out, signal }: Context): Promise<void> {
  const bootMode = options.recovery ? BOOT_MODES.recovery : undefined;
  const restarted = await run(
    restart(session, { signal, bootMode, force: options.force, withinMs: options.wait }),
    (event) => {
      if (event.step === "away") out.note("The board disconnected.");
    },
  );
  const { mode } = session.client.server;
  if (options.recovery && mode !== "recovery") {
    throw new NotDoneError(
      "The board did not enter serial recovery.",
      "Its application must be built with CONFIG_MCUMGR_GRP_OS_RESET_BOOT_MODE and its bootloader with CONFIG_BOOT_SERIAL_BOOT_MODE; else use its button.",
    );
  }
  const state = STATES[mode];
  const message = restarted
    ? `The board has restarted; ${state} answers.`
    : `The board was asked to restart, and ${state} answers. It reports nothing that shows whether it restarted.`;
  out.result({ restarted, server: mode }, message);
}

const STATES = {
  application: "the application",
  recovery: "serial recovery",
  unknown: "a server of an unknown kind",
} as const;
