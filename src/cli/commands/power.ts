import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { devicesHere } from "../../boards/choose-device.js";
import { findAgain, identityOf } from "../../devices/device-tracker.js";
import type { PowerConfig, PowerSwitch } from "../../power/power.js";
import { powerSwitch } from "../../power/switch.js";
import { type LivenessProbe, type ProofEvent, provePower } from "../../power/verify-switch.js";
import { run } from "../../session/run.js";
import { formatAddress } from "../../transport/address.js";
import { recordedSwitch } from "../audit/power-events.js";
import { recorder } from "../audit/recorder.js";
import { boardOptions } from "../board-options.js";
import { type Context, inContext, wholeNumber } from "../context.js";
import {
  countBoots,
  lookBySmp,
  type RecoverySetup,
  recoverySetup,
  type TargetOptions,
} from "../recovery-target.js";
import { UsageError } from "../usage-error.js";

interface PowerOptions extends TargetOptions {
  onCommand?: string;
  offCommand?: string;
  hub?: string;
  offFor: number;
}

const ACTIONS = ["on", "off", "cycle", "test"] as const;
type Action = (typeof ACTIONS)[number];

export function define(command: Command): void {
  boardOptions(command.argument("<action>", `one of ${ACTIONS.join(", ")}`))
    .option("--on-command <line>", "a command that gives the board power")
    .option("--off-command <line>", "a command that switches the power off")
    .option("--hub <port>", "the USB port that powers the board, for example 1-1.4")
    .option(
      "--off-for <ms>",
      "how long the power stays off in a cycle",
      wholeNumber("--off-for", { max: 600_000 }),
      2000,
    )
    .addHelpText(
      "after",
      '\ntest proves that the board really loses power: hubs claim to switch and leave it on.\nIn the config file: "boards": {"bench": {"device": "...", "power": "hub"}}, or {"command": {...}}, or {"http": {...}}.',
    )
    .action((action: string, options: PowerOptions) =>
      inContext(options, async (context) => {
        const asked = readAction(action);
        const named = configOf(options);
        // Who names the switch itself can do without the board, which is nowhere to be found while it has no power.
        if (named !== undefined && asked !== "test")
          return flip(asked, recordedSwitch(powerSwitch(named, undefined)), { options, context });
        const bench = await recoverySetup(options, context);
        try {
          const audit = recorder();
          const { id } = bench.identity;
          if (audit) audit.board = { ...(id !== undefined && { id }), address: formatAddress(bench.address) };
          const power = switchOf(named, bench);
          if (asked === "test") await test(power, { bench, context });
          else await flip(asked, power, { options, context });
        } finally {
          await bench.close();
        }
      }),
    );
}

function readAction(text: string): Action {
  const action = ACTIONS.find((known) => known === text);
  if (action === undefined)
    throw new UsageError(`"${text}" is not an action for power.`, `Write ${ACTIONS.join(", ")}.`);
  return action;
}

function switchOf(named: PowerConfig | undefined, { power, followed }: RecoverySetup): PowerSwitch {
  return recordedSwitch(powerSwitch(named ?? power ?? { kind: "hub" }, followed?.device.usbPort));
}

function configOf({ onCommand, offCommand, hub }: PowerOptions): PowerConfig | undefined {
  if (hub !== undefined) return { kind: "hub", usbPort: hub };
  if (onCommand === undefined && offCommand === undefined) return undefined;
  if (onCommand === undefined || offCommand === undefined)
    throw new UsageError("A switch by commands needs both.", "Give --on-command and --off-command.");
  return { kind: "command", on: onCommand, off: offCommand };
}

async function flip(
  action: Exclude<Action, "test">,
  power: PowerSwitch,
  { options, context }: { options: PowerOptions; context: Context },
): Promise<void> {
  const { out, signal } = context;
  for (const step of action === "cycle" ? (["off", "on"] as const) : [action]) {
    out.note(power.describe(step));
    // After a cycle's first half the power is given back, interrupted or not.
    await power[step](action === "cycle" && step === "on" ? undefined : signal);
    if (action === "cycle" && step === "off") {
      // Whatever happens meanwhile, the board gets its power back.
      await delay(options.offFor, undefined, { signal }).catch(() => undefined);
    }
  }
  const done = action === "cycle" ? "off and on" : action;
  out.result(
    { action, switch: power.name, proved: false },
    `Switched ${done} by ${power.name}. bootproof power test proves that the board really loses its power.`,
  );
}

async function test(
  power: PowerSwitch,
  { bench, context }: { bench: RecoverySetup; context: Context },
): Promise<void> {
  const { out, signal } = context;
  const vitals = await livenessProbe(bench, context);
  const proof = await run(provePower(power, vitals, { signal }), (event) => out.note(tell(event)));
  const anew = proof.restarted ? " and restarted" : "";
  // Linux hides a board whose port it switches off, whether or not the hub cuts the power.
  const doubt =
    proof.restarted || power.kind !== "hub"
      ? ""
      : " It is not known whether the board lost its power or was only hidden from USB: look at its LED, or restart it once (so that it counts its starts) and test again.";
  out.result(
    { action: "test", switch: power.name, proved: true, seenBy: vitals.what, ...proof },
    `${power.name} switches: the board disappeared ${(proof.goneAfterMs / 1000).toFixed(1)} s after its power went, came back ${(proof.backAfterMs / 1000).toFixed(1)} s after it returned${anew}.${doubt}`,
  );
}

/** A board with USB of its own is seen by that; what sits behind something else must answer. */
async function livenessProbe(
  { target, followed }: RecoverySetup,
  { config, signal }: Context,
): Promise<LivenessProbe> {
  const device = followed?.device;
  if (device === undefined || device.isProbe)
    return { what: "the board's SMP server", sample: (how) => lookBySmp(target, how) };
  const identity = identityOf(device, await devicesHere(config, signal));
  return {
    what: "its USB device",
    boots: (how) => countBoots(target, how),
    sample: async (how) => (findAgain(identity, await devicesHere(config, how)) ? "plugged in" : undefined),
  };
}

function tell(event: ProofEvent): string {
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  switch (event.step) {
    case "alive":
      return `Before: ${event.what} is there.`;
    case "off":
    case "on":
      return event.action;
    case "gone":
      return `Gone after ${seconds(event.afterMs)}.`;
    case "back":
      return `Back after ${seconds(event.afterMs)}.`;
  }
}
