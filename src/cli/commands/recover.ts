import type { Command } from "commander";
import { GATE_CHECKS, type GateCheckName } from "../../workflow/gate.js";
import { LADDER, type RungName } from "../../workflow/ladder/rungs.js";
import { type RecoverEvent, type RecoverOutcome, type RungWords, recover } from "../../workflow/recover.js";
import { run } from "../../workflow/run.js";
import { askPerson, benchSite, canAsk, type SiteOptions } from "../bench-site.js";
import { boardOptions, inContext, readKeys, readKnown, several, wholeNumber } from "../context.js";
import { type ExitStatus, UsageError } from "../exit.js";
import { readInput } from "../files.js";
import { type Output, printable, tone } from "../output.js";
import { drawFlash } from "./flash.js";

interface RecoverCommandOptions extends SiteOptions {
  key?: string[];
  known?: string[];
  image?: number;
  skip?: string[];
  without?: string[];
  yes?: boolean;
  dryRun?: boolean;
  wait?: number;
}

const STATUS: Readonly<Record<RecoverOutcome, ExitStatus>> = {
  recovered: 0,
  written: 0,
  "dry-run": 0,
  "refused-by-gate": 3,
  "not-running": 4,
  "cut-short": 9,
  "no-way-in": 36,
};

const RUNGS = LADDER.map(({ name }) => name);

export function define(command: Command): void {
  boardOptions(command.argument("<image>", "a signed MCUboot image"))
    .option(
      "--key <file>",
      "a public key that must have signed the image (repeatable; default: the config file's)",
      several,
    )
    .option("--known <image>", "an image file that may be on the board (repeatable)", several)
    .option(
      "--image <number>",
      "which image, as the bootloader numbers them",
      wholeNumber("--image", { max: 255 }),
    )
    .option("--profile <name>", "which board it is; bootproof devices --profiles lists them")
    .option(
      "--skip <check>",
      "let a check against the board fail (repeatable); those of the file may not",
      several,
    )
    .option("--without <rung>", `leave a rung out (repeatable): ${RUNGS.join(", ")}`, several)
    .option("-y, --yes", "agree to rungs that write flash past MCUboot")
    .option("--dry-run", "check the image and tell which rungs there are; nothing is done to the board")
    .option(
      "--wait <ms>",
      "how long the board may take to show itself after each rung (default 15000)",
      wholeNumber("--wait", { min: 500, max: 3_600_000 }),
    )
    .addHelpText(
      "after",
      "\nThe rungs are tried in this order, least destructive first, and each says before it acts what it will do.",
    )
    .action((file: string, options: RecoverCommandOptions) =>
      inContext(options, async (context) => {
        const { out, config, signal } = context;
        const image = readInput(file);
        const keys = await readKeys([...(options.key ?? []), ...config.keys], out);
        const known = await readKnown([file, ...(options.known ?? []), ...config.known], out);
        const bench = await benchSite({ ...options, keys }, context);
        try {
          const story = recover(bench.site, image, {
            signal,
            keys,
            known,
            imageNumber: options.image,
            skip: names(options.skip, GATE_CHECKS, "check of the gate") as GateCheckName[],
            without: names(options.without, RUNGS, "rung") as RungName[],
            consent: (rung) => consent(rung, options.yes ?? false, signal),
            withinMs: options.wait,
            dryRun: options.dryRun,
          });
          const result = await run(story, drawRecover(out));
          const status = STATUS[result.outcome];
          const verdict = tone(status === 0 ? "good" : "bad", result.outcome);
          const hint = result.hint === undefined ? "" : `\n  try: ${printable(result.hint)}`;
          out.result(result, `${verdict}: ${printable(result.says)}${hint}`);
          process.exitCode = status;
        } finally {
          await bench.close();
        }
      }),
    );
}

function names(texts: readonly string[] = [], known: readonly string[], what: string): string[] {
  return texts
    .flatMap((text) => text.split(","))
    .map((name) => {
      if (known.includes(name)) return name;
      throw new UsageError(`There is no ${what} "${name}".`, `There are: ${known.join(", ")}.`);
    });
}

async function consent({ does, destroys }: RungWords, yes: boolean, signal: AbortSignal): Promise<boolean> {
  if (yes) return true;
  if (!canAsk()) return false;
  return askPerson(`This writes flash past MCUboot. ${does}\nLost by that: ${destroys}`, signal);
}

/** Tells the climb on stderr as it happens. */
function drawRecover(out: Output): (event: RecoverEvent) => void {
  const drawRest = drawFlash(out);
  return (event) => {
    switch (event.step) {
      case "file": {
        const failed = event.checks.filter(({ result }) => result === "fail");
        if (failed.length === 0) return out.note("The image is whole, and signed by a key that was named.");
        for (const { name, says } of failed) out.note(`${tone("bad", "fail")}  ${name}: ${printable(says)}`);
        return;
      }
      case "found":
        return out.note(printable(event.says));
      case "passed-over":
        return out.note(tone("dim", `  ${event.rung.padEnd(12)} not here: ${printable(event.why)}`));
      case "rung":
        out.note(`${tone("strong", event.rung.name.padEnd(13))} ${printable(event.rung.does)}`);
        return out.note(`${" ".repeat(13)} Lost by that: ${printable(event.rung.destroys)}`);
      case "failed":
        return out.note(`${" ".repeat(13)} ${tone("warn", "did not help:")} ${printable(event.why)}`);
      case "in-recovery":
        return out.note("The bootloader's serial recovery answers.");
      case "written":
        return out.note(printable(event.says));
      case "again":
        return out.note(`Once more from the beginning: ${printable(event.why)}`);
      case "writing":
        return out.progress("writing", event.done, event.total);
      default:
        return drawRest(event);
    }
  };
}
