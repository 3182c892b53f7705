import type { Command } from "commander";
import { parseImage } from "../../image/image.js";
import {
  type FlashEvent,
  type FlashOptions,
  type FlashOutcome,
  type FlashResult,
  flash,
} from "../../workflow/flash.js";
import { GATE_CHECKS, type GateCheck, type GateCheckName } from "../../workflow/gate.js";
import { run } from "../../workflow/run.js";
import type { Session } from "../../workflow/session.js";
import {
  type BoardOptions,
  boardOptions,
  inContext,
  onBoard,
  readKeys,
  readKnown,
  several,
  wholeNumber,
} from "../context.js";
import { type ExitStatus, UsageError } from "../exit.js";
import { readAs } from "../files.js";
import { hostHealth, shellHealth } from "../health.js";
import { type Output, printable, tone } from "../output.js";
import { drawUpload } from "../progress.js";

interface FlashCommandOptions extends BoardOptions {
  key?: string[];
  known?: string[];
  image?: number;
  confirm: boolean;
  gate: boolean;
  skip?: string[];
  dryRun?: boolean;
  recovery?: boolean;
  health?: string[];
  healthShell?: string[];
  wait?: number;
  soak?: number;
}

const STATUS: Readonly<Record<FlashOutcome, ExitStatus>> = {
  confirmed: 0,
  "on-trial": 0,
  running: 0,
  "already-running": 0,
  "dry-run": 0,
  "refused-by-gate": 3,
  "not-running": 4,
  unhealthy: 5,
  "not-confirmed": 7,
};

export function define(command: Command): void {
  boardOptions(command.argument("<image>", "a signed MCUboot image"))
    .option(
      "--key <file>",
      "a public key that may have signed the image (repeatable; default: the config file's)",
      several,
    )
    .option(
      "--known <image>",
      "an image file that may be on the board, to name its security counter (repeatable)",
      several,
    )
    .option("--image <number>", "which pair of slots", wholeNumber("--image", { max: 255 }))
    .option("--no-confirm", "leave the image on trial: the next reset reverts it")
    .option("--dry-run", "stop after the gate; nothing is sent")
    .option("--skip <check>", `let a check of the gate fail (repeatable): ${GATE_CHECKS.join(", ")}`, several)
    .option("--no-gate", "let every check fail; the board is then the only judge")
    .option("--recovery", "if the board is in serial recovery, write its primary slot directly")
    .option(
      "--health <command>",
      "a command on this machine that must succeed before confirming (repeatable)",
      several,
    )
    .option(
      "--health-shell <command>",
      "a command in the board's shell that must return 0 (repeatable)",
      several,
    )
    .option(
      "--wait <ms>",
      "how long the board may stay away after a reset (default 60000)",
      wholeNumber("--wait", { min: 1000, max: 3_600_000 }),
    )
    .option(
      "--soak <ms>",
      "how long the image must run without a restart before it is confirmed (default 1000)",
      wholeNumber("--soak", { max: 3_600_000 }),
    )
    .action((file: string, options: FlashCommandOptions) =>
      inContext(options, async (context) => {
        const { out, config, signal } = context;
        // A file that is no image needs no board to be found out.
        const image = await readAs(file, (content) => parseImage(content) && content);
        const keys = await readKeys([...(options.key ?? []), ...config.keys], out);
        const known = await readKnown([file, ...(options.known ?? []), ...config.known], out);
        const how = { ...workflowOptions(options), keys, known, signal };
        const story = async (session: Session) =>
          finish(await run(flash(session, image, how), drawFlash(out)), out);
        await onBoard(options, context, story, { withinMs: options.wait });
      }),
    );
}

function workflowOptions(options: FlashCommandOptions): FlashOptions {
  return {
    imageNumber: options.image,
    skip: options.gate ? checkNames(options.skip ?? []) : "all",
    throughRecovery: options.recovery,
    dryRun: options.dryRun,
    confirm: options.confirm,
    withinMs: options.wait,
    soakMs: options.soak,
    health: [...(options.health ?? []).map(hostHealth), ...(options.healthShell ?? []).map(shellHealth)],
  };
}

function checkNames(texts: readonly string[]): GateCheckName[] {
  return texts
    .flatMap((text) => text.split(","))
    .map((name) => {
      const known = GATE_CHECKS.find((check) => check === name);
      if (known === undefined)
        throw new UsageError(`The gate has no check "${name}".`, `Its checks: ${GATE_CHECKS.join(", ")}.`);
      return known;
    });
}

const MARKS: Readonly<Record<GateCheck["result"], string>> = {
  pass: tone("good", "pass"),
  fail: tone("bad", "FAIL"),
  warn: tone("warn", "note"),
  unknown: tone("dim", " -  "),
};

/** Tells the story on stderr as it happens. */
export function drawFlash(out: Output): (event: FlashEvent) => void {
  const drawSending = drawUpload(out);
  return (event) => {
    switch (event.step) {
      case "board":
        return out.note(`Board ${event.facts.name}: ${event.facts.server} answers.`);
      case "gate":
        for (const check of event.checks)
          out.note(`  ${MARKS[check.result]}  ${check.name.padEnd(16)} ${printable(check.says)}`);
        return;
      case "plan":
        for (const line of event.says) out.note(printable(line));
        return;
      case "uploaded":
        return out.note(`Sent ${event.bytes} bytes in ${(event.elapsedMs / 1000).toFixed(1)} s.`);
      case "sent-again":
        return out.note(
          `The slot held this file already, but it cannot be marked (${printable(event.why)}): erasing it and sending again.`,
        );
      case "marked":
        return out.note(
          event.as === "test"
            ? "Marked for the next boot; the board shows it as pending."
            : "This board has no test boot: it picks the image by version.",
        );
      case "reset":
        return out.note("Reset. Waiting for the board...");
      case "away":
        return;
      case "back":
        return out.note(`The board is back after ${(event.afterMs / 1000).toFixed(1)} s.`);
      case "restarted":
        return out.note("The board restarted by itself.");
      case "judged":
        // When it does not run, the result says so and why.
        return event.runsNewImage ? out.note(printable(event.says)) : undefined;
      case "health":
        return out.note(
          `  ${event.ok ? MARKS.pass : MARKS.fail}  health: ${printable(event.name)}: ${printable(event.says)}`,
        );
      case "link-lost":
        return "at" in event
          ? drawSending(event)
          : out.note(`The link was lost: ${printable(event.why)} Waiting for the board...`);
      case "confirmed":
        return out.note("Confirmed, and read back.");
      default:
        return drawSending(event);
    }
  };
}

function finish(result: FlashResult, out: Output): void {
  const status = STATUS[result.outcome];
  const verdict = status === 0 ? tone("good", result.outcome) : tone("bad", result.outcome);
  const lines = [`${verdict}: ${printable(result.says)}`, ...(result.hint ? [`  try: ${result.hint}`] : [])];
  out.result(result, lines.join("\n"));
  process.exitCode = status;
}
